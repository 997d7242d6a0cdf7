import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Server, type Socket, type TcpSocketConnectOpts } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AddressModel } from '../../../../src/config/common-model.ts';
import type { ConnectionInfo } from '../../../../src/filters/stream-info.ts';
import { systemClock } from '../../../../src/lib/clock.ts';
import type { ConnectionInput } from '../../../../src/proxy/codec/connection-io.ts';
import { keepRead } from '../../../../src/proxy/codec/read-buffer.ts';
import { Dispatcher } from '../../../../src/proxy/dispatcher.ts';
import { CLUSTER_STATS } from '../../../../src/proxy/upstream/cluster-stats.ts';
import type { ConnectFailure } from '../../../../src/proxy/upstream/pool/connect-failure.ts';
import {
  connectUpstream,
  type ConnectOptions,
  type UpstreamSocketOwner,
} from '../../../../src/proxy/upstream/pool/connector.ts';
import {
  NO_TRANSPORT_OPTIONS,
  type UpstreamTransportConnection,
  type UpstreamTransportSocket,
} from '../../../../src/proxy/transport-socket/transport-socket.ts';
import { interleaveFamilies } from '../../../../src/proxy/upstream/pool/happy-eyeballs.ts';
import { ThreadStats } from '../../../../src/telemetry/stats/arena.ts';
import type { StatBlock } from '../../../../src/telemetry/stats/stats.ts';

/** Records what the socket tells; keeps chunks if asked to. */
class Recorder implements UpstreamSocketOwner, ConnectionInput {
  readonly log: string[] = [];
  readonly chunks: Buffer[] = [];
  keep = false;
  allowsHalfClose = false;
  info: ConnectionInfo | undefined = undefined;
  readonly connected = Promise.withResolvers<void>();
  readonly closed = Promise.withResolvers<{ local: boolean; failure: ConnectFailure | undefined }>();
  readonly ended = Promise.withResolvers<void>();
  received = Promise.withResolvers<void>();
  readonly drained = Promise.withResolvers<void>();

  onConnected(info: ConnectionInfo): void {
    this.info = info;
    this.connected.resolve();
  }
  onSocketClosed(local: boolean, failure: ConnectFailure | undefined): void {
    this.log.push('closed');
    this.closed.resolve({ local, failure });
  }
  onData(chunk: Buffer): void {
    this.chunks.push(chunk);
    if (this.keep) keepRead();
    this.received.resolve();
    this.received = Promise.withResolvers<void>();
  }
  onEnd(): void {
    this.log.push('end');
    this.ended.resolve();
  }
  onDrain(): void {
    this.drained.resolve();
  }
  onClose(): void {
    this.log.push('input closed');
  }
  flush(): void {}
}

let server: Server;
let peers: Socket[];
let stats: StatBlock;
const dispatcher = new Dispatcher(systemClock);

beforeEach(async () => {
  peers = [];
  stats = new ThreadStats().block(CLUSTER_STATS);
  server = createServer((socket) => {
    socket.on('error', () => {});
    peers.push(socket);
    server.emit('peer', socket);
  });
});
afterEach(async () => {
  for (const peer of peers) peer.destroy();
  if (server.listening) await new Promise((resolve) => server.close(resolve));
});

