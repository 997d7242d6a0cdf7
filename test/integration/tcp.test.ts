import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createProxy } from '../../src/index.ts';
import { eventually } from '../support/eventually.ts';
import { clusterAt, proxyConfig, tcp } from '../support/proxy-config.ts';

const NETWORK = 'type.googleapis.com/envoy.extensions.filters.network';
const tcpProxy = (more: object = {}): object => ({
  name: 'tcp',
  typed_config: { '@type': `${NETWORK}.tcp_proxy.v3.TcpProxy`, stat_prefix: 't', cluster: 'backend', ...more },
});

let server: Server;
let accepted: Socket[];
let serve: (socket: Socket) => void;

beforeEach(async () => {
  accepted = [];
  server = createServer({ allowHalfOpen: true }, (socket) => {
    accepted.push(socket);
    socket.on('error', () => {});
    serve(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(() => {
  for (const socket of accepted) socket.destroy();
  server.close();
});

type Proxy = Awaited<ReturnType<typeof createProxy>>;

function start(filters: readonly object[], bufferLimit = 1 << 20, concurrency = 0): Promise<Proxy> {
  const { port } = server.address() as AddressInfo;
  return createProxy({
    config: proxyConfig({
      clusters: [clusterAt('backend', tcp(port), { per_connection_buffer_limit_bytes: bufferLimit })],
      listeners: [
        {
          name: 'ingress',
          address: tcp(0),
          filter_chains: [{ filters }],
          per_connection_buffer_limit_bytes: bufferLimit,
        },
      ],
    }),
    concurrency,
  });
}

function open(proxy: Proxy): Socket {
  const socket = connect({ host: '127.0.0.1', port: proxy.port('ingress'), allowHalfOpen: true });
  socket.on('error', () => {});
  return socket;
}

const statIs = (proxy: Proxy, name: string, value: number): Promise<boolean> =>
  eventually(`${name} to be ${value}`, () => proxy.stat(name) === value);

/** Of all that comes till the peer has ended its half. */
function digest(socket: Socket): Promise<string> {
  const hash = createHash('sha256');
  return new Promise((resolve) => {
    socket.on('data', (chunk: Buffer) => hash.update(chunk));
    socket.on('end', () => resolve(hash.digest('hex')));
  });
}

const sha256 = (data: Buffer): string => createHash('sha256').update(data).digest('hex');

describe('tcp_proxy', () => {
  test('carries ten mebibytes both ways at once, and half-closes behind them', async () => {
    const up = randomBytes(10 << 20);
    const down = randomBytes(10 << 20);
    let got: Promise<string> | undefined;
    serve = (socket) => {
      got = digest(socket);
      socket.end(down);
    };
    await using proxy = await start([tcpProxy()]);
    const client = open(proxy);
    const received = digest(client);
    client.end(up);
    expect(await received).toBe(sha256(down));
    expect(await got).toBe(sha256(up));
    await statIs(proxy, 'cluster.backend.upstream_cx_active', 0);
    expect(proxy.stat('tcp.t.downstream_cx_rx_bytes_total')).toBe(up.length);
    expect(proxy.stat('tcp.t.downstream_cx_tx_bytes_total')).toBe(down.length);
    expect(proxy.stat('tcp.t.downstream_cx_tx_bytes_buffered')).toBe(0);
    expect(proxy.stat('tcp.t.downstream_cx_rx_bytes_buffered')).toBe(0);
  });

  test('holds back a fast sender while nobody reads, and loses nothing', async () => {
    const limit = 64 * 1024;
    const total = 12 << 20;
    serve = (socket) => socket.pause();
    await using proxy = await start([tcpProxy()], limit);
    const client = open(proxy);
    client.write(Buffer.alloc(total, 'x'));
    await eventually('a connection', () => accepted.length === 1);
    let last = -1;
    let quiet = 0;
    await eventually('reading to stop', () => {
      const now = Number(proxy.stat('tcp.t.downstream_cx_rx_bytes_total'));
      quiet = now === last && now > 0 ? quiet + 1 : 0;
      last = now;
      return quiet > 20;
    });
    // What the kernel's buffers take, and the limit; not the whole.
    expect(last).toBeLessThan(total);
    expect(Number(proxy.stat('cluster.backend.upstream_cx_tx_bytes_buffered'))).toBeLessThan(2 << 20);
    expect(proxy.stat('tcp.t.downstream_flow_control_paused_reading_total')).toBeGreaterThan(0);
    let received = 0;
    accepted[0]!.on('data', (chunk: Buffer) => (received += chunk.length));
    accepted[0]!.resume();
    client.end();
    await eventually('all bytes', () => received === total);
  });

  test('what a downstream sent before it left still reaches a slow upstream', async () => {
    const total = 6 << 20;
    serve = (socket) => socket.pause();
    await using proxy = await start([tcpProxy()], 32 << 20);
    const client = open(proxy);
    client.write(Buffer.alloc(total, 'x'));
    await statIs(proxy, 'tcp.t.downstream_cx_rx_bytes_total', total);
    client.end();
    client.destroySoon();
    await eventually('the client to be gone', () => client.destroyed);
    let received = 0;
    accepted[0]!.on('data', (chunk: Buffer) => (received += chunk.length));
    accepted[0]!.resume();
    await eventually('all bytes', () => received === total);
    accepted[0]!.end();
    await statIs(proxy, 'cluster.backend.upstream_cx_active', 0);
    expect(proxy.stat('tcp.t.upstream_flush_active')).toBe(0);
  });

  test('one connection that is reset in the midst of a transfer costs no other', async () => {
    serve = (socket) => socket.pipe(socket);
    await using proxy = await start([tcpProxy()]);
    const other = open(proxy);
    other.write('before');
    await once(other, 'data');
    const client = open(proxy);
    client.write(Buffer.alloc(1 << 20));
    await once(client, 'data');
    client.resetAndDestroy();
    await statIs(proxy, 'cluster.backend.upstream_cx_active', 1);
    other.write('after');
    expect(String((await once(other, 'data')) as unknown as Buffer[])).toBe('after');
    other.destroy();
  });
});

describe('network filters', () => {
  test('a limit of connections holds over all workers', async () => {
    // Only who reads sees that the other side has ended.
    serve = (socket) => void socket.resume().on('end', () => socket.end());
    const limit = {
      name: 'limit',
      typed_config: {
        '@type': `${NETWORK}.connection_limit.v3.ConnectionLimit`,
        stat_prefix: 'l',
        max_connections: 4,
      },
    };
    await using proxy = await start([limit, tcpProxy()], undefined, 2);
    const clients = Array.from({ length: 12 }, () => open(proxy));
    await statIs(proxy, 'connection_limit.l.limited_connections', 8);
    await statIs(proxy, 'connection_limit.l.active_connections', 4);
    for (const client of clients) client.destroy();
    await statIs(proxy, 'connection_limit.l.active_connections', 0);
    const again = open(proxy);
    await statIs(proxy, 'connection_limit.l.active_connections', 1);
    again.destroy();
    // Two worker threads have to start.
  }, 30_000);

  test('what Envoy refuses is refused, in its words', async () => {
    serve = () => {};
    const echo = { name: 'echo', typed_config: { '@type': `${NETWORK}.echo.v3.Echo` } };
    const rbac = { name: 'rbac', typed_config: { '@type': `${NETWORK}.rbac.v3.RBAC`, stat_prefix: 'r' } };
    await expect(start([echo, tcpProxy()])).rejects.toThrow(
      'terminal filter named echo of type envoy.filters.network.echo must be the last filter in a network filter chain.',
    );
    await expect(start([rbac])).rejects.toThrow(
      'non-terminal filter named rbac of type envoy.filters.network.rbac is the last filter in a network filter chain.',
    );
    const condition = { call_expr: { function: 'f' } };
    const any = [{ any: true }];
    const cel = { policies: { p: { permissions: any, principals: any, condition } } };
    await expect(start([{ ...rbac, typed_config: { ...rbac.typed_config, rules: cel } }, tcpProxy()])).rejects.toThrow(
      'CEL',
    );
  });
});
