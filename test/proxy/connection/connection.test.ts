import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DownstreamConnectionInfo } from '../../../src/proxy/connection/connection-info.ts';
import type { TlsInfo } from '../../../src/filters/stream-info.ts';
import { Connection, type TransportSettings } from '../../../src/proxy/connection/connection.ts';
import { currentRead } from '../../../src/proxy/codec/read-buffer.ts';
import type { ConnectionInput } from '../../../src/proxy/codec/connection-io.ts';
import type { HandshakeOwner } from '../../../src/proxy/transport-socket/transport-socket.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { TestWorker } from '../../support/worker.ts';
import { eventually } from '../../support/eventually.ts';

/** Two ends of one TCP connection: a bare socket, and a Connection whose input is recorded. */
class Pair implements ConnectionInput, AsyncDisposable {
  readonly clock = new FakeClock();
  readonly worker = new TestWorker(this.clock);
  readonly events: string[] = [];
  timeouts = 0;
  readonly client: Socket;
  readonly connection: Connection;
  readonly closed: Promise<void>;
  allowsHalfClose = false;
  /** Runs instead of recording. */
  onBytes: ((chunk: Buffer) => void) | undefined = undefined;
  #wake: (() => void) | undefined = undefined;

  private constructor(client: Socket, accepted: Socket, delayedCloseTimeoutMs: number, transport?: TransportSettings) {
    this.client = client;
    client.on('error', () => {});
    const { dispatcher, log } = this.worker.context;
    let settle: () => void;
    this.closed = new Promise((resolve) => (settle = resolve));
    this.connection = new Connection(accepted, new DownstreamConnectionInfo(1, accepted, '', dispatcher.now), {
      dispatcher,
      log,
      bufferLimit: 1024,
      delayedCloseTimeoutMs,
      onDelayedCloseTimeout: () => void this.timeouts++,
      shouldDrain: () => false,
      transport,
      onClosed: () => settle(),
    });
    this.connection.start(this);
  }

  static async open(delayedCloseTimeoutMs = 1000, transport?: TransportSettings): Promise<Pair> {
    const server = createServer({ allowHalfOpen: true, highWaterMark: 1024 }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true });
    const [accepted] = (await once(server, 'connection')) as [Socket];
    await (client.connecting ? once(client, 'connect') : undefined);
    server.close();
    return new Pair(client, accepted, delayedCloseTimeoutMs, transport);
  }

  onData(chunk: Buffer): void {
    this.#record(`data ${chunk.toString('latin1')}`);
    this.onBytes?.(chunk);
  }
  onEnd(): void {
    this.#record('end');
  }
  onDrain(): void {
    this.#record('drain');
  }
  onClose(): void {
    this.#record('close');
  }
  flush(): void {}

  /** Resolves when `event` has been recorded. */
  async until(event: string): Promise<void> {
    while (!this.events.includes(event)) await new Promise<void>((resolve) => (this.#wake = resolve));
  }

  #record(event: string): void {
    this.events.push(event);
    this.#wake?.();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.connection.close('abort');
    this.client.destroy();
    await this.closed;
  }
}

let pair: Pair;
beforeEach(async () => {
  pair = await Pair.open();
});
afterEach(() => pair[Symbol.asyncDispose]());

/** What the client gets until our end closes. */
async function received(client: Socket): Promise<string> {
  let text = '';
  client.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  await once(client, 'end');
  return text;
}

