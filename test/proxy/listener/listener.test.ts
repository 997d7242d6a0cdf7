import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { JsonObject } from '@bufbuild/protobuf';
import type { AddressModel } from '../../../src/config/common-model.ts';
import { ResponseFlag } from '../../../src/filters/response-flags.ts';
import type { Connection } from '../../../src/proxy/connection/connection.ts';
import { Drain } from '../../../src/proxy/listener/drain.ts';
import { Listener, type FilterChain } from '../../../src/proxy/listener/listener.ts';
import { LISTENER_STATS, LISTENER_WORKER_STATS } from '../../../src/telemetry/stats/listener-stats.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { buildListenerModel, hcmFilter } from '../../support/listener-models.ts';
import { TestWorker } from '../../support/worker.ts';

/** Greets each connection with the name of its chain. */
class Greeter implements FilterChain {
  readonly delayedCloseTimeoutMs = 0;
  readonly name: string;
  readonly connections: Connection[] = [];
  drained = 0;

  constructor(name: string) {
    this.name = name;
  }
  onDelayedCloseTimeout(): void {}
  drain(): void {
    this.drained++;
  }
  onConnection(connection: Connection) {
    this.connections.push(connection);
    connection.write(`${this.name}\n`);
    const ignore = (): void => {};
    const onData = (): void => void connection.write(connection.shouldDrain() ? 'drain' : 'stay');
    return { onData, onEnd: ignore, onDrain: ignore, onClose: ignore, flush: ignore };
  }
}

class World implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly worker = new TestWorker(this.clock);
  readonly drain = new Drain(this.clock, this.worker.context.random, { drainTimeMs: 10_000, strategy: 'immediate' });
  readonly chains: Greeter[] = [];
  readonly clients: Socket[] = [];
  listener!: Listener;
  #connections = 0;

  async listen(config: JsonObject = {}, cells = false): Promise<void> {
    const { shared } = this.worker.context;
    const { model, problems } = await buildListenerModel({ stat_prefix: 'x', ...config });
    expect(problems).toEqual([]);
    this.listener = new Listener({ ...model, connectionSlot: shared.allocate(2) }, this.worker.context, {
      createFilterChain: ({ name }) => {
        this.chains.push(new Greeter(name));
        return this.chains.at(-1)!;
      },
      drain: this.drain,
      nextConnectionId: () => ++this.#connections,
      ...(cells && { connectionCells: { shared, globalSlot: shared.allocate(2), lane: 0 } }),
    });
    await this.listener.listen();
  }

  /** Connects, and resolves to the client and all that it got until our greeting, or the end, came. */
  async connect(address: AddressModel = this.listener.addresses[0]!): Promise<{ client: Socket; greeting: string }> {
    const client = connect(
      address.kind === 'pipe' ? { path: address.path } : { port: address.port, host: address.host },
    );
    client.on('error', () => {});
    this.clients.push(client);
    const greeting = await new Promise<string>((resolve) => {
      client.once('data', (chunk: Buffer) => resolve(chunk.toString().trim()));
      client.once('close', () => resolve(''));
    });
    return { client, greeting };
  }

  stat(name: keyof typeof LISTENER_STATS.at): number {
    return this.worker.stats.scope('listener.x.').block(LISTENER_STATS).get(LISTENER_STATS.at[name]);
  }

  /** Until every connection of the listener has gone. */
  async gone(): Promise<void> {
    while (this.listener.connectionCount > 0) await new Promise(setImmediate);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.clients) client.destroy();
    await this.listener?.close();
  }
}

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world[Symbol.asyncDispose]());

const chain = (name: string, match: JsonObject = {}): JsonObject => ({
  name,
  filter_chain_match: match,
  filters: [hcmFilter()],
});