async function listen(path?: string): Promise<AddressModel> {
  server.listen(path ?? { host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  if (path !== undefined) return { kind: 'pipe', path, mode: 0 };
  return { kind: 'socket', host: '127.0.0.1', port: (server.address() as AddressInfo).port, ipv4Compat: false };
}

function open(address: AddressModel, overrides: Partial<ConnectOptions> = {}) {
  const recorder = new Recorder();
  const options: ConnectOptions = {
    address,
    additionalAddresses: [],
    hostname: '',
    bind: undefined,
    keepalive: undefined,
    bufferLimitBytes: 1 << 20,
    stats,
    connectionId: 7,
    transportSocket: undefined,
    transport: NO_TRANSPORT_OPTIONS,
  };
  const socket = connectUpstream(dispatcher, { ...options, ...overrides }, recorder);
  socket.input = recorder;
  return { recorder, socket };
}

describe('connectUpstream', () => {
  test('connects, carries bytes both ways, and knows its addresses', async () => {
    const address = await listen();
    const peer = once(server, 'peer') as Promise<[Socket]>;
    const { recorder, socket } = open(address);
    await recorder.connected.promise;
    const port = (server.address() as AddressInfo).port;
    expect(recorder.info).toMatchObject({ id: 7, remoteAddress: `127.0.0.1:${port}`, remotePort: port });
    expect(recorder.info!.localAddress).toMatch(/^127\.0\.0\.1:\d+$/);
    const [remote] = await peer;
    socket.write('caf\xe9');
    expect((await once(remote, 'data'))[0]).toEqual(Buffer.from('caf\xe9', 'latin1'));
    remote.write('hello');
    await recorder.received.promise;
    expect(recorder.chunks[0]!.toString()).toBe('hello');
    const { at } = CLUSTER_STATS;
    expect([stats.get(at.upstream_cx_tx_bytes_total), stats.get(at.upstream_cx_rx_bytes_total)]).toEqual([4, 5]);
    expect(stats.get(at.upstream_cx_rx_bytes_buffered)).toBe(5);
    socket.close('abort');
    expect((await recorder.closed.promise).local).toBe(true);
    expect(recorder.log).toEqual(['input closed', 'closed']);
    expect(stats.get(at.upstream_cx_rx_bytes_buffered)).toBe(0);
  });

  test('a chunk that is kept stays as it is; one that is not is overwritten by the next', async () => {
    const address = await listen();
    const peer = once(server, 'peer') as Promise<[Socket]>;
    const { recorder, socket } = open(address);
    const [remote] = await peer;
    for (const [text, keep] of [
      ['one', true],
      ['two', false],
      ['333', false],
    ] as const) {
      recorder.keep = keep;
      const { promise } = recorder.received;
      remote.write(text);
      await promise;
    }
    expect(recorder.chunks.map(String)).toEqual(['one', '333', '333']);
    socket.close('abort');
    await recorder.closed.promise;
  });

  test('the end of the peer is an end, then a close that is not ours', async () => {
    const address = await listen();
    server.on('peer', (socket: Socket) => socket.end('bye'));
    const { recorder } = open(address);
    expect((await recorder.closed.promise).local).toBe(false);
    expect(recorder.chunks.map(String)).toEqual(['bye']);
    expect(recorder.log).toEqual(['end', 'input closed', 'closed']);
  });

  test('a close in answer to the end of the peer is still the work of the peer', async () => {
    const address = await listen();
    server.on('peer', (socket: Socket) => socket.end());
    const { recorder, socket } = open(address);
    recorder.onEnd = () => socket.close('abort');
    expect((await recorder.closed.promise).local).toBe(false);
  });

  test('a paused socket reads nothing; pauses are counted', async () => {
    const address = await listen();
    const peer = once(server, 'peer') as Promise<[Socket]>;
    const { recorder, socket } = open(address);
    await recorder.connected.promise;
    socket.pauseRead();
    socket.pauseRead();
    const [remote] = await peer;
    await new Promise<void>((resolve) => remote.write('x'.repeat(1000), () => resolve()));
    socket.resumeRead();
    // A write that came back from the kernel later than this would have been read by now.
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    expect(recorder.chunks).toEqual([]);
    const { promise } = recorder.received;
    socket.resumeRead();
    await promise;
    expect(recorder.chunks.length).toBe(1);
    socket.close('abort');
    await recorder.closed.promise;
  });

  test('a write over the high watermark says so and drains once the peer reads', async () => {
    const address = await listen();
    const peer = once(server, 'peer') as Promise<[Socket]>;
    const { recorder, socket } = open(address, { bufferLimitBytes: 64 * 1024 });
    await recorder.connected.promise;
    const [remote] = await peer;
    remote.pause();
    const chunk = Buffer.alloc(1 << 20);
    let accepted = true;
    for (let i = 0; i < 64 && accepted; i++) accepted = socket.write(chunk);
    expect(accepted).toBe(false);
    expect(stats.get(CLUSTER_STATS.at.upstream_cx_tx_bytes_buffered)).toBeGreaterThan(0);
    remote.resume();
    await recorder.drained.promise;
    expect(stats.get(CLUSTER_STATS.at.upstream_cx_tx_bytes_buffered)).toBe(0);
    socket.close('abort');
    await recorder.closed.promise;
  });

  test('close after flush: all that was written arrives', async () => {
    const address = await listen();
    const peer = once(server, 'peer') as Promise<[Socket]>;
    const { recorder, socket } = open(address);
    await recorder.connected.promise;
    const [remote] = await peer;
    const size = 8 << 20;
    let received = 0;
    remote.on('data', (chunk: Buffer) => (received += chunk.length));
    socket.write(Buffer.alloc(size));
    socket.close('flush');
    await once(remote, 'close');
    expect(received).toBe(size);
  });

  test('a closed port, in the words of Envoy', async () => {
    const address = await listen();
    await new Promise((resolve) => server.close(resolve));
    const { recorder } = open(address);
    expect(await recorder.closed.promise).toEqual({
      local: false,
      failure: { local: false, bind: false, reason: 'delayed connect error: Connection refused' },
    });
  });

  test('a source address that is not ours is a failure of our own', async () => {
    const address = await listen();
    const { recorder } = open(address, { bind: { address: '203.0.113.7', port: 0 } });
    expect(await recorder.closed.promise).toEqual({
      local: true,
      failure: {
        local: true,
        bind: true,
        reason: 'failed to bind to 203.0.113.7:0: Cannot assign requested address',
      },
    });
    expect(stats.get(CLUSTER_STATS.at.bind_errors)).toBe(1);
  });

  test('binds to a source address', async () => {
    const address = await listen();
    const { recorder, socket } = open(address, { bind: { address: '127.0.0.3', port: 0 } });
    await recorder.connected.promise;
    expect(recorder.info!.localIp).toBe('127.0.0.3');
    socket.close('abort');
    await recorder.closed.promise;
  });

  test('Unix sockets, there and not there', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'upstream-'));
    try {
      const path = join(folder, 's.sock');
      const missing = open({ kind: 'pipe', path, mode: 0 });
      expect((await missing.recorder.closed.promise).failure?.reason).toBe(
        `immediate connect error: No such file or directory|remote address:${path}`,
      );
      const { recorder, socket } = open(await listen(path));
      await recorder.connected.promise;
      expect(recorder.info!.remoteAddress).toBe(path);
      socket.close('abort');
      await recorder.closed.promise;
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('half-close', () => {
  const halfOpen = async (): Promise<{
    recorder: Recorder;
    socket: ReturnType<typeof open>['socket'];
    remote: Socket;
  }> => {
    server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => {});
      peers.push(socket);
      server.emit('peer', socket);
    });
    const address = await listen();
    const peer = once(server, 'peer') as Promise<[Socket]>;
    const { recorder, socket } = open(address);
    recorder.allowsHalfClose = true;
    await recorder.connected.promise;
    return { recorder, socket, remote: (await peer)[0] };
  };

  test('the peer ends first: we still write, and the end is ours', async () => {
    const { recorder, socket, remote } = await halfOpen();
    remote.end('last words');
    await recorder.ended.promise;
    socket.write('still here');
    expect(String((await once(remote, 'data'))[0])).toBe('still here');
    socket.endWrite();
    expect(await recorder.closed.promise).toEqual({ local: true, failure: undefined });
    expect(recorder.chunks.map(String)).toEqual(['last words']);
  });

  test("we end first: we still read, and the end is the peer's", async () => {
    const { recorder, socket, remote } = await halfOpen();
    socket.write('question');
    socket.endWrite();
    socket.endWrite();
    expect(socket.write('lost')).toBe(true);
    let asked = '';
    remote.on('data', (chunk) => (asked += String(chunk)));
    await once(remote, 'end');
    expect(asked).toBe('question');
    remote.end('answer');
    expect(await recorder.closed.promise).toEqual({ local: false, failure: undefined });
    expect(recorder.chunks.map(String)).toEqual(['answer']);
  });
});

/** Plain bytes, with whatever else a test wants. */
function transport(
  overrides: Partial<UpstreamTransportConnection>,
  isReady = true,
): UpstreamTransportSocket & { readonly hostnames: string[] } {
  const hostnames: string[] = [];
  return {
    hostnames,
    model: { kind: 'raw-buffer' },
    isReady,
    isSecure: false,
    connect(options, hostname) {
      hostnames.push(hostname);
      return {
        socket: connect(options as TcpSocketConnectOpts),
        readyEvent: 'connect',
        describe: () => undefined,
        verify: () => undefined,
        explain: () => undefined,
        preamble: undefined,
        ...overrides,
      };
    },
    close() {},
  };
}

describe('with a transport socket', () => {
  test('its preamble goes first, and what it established is known', async () => {
    const address = await listen();
    const peer = once(server, 'peer') as Promise<[Socket]>;
    const tls = { alpn: 'h2' } as NonNullable<ConnectionInfo['tls']>;
    const transportSocket = transport({ preamble: Buffer.from('PROXY\r\n'), describe: () => tls });
    const { recorder, socket } = open(address, { transportSocket, hostname: 'a.example' });
    await recorder.connected.promise;
    expect(recorder.info!.tls).toBe(tls);
    expect(transportSocket.hostnames).toEqual(['a.example']);
    socket.write('hello');
    const [remote] = await peer;
    let received = '';
    remote.on('data', (chunk) => (received += String(chunk)));
    socket.close('flush');
    await recorder.closed.promise;
    await once(remote, 'end');
    expect(received).toBe('PROXY\r\nhello');
  });

  test('a peer that it refuses is a failed connection', async () => {
    const address = await listen();
    const { recorder } = open(address, { transportSocket: transport({ verify: () => 'TLS_error: not you' }) });
    expect(await recorder.closed.promise).toEqual({
      local: false,
      failure: { local: false, bind: false, reason: 'TLS_error: not you' },
    });
    expect(recorder.info).toBeUndefined();
  });

  test('it explains errors', async () => {
    const address = await listen();
    await new Promise((resolve) => server.close(resolve));
    const { recorder } = open(address, {
      transportSocket: transport({ explain: (error) => `TLS_error: ${error.code}` }),
    });
    expect((await recorder.closed.promise).failure?.reason).toBe('TLS_error: ECONNREFUSED');
  });

  test('without its secrets there is no connection', async () => {
    const address = await listen();
    let accepted = 0;
    server.on('peer', () => accepted++);
    const { recorder } = open(address, { transportSocket: transport({}, false) });
    expect(await recorder.closed.promise).toEqual({
      local: false,
      failure: { local: false, bind: false, reason: 'TLS error: Secret is not supplied by SDS' },
    });
    expect(accepted).toBe(0);
  });
});

describe('several addresses', () => {
  const at = (host: string, port = 80): AddressModel => ({ kind: 'socket', host, port, ipv4Compat: false });

  test('families alternate, beginning with that of the first', () => {
    const names = (list: readonly AddressModel[]): string[] =>
      interleaveFamilies(list).map((address) => (address.kind === 'socket' ? address.host : address.path));
    expect(names(['::1', '::2', '10.0.0.1', '::3', '10.0.0.2', '10.0.0.3'].map((ip) => at(ip)))).toEqual([
      '::1',
      '10.0.0.1',
      '::2',
      '10.0.0.2',
      '::3',
      '10.0.0.3',
    ]);
    expect(names([at('10.0.0.1'), at('::1')])).toEqual(['10.0.0.1', '::1']);
  });

  test('the next is tried when one fails, and the first that connects stays', async () => {
    const address = await listen();
    const peer = once(server, 'peer') as Promise<[Socket]>;
    const { recorder, socket } = open(at('127.0.0.1', 1), { additionalAddresses: [at('127.0.0.2', 1), address] });
    await recorder.connected.promise;
    socket.input = recorder;
    const [remote] = await peer;
    remote.write('hi');
    await recorder.received.promise;
    socket.write('ho');
    expect(String((await once(remote, 'data'))[0])).toBe('ho');
    remote.end();
    expect(await recorder.closed.promise).toEqual({ local: false, failure: undefined });
  });

  test('all fail: the last one tells why', async () => {
    const { recorder } = open(at('127.0.0.1', 1), { additionalAddresses: [at('127.0.0.2', 1)] });
    expect((await recorder.closed.promise).failure?.reason).toBe('delayed connect error: Connection refused');
  });
});