describe('Connection', () => {
  test('carries bytes both ways, a turn for each read, and counts them', async () => {
    const { dispatcher } = pair.worker.context;
    let posted = 0;
    pair.onBytes = () => {
      dispatcher.post(() => posted++);
      expect(posted).toBe(0);
      pair.connection.write('\xe9!');
    };
    pair.client.write('ping');
    const [chunk] = (await once(pair.client, 'data')) as [Buffer];
    expect(chunk).toEqual(Buffer.from([0xe9, 0x21]));
    expect(posted).toBe(1);
    expect(pair.events).toEqual(['data ping']);
    expect([pair.connection.bytesReceived, pair.connection.bytesSent]).toEqual([4, 2]);
  });

  test('knows both addresses', () => {
    const { info } = pair.connection;
    expect(info.remoteAddress).toBe(`127.0.0.1:${pair.client.localPort}`);
    expect(info.localAddress).toBe(`127.0.0.1:${pair.client.remotePort}`);
    expect(info.directRemoteAddress).toBe(info.remoteAddress);
  });

  test('a pause is counted: reading goes on after as many resumes', async () => {
    const { connection, client } = pair;
    connection.pauseRead();
    connection.pauseRead();
    connection.resumeRead();
    client.write('x');
    // A round trip in the other direction gives the byte time to arrive.
    connection.write('y');
    await once(client, 'data');
    expect(pair.events).toEqual([]);
    connection.resumeRead();
    await pair.until('data x');
  });

  test('says when the send buffer is over its limit and when it has drained, and keeps what could not be sent', async () => {
    const { connection, client } = pair;
    client.pause();
    const chunk = Buffer.alloc(1 << 20, 0x61);
    currentRead.kept = false;
    let sent = 0;
    let accepted = true;
    while (accepted) {
      accepted = connection.write(chunk);
      sent += chunk.length;
    }
    expect(currentRead.kept).toBe(true);
    expect(pair.events).toEqual([]);
    let got = 0;
    client.on('data', (data: Buffer) => (got += data.length));
    client.resume();
    await pair.until('drain');
    connection.close('flush-no-delay');
    await once(client, 'end');
    expect(got).toBe(sent);
  });

  test('a peer that ends its half ends the connection', async () => {
    pair.client.end();
    await pair.closed;
    expect(pair.events).toEqual(['end', 'close']);
    expect(pair.connection.closedLocally).toBe(false);
  });

  test('a reset by the peer closes without an error', async () => {
    pair.client.resetAndDestroy();
    await pair.closed;
    expect(pair.events).toEqual(['close']);
    expect(pair.worker.errors).toEqual([]);
  });

  test('what input throws costs its connection only', async () => {
    pair.onBytes = () => {
      throw new Error('bug');
    };
    pair.client.write('x');
    await pair.closed;
    expect(pair.events).toEqual(['data x', 'close']);
    expect(pair.worker.errors[0]).toContain('bug');
    // The dispatcher's turn ended all the same.
    let ran = false;
    pair.worker.context.dispatcher.turn(() => pair.worker.context.dispatcher.post(() => (ran = true)));
    expect(ran).toBe(true);
  });

  describe('close', () => {
    test('"flush-no-delay" sends what was written, then closes', async () => {
      pair.connection.write('bye');
      pair.connection.close('flush-no-delay');
      expect(await received(pair.client)).toBe('bye');
      await pair.closed;
      expect(pair.events).toEqual(['close']);
      expect(pair.connection.closedLocally).toBe(true);
    });

    test('"flush" waits for the peer, throwing away what it still sends', async () => {
      pair.connection.write('bye');
      pair.connection.close('flush');
      await once(pair.client, 'data');
      pair.client.end('more');
      await pair.closed;
      expect(pair.events).toEqual(['close']);
      expect([pair.timeouts, pair.connection.closedLocally]).toEqual([0, false]);
      expect(pair.clock.pending).toBe(0);
    });

    test('"flush" waits no longer than the delayed-close time', async () => {
      pair.connection.write('bye');
      pair.connection.close('flush');
      await once(pair.client, 'data');
      pair.clock.advance(999);
      expect(pair.timeouts).toBe(0);
      pair.clock.advance(2);
      expect(pair.timeouts).toBe(1);
      await pair.closed;
      expect(pair.events).toEqual(['close']);
    });

    test('"flush" reads no more than a little of a peer that sends without end', async () => {
      pair.connection.write('bye');
      pair.connection.close('flush');
      await once(pair.client, 'data');
      // More than what is thrown away and what the buffers of both sockets hold.
      const sent = 64 << 20;
      for (let i = 0; i < 64; i++) pair.client.write(Buffer.alloc(1 << 20));
      await eventually('reading to stop', async () => {
        const before = pair.client.bytesWritten - pair.client.writableLength;
        await new Promise((resolve) => setTimeout(resolve, 50));
        return pair.client.bytesWritten - pair.client.writableLength === before;
      });
      expect(pair.client.writableLength).toBeGreaterThan(sent / 2);
      pair.clock.advance(1001);
      await pair.closed;
      expect(pair.timeouts).toBe(1);
    });

    test('"flush" resumes a paused reader, to see the peer close', async () => {
      pair.connection.pauseRead();
      pair.connection.close('flush');
      pair.client.end('x');
      await pair.closed;
      expect(pair.timeouts).toBe(0);
    });

    test('without a delayed-close time "flush" closes at once', async () => {
      await using quick = await Pair.open(0);
      quick.connection.write('bye');
      quick.connection.close('flush');
      expect(await received(quick.client)).toBe('bye');
      await quick.closed;
    });

    test('is idempotent, and "abort" cuts a wait short', async () => {
      pair.connection.close('flush');
      pair.connection.close('flush');
      pair.connection.close('abort');
      pair.connection.close('abort');
      await pair.closed;
      expect(pair.events).toEqual(['close']);
      expect(pair.timeouts).toBe(0);
      expect(pair.connection.write('x')).toBe(true);
      expect(pair.connection.isClosed).toBe(true);
    });
  });

  describe('half-closes', () => {
    test('where the input has use for it, the other direction goes on', async () => {
      pair.allowsHalfClose = true;
      pair.client.end('all');
      await pair.until('end');
      expect(pair.connection.isClosed).toBe(false);
      pair.connection.write('answer');
      pair.connection.endWrite();
      expect(await received(pair.client)).toBe('answer');
      await pair.closed;
      expect(pair.events).toEqual(['data all', 'end', 'close']);
      expect(pair.connection.closedLocally).toBe(true);
    });

    test('after endWrite reading goes on, writing is over', async () => {
      pair.allowsHalfClose = true;
      pair.connection.write('done');
      pair.connection.endWrite();
      pair.connection.endWrite();
      expect(pair.connection.write('late')).toBe(true);
      expect(await received(pair.client)).toBe('done');
      pair.client.end('more');
      await pair.closed;
      expect(pair.events).toEqual(['data more', 'end', 'close']);
      expect(pair.connection.closedLocally).toBe(false);
    });

    test('"flush" waits for no peer that has ended its half', async () => {
      pair.allowsHalfClose = true;
      pair.client.end();
      await pair.until('end');
      pair.connection.write('bye');
      pair.connection.close('flush');
      expect(await received(pair.client)).toBe('bye');
      await pair.closed;
      expect(pair.timeouts).toBe(0);
    });
  });

  test('"reset" resets', async () => {
    const error = once(pair.client, 'error');
    pair.client.resume();
    pair.connection.close('reset', 'why');
    expect(((await error) as [NodeJS.ErrnoException])[0].code).toBe('ECONNRESET');
    await pair.closed;
    expect(pair.connection.closedLocally).toBe(true);
    expect(pair.connection.streamInfo.connectionTerminationDetails).toBe('why');
  });

  describe('over a transport socket', () => {
    let owner: HandshakeOwner;
    let accepted: Socket;
    const transport: TransportSettings = {
      socket: {
        isReady: true,
        wrap: (socket, handshakeOwner) => {
          [accepted, owner] = [socket, handshakeOwner];
        },
        close() {},
      },
      connectTimeoutMs: 500,
      onConnectTimeout: () => pair.events.push('timeout'),
      onHandshakeDone: () => pair.events.push('established'),
    };
    const tls = { version: 'TLSv1.3' } as TlsInfo;
    beforeEach(async () => {
      await pair[Symbol.asyncDispose]();
      pair = await Pair.open(1000, transport);
    });

    test('bytes flow once its handshake is done; what was written before goes first', async () => {
      const { connection, client } = pair;
      expect(connection.isEstablished).toBe(false);
      connection.write('early');
      client.write('hello');
      expect(pair.events).toEqual([]);
      pair.worker.context.dispatcher.turn(() => owner.onHandshakeDone(accepted, tls));
      connection.write(' late');
      await pair.until('data hello');
      expect(pair.events).toEqual(['established', 'data hello']);
      expect(connection.info.tls).toBe(tls);
      connection.close('flush-no-delay');
      expect(await received(client)).toBe('early late');
      expect(pair.clock.pending).toBe(0);
    });

    test('a handshake that fails ends it, and says why', async () => {
      pair.worker.context.dispatcher.turn(() => owner.onHandshakeFailed('TLS_error'));
      await pair.closed;
      expect(pair.connection.info.transportFailureReason).toBe('TLS_error');
      expect([pair.connection.closedLocally, pair.events]).toEqual([false, ['close']]);
    });

    test('a handshake that takes too long ends it', async () => {
      pair.clock.advance(501);
      expect(pair.events).toEqual(['timeout']);
      owner.onHandshakeFailed('');
      await pair.closed;
      const { info, streamInfo, closedLocally } = pair.connection;
      expect([info.transportFailureReason, info.localCloseReason]).toEqual(['', 'transport_socket_timeout']);
      expect(streamInfo.connectionTerminationDetails).toBe('transport socket timeout was reached');
      expect(closedLocally).toBe(true);
    });
  });
});