describe('Listener', () => {
  test("accepts on a port of the system's choice and counts", async () => {
    await world.listen({ filter_chains: [chain('a')], access_log: [stdout()] });
    const [address] = world.listener.addresses;
    expect(address).toMatchObject({ kind: 'socket', host: '127.0.0.1' });
    const { client, greeting } = await world.connect();
    expect(greeting).toBe('a');
    expect(world.listener.connectionCount).toBe(1);
    expect([world.stat('downstream_cx_total'), world.stat('downstream_cx_active')]).toEqual([1, 1]);
    const perWorker = world.worker.stats.scope('listener.x.worker_0.').block(LISTENER_WORKER_STATS);
    expect(perWorker.get(LISTENER_WORKER_STATS.at.downstream_cx_active)).toBe(1);
    const [connection] = world.chains[0]!.connections;
    expect(connection!.info).toMatchObject({ id: 1, filterChainName: 'a', remoteIp: '127.0.0.1' });
    client.destroy();
    await world.gone();
    expect([world.stat('downstream_cx_active'), world.stat('downstream_cx_destroy')]).toEqual([0, 1]);
    expect(perWorker.get(LISTENER_WORKER_STATS.at.downstream_cx_active)).toBe(0);
    expect(world.worker.logged).toEqual([{ flags: 0, details: '', bytesReceived: 0, bytesSent: 2 }]);
  });

  test('opens all of its addresses', async () => {
    const address = { address: { socket_address: { address: '127.0.0.1', port_value: 0 } } };
    await world.listen({ filter_chains: [chain('a')], additional_addresses: [address] });
    expect(world.listener.addresses).toHaveLength(2);
    for (const each of world.listener.addresses) expect((await world.connect(each)).greeting).toBe('a');
  });

  test('sends a connection to its filter chain, else to the default one', async () => {
    await world.listen({
      filter_chains: [chain('far', { source_type: 'EXTERNAL' }), chain('near', { source_type: 'SAME_IP_OR_LOOPBACK' })],
    });
    expect((await world.connect()).greeting).toBe('near');
    await world.listener.close();
    await world.listen({
      filter_chains: [chain('far', { source_type: 'EXTERNAL' })],
      default_filter_chain: chain('default'),
    });
    expect((await world.connect()).greeting).toBe('default');
  });

  test('closes what no chain wants, and logs it', async () => {
    await world.listen({
      filter_chains: [chain('far', { source_ports: [1] })],
      access_log: [stdout()],
    });
    expect((await world.connect()).greeting).toBe('');
    expect([world.stat('no_filter_chain_match'), world.stat('downstream_cx_total')]).toEqual([1, 0]);
    expect(world.worker.logged).toEqual([
      { flags: ResponseFlag.NR, details: 'filter_chain_not_found', bytesReceived: 0, bytesSent: 0 },
    ]);
  });

  test('closes connections of a chain without filters', async () => {
    await world.listen({ filter_chains: [{ name: 'none' }] });
    expect((await world.connect()).greeting).toBe('');
    await world.gone();
    expect([world.stat('downstream_cx_total'), world.stat('downstream_cx_destroy')]).toEqual([1, 1]);
  });

  test('holds to the limits of connections', async () => {
    world.worker.runtime.set('envoy.resource_limits.listener.l.connection_limit', 1);
    await world.listen({ filter_chains: [chain('a')] }, true);
    const { client } = await world.connect();
    expect((await world.connect()).greeting).toBe('');
    expect(world.stat('downstream_cx_overflow')).toBe(1);
    client.destroy();
    await world.gone();
    expect((await world.connect()).greeting).toBe('a');
    world.worker.runtime.set('overload.global_downstream_max_connections', 1);
    expect((await world.connect()).greeting).toBe('');
    expect(world.stat('downstream_global_cx_overflow')).toBe(1);
  });

  test('says which address is taken, and opens none', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const taken = { address: { socket_address: { address: '127.0.0.1', port_value: port } } };
    await expect(
      world.listen({ filter_chains: [chain('a')], additional_addresses: [taken], enable_reuse_port: false }),
    ).rejects.toThrow(`cannot bind '127.0.0.1:${port}': EADDRINUSE`);
    expect(world.listener.addresses).toEqual([]);
    other.close();
  });

  test('does not bind where it shall not', async () => {
    await world.listen({ filter_chains: [chain('a')], bind_to_port: false });
    expect(world.listener.addresses).toEqual([]);
  });

  test('after stopAccepting connections stay, after close they are gone', async () => {
    await world.listen({ filter_chains: [chain('a')] });
    const address = world.listener.addresses[0]!;
    const { client } = await world.connect();
    await world.listener.stopAccepting();
    expect((await world.connect(address)).greeting).toBe('');
    expect(world.listener.connectionCount).toBe(1);
    const closed = once(client, 'close');
    await world.listener.close();
    await closed;
    await world.gone();
  });

  describe('on a Unix socket', () => {
    let folder: string;
    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), 'listener-'));
    });
    afterEach(() => rmSync(folder, { recursive: true }));
    const at = (path: string): JsonObject => ({
      filter_chains: [chain('a')],
      address: { pipe: { path, mode: 0o600 } },
    });

    test('listens with the mode asked for, in the place of a stale one', async () => {
      const path = join(folder, 's');
      await world.listen(at(path));
      expect((await world.connect()).greeting).toBe('a');
      expect(statSync(path).mode & 0o777).toBe(0o600);
      expect(world.chains[0]!.connections[0]!.info).toMatchObject({
        localAddress: path,
        remoteAddress: '',
        remoteIp: '',
      });
      // A second one takes the path over, as that of a process that died would be.
      await using second = new World();
      await second.listen(at(path));
      expect((await second.connect()).greeting).toBe('a');
      expect(second.listener.connectionCount).toBe(1);
    });

    test('does not remove a file that is no socket', async () => {
      const path = join(folder, 'file');
      writeFileSync(path, 'precious');
      await expect(world.listen(at(path))).rejects.toThrow('EADDRINUSE');
      expect(existsSync(path)).toBe(true);
    });
  });

  describe('update', () => {
    const update = async (config: JsonObject): Promise<void> =>
      world.listener.update((await buildListenerModel({ stat_prefix: 'x', ...config })).model);

    const ask = async (client: Socket): Promise<string> => {
      client.write('?');
      const [answer] = (await once(client, 'data')) as [Buffer];
      return answer.toString();
    };

    test('keeps chains that are the same and their connections; others drain, and close in the end', async () => {
      const near = { source_type: 'SAME_IP_OR_LOOPBACK' };
      await world.listen({ filter_chains: [chain('same', { source_type: 'EXTERNAL' }), chain('old', near)] });
      const { client } = await world.connect();
      await update({ filter_chains: [chain('same', { source_type: 'EXTERNAL' }), chain('new', near)] });
      expect(world.chains.map(({ name }) => name)).toEqual(['same', 'old', 'new']);
      const { client: second, greeting } = await world.connect();
      expect(greeting).toBe('new');
      expect(await ask(client)).toBe('drain');
      expect(await ask(second)).toBe('stay');
      const closed = once(client, 'close');
      world.clock.advance(10_001);
      await closed;
      expect(await ask(second)).toBe('stay');
    });
  });

  test('drainConnections tells every chain, and closes what is left after the drain time', async () => {
    await world.listen({ filter_chains: [chain('a')] });
    const { client } = await world.connect();
    world.listener.drainConnections();
    world.listener.drainConnections();
    expect(world.chains[0]!.drained).toBe(1);
    expect(world.listener.connectionCount).toBe(1);
    const closed = once(client, 'close');
    world.clock.advance(10_001);
    await closed;
    await world.gone();
  });
});

function stdout(): JsonObject {
  return {
    name: 'log',
    typed_config: { '@type': 'type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog' },
  };
}
