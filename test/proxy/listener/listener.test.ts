import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { JsonObject } from '@bufbuild/protobuf';
import type { AddressModel } from '../../../src/config/common-model.ts';
import type { DownstreamTransportSocketModel } from '../../../src/config/transport-socket-model.ts';
import { builtinListenerFilters } from '../../../src/filters/builtin-listener.ts';
import { ListenerFilterRegistry } from '../../../src/filters/listener-registry.ts';
import { ResponseFlag } from '../../../src/filters/response-flags.ts';
import type { Connection } from '../../../src/proxy/connection/connection.ts';
import { Drain } from '../../../src/proxy/listener/drain.ts';
import { Listener, type FilterChain, type ListenerOptions } from '../../../src/proxy/listener/listener.ts';
import type {
  DownstreamTransportSocket,
  HandshakeOwner,
} from '../../../src/proxy/transport-socket/transport-socket.ts';
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

  readonly registry = new ListenerFilterRegistry(builtinListenerFilters);
  /** Stands for TLS, without a handshake. */
  transportSocket: DownstreamTransportSocket | undefined = undefined;
  findListener: ListenerOptions['findListener'] = undefined;

  async listen(config: JsonObject = {}, cells = false): Promise<void> {
    const { shared } = this.worker.context;
    const built = await buildListenerModel({ stat_prefix: 'x', ...config });
    expect(built.problems).toEqual([]);
    await this.registry.prepare(built.model.listenerFilters.map((filter) => filter.config));
    // The fake transport socket asks for nothing of its model.
    const transportSocket = this.transportSocket && ({ kind: 'tls' } as DownstreamTransportSocketModel);
    const model = {
      ...built.model,
      filterChains: built.model.filterChains.map((each) => ({ ...each, transportSocket })),
    };
    this.listener = new Listener({ ...model, connectionSlot: shared.allocate(2) }, this.worker.context, {
      createFilterChain: ({ name }) => {
        this.chains.push(new Greeter(name));
        return this.chains.at(-1)!;
      },
      listenerFilters: this.registry,
      ...(this.transportSocket !== undefined && { createTransportSocket: () => this.transportSocket! }),
      ...(this.findListener !== undefined && { findListener: this.findListener }),
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
    ).rejects.toThrow(`cannot bind '127.0.0.1:${port}': Address already in use`);
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
      await expect(world.listen(at(path))).rejects.toThrow('Address already in use');
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

/** However it ended. */
const gone = (client: Socket): Promise<void> => new Promise((resolve) => void client.once('close', () => resolve()));

describe('listener filters', () => {
  const TYPE = 'type.googleapis.com/envoy.extensions.filters.listener.';
  const filters = (...types: string[]): JsonObject => ({
    listener_filters: types.map((type) => ({ name: type, typed_config: { '@type': `${TYPE}${type}` } })),
  });
  const proxy = filters('proxy_protocol.v3.ProxyProtocol');
  const header = 'PROXY TCP4 1.2.3.4 5.6.7.8 1000 2000\r\n';

  /** Connects and sends; nothing is waited for. */
  const open = (...pieces: string[]): Socket => {
    const address = world.listener.addresses[0]!;
    const client = connect(
      address.kind === 'pipe' ? { path: address.path } : { port: address.port, host: address.host },
    );
    client.on('error', () => {}).resume();
    world.clients.push(client);
    for (const piece of pieces) client.write(piece);
    return client;
  };
  const until = async (holds: () => boolean): Promise<void> => {
    while (!holds()) await new Promise(setImmediate);
  };

  test('hand on what they have not consumed, byte for byte', async () => {
    await world.listen({ ...proxy, filter_chains: [chain('a')] });
    const client = open(header.slice(0, 9));
    await until(() => world.stat('downstream_pre_cx_active') === 1);
    client.write(`${header.slice(9)}first `);
    await until(() => world.chains[0]!.connections.length === 1);
    client.write('second');
    const [connection] = world.chains[0]!.connections;
    await until(() => connection!.bytesReceived === 12);
    expect(connection!.info).toMatchObject({
      remoteAddress: '1.2.3.4:1000',
      localAddress: '5.6.7.8:2000',
      directRemoteIp: '127.0.0.1',
      listenerName: 'l',
    });
    expect([world.stat('downstream_pre_cx_active'), world.stat('downstream_cx_active')]).toEqual([0, 1]);
  });

  test('have their time', async () => {
    await world.listen({
      ...proxy,
      filter_chains: [chain('a')],
      access_log: [stdout()],
      listener_filters_timeout: '2s',
    });
    const client = open('PROXY ');
    const closed = gone(client);
    await until(() => world.stat('downstream_pre_cx_active') === 1);
    world.clock.advance(1999);
    expect(world.stat('downstream_pre_cx_timeout')).toBe(0);
    world.clock.advance(2);
    await closed;
    expect([world.stat('downstream_pre_cx_timeout'), world.stat('downstream_pre_cx_active')]).toEqual([1, 0]);
    expect(world.worker.logged).toHaveLength(1);
    expect(world.clock.pending).toBe(0);
  });

  test('where it says so, the connection goes on without them', async () => {
    await world.listen({
      ...proxy,
      filter_chains: [chain('a')],
      listener_filters_timeout: '2s',
      continue_on_listener_filters_timeout: true,
    });
    open('PROXY ');
    await until(() => world.stat('downstream_pre_cx_active') === 1);
    // The bytes are on their way.
    await new Promise((resolve) => setTimeout(resolve, 20));
    world.clock.advance(2001);
    const [connection] = world.chains[0]!.connections;
    await until(() => connection!.bytesReceived === 6);
  });

  test('a peer that leaves before they are done is counted', async () => {
    await world.listen({ ...proxy, filter_chains: [chain('a')], access_log: [stdout()] }, true);
    open('PROXY ').end();
    await until(() => world.stat('downstream_listener_filter_remote_close') === 1);
    expect(world.worker.logged).toHaveLength(1);
    const other = open('PROXY ');
    await until(() => world.stat('downstream_pre_cx_active') === 1);
    other.resetAndDestroy();
    await until(() => world.stat('downstream_listener_filter_remote_close') === 2);
    expect(world.stat('downstream_pre_cx_active')).toBe(0);
  });

  test('one that refuses closes, silently', async () => {
    world.worker.runtime.set('envoy.resource_limits.listener.l.connection_limit', 1);
    await world.listen({ ...proxy, filter_chains: [chain('a')] }, true);
    for (let i = 0; i < 3; i++) {
      const client = open('GET / HTTP/1.1\r\n\r\n');
      await gone(client);
    }
    // Each gave its place back.
    expect([world.stat('downstream_cx_overflow'), world.stat('downstream_cx_total')]).toEqual([0, 0]);
  });

  test('closing the listener ends those that wait', async () => {
    await world.listen({ ...proxy, filter_chains: [chain('a')] });
    const closed = gone(open('PROXY '));
    await until(() => world.stat('downstream_pre_cx_active') === 1);
    await world.listener.close();
    await closed;
    expect([world.stat('downstream_pre_cx_active'), world.clock.pending]).toEqual([0, 0]);
  });

  test('a restored destination is handed to its listener, and stays there', async () => {
    await using other = new World();
    await other.listen({ filter_chains: [chain('other')], bind_to_port: false, use_original_dst: true });
    const asked: string[] = [];
    world.findListener = (ip, port) => {
      asked.push(`${ip} ${port}`);
      return port === 2000 ? other.listener : undefined;
    };
    await world.listen({ ...proxy, filter_chains: [chain('own')], use_original_dst: true }, true);
    open(header, 'bytes');
    await until(() => other.chains[0]!.connections[0]?.bytesReceived === 5);
    expect(asked).toEqual(['5.6.7.8 2000']);
    expect(other.chains[0]!.connections[0]!.info.localAddress).toBe('5.6.7.8:2000');
    open(header.replace('2000', '2001'));
    await until(() => world.chains[0]!.connections.length === 1);
  });
});

describe('handshakes', () => {
  const waiting: { readonly socket: Socket; readonly owner: HandshakeOwner }[] = [];
  const fake = (isReady = true): DownstreamTransportSocket => ({
    isReady,
    wrap(socket, owner) {
      waiting.push({ socket, owner });
      socket.once('close', () => owner.onHandshakeFailed(''));
    },
    close() {},
  });
  beforeEach(() => void (waiting.length = 0));
  const open = async (): Promise<Socket> => {
    const address = world.listener.addresses[0]! as AddressModel & { kind: 'socket' };
    const client = connect(address.port, address.host);
    client.on('error', () => {}).resume();
    world.clients.push(client);
    await once(client, 'connect');
    return client;
  };
  const until = async (holds: () => boolean): Promise<void> => {
    while (!holds()) await new Promise(setImmediate);
  };

  test('without secrets a connection is closed', async () => {
    world.transportSocket = fake(false);
    await world.listen({ filter_chains: [chain('a')] });
    await gone(await open());
    await world.gone();
    expect(waiting).toEqual([]);
    expect(world.chains[0]!.connections[0]!.info.transportFailureReason).toBe(
      'TLS error: Secret is not supplied by SDS',
    );
  });

  test('so many at a time: a new one is refused while those before it are young', async () => {
    world.worker.runtime.set('outrigger.max_pending_handshakes', 2);
    world.transportSocket = fake();
    await world.listen({ filter_chains: [chain('a')] });
    await open();
    await open();
    await until(() => waiting.length === 2);
    await gone(await open());
    expect([world.stat('downstream_cx_overload_reject'), waiting.length]).toEqual([1, 2]);
    // The oldest has had its second.
    world.clock.advance(1001);
    await open();
    await until(() => waiting.length === 3);
    await until(() => world.listener.connectionCount === 2);
    // One that is done leaves its place.
    const { socket, owner } = waiting[2]!;
    world.worker.context.dispatcher.turn(() => owner.onHandshakeDone(socket, {} as never));
    await open();
    await until(() => waiting.length === 4);
    expect(world.stat('downstream_cx_overload_reject')).toBe(1);
  });

  test('have the time that the chain gives them', async () => {
    world.transportSocket = fake();
    await world.listen({
      filter_chains: [{ ...chain('a'), transport_socket_connect_timeout: '1s' }],
      access_log: [stdout()],
    });
    const client = await open();
    await until(() => waiting.length === 1);
    world.clock.advance(1001);
    await gone(client);
    await world.gone();
    expect(world.stat('downstream_cx_transport_socket_connect_timeout')).toBe(1);
    expect(world.worker.logged).toHaveLength(1);
  });
});

function stdout(): JsonObject {
  return {
    name: 'log',
    typed_config: { '@type': 'type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog' },
  };
}
