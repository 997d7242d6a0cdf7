import {
  connect,
  constants,
  createServer,
  type ClientHttp2Session,
  type Http2Server,
  type ServerHttp2Stream,
} from 'node:http2';
import { connect as connectSocket, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../../../src/lib/clock.ts';
import { SystemRandom } from '../../../../src/lib/random.ts';
import { H2ClientConnection } from '../../../../src/proxy/codec/h2/client.ts';
import type { H2Stream } from '../../../../src/proxy/codec/h2/stream.ts';
import { Dispatcher } from '../../../../src/proxy/dispatcher.ts';
import type { HeaderMap } from '../../../../src/proxy/http/headers.ts';
import { ThreadStats } from '../../../../src/telemetry/stats/arena.ts';
import { HTTP2_CODEC_STATS } from '../../../../src/telemetry/stats/http2-stats.ts';
import { Http2EchoServer, SocketOutput } from '../../../conformance/http2/server.ts';
import { defaultHttp2Settings } from '../../../support/http2-settings.ts';
import { h2Request, response } from './h2-harness.ts';

/** Both sides against nghttp2, which is inside Node. */

describe('our server, its client', () => {
  const server = new Http2EchoServer({ initialStreamWindowSize: 65_535, initialConnectionWindowSize: 70_000 });
  let session: ClientHttp2Session;

  beforeAll(async () => {
    session = connect(`http://127.0.0.1:${await server.listen()}`);
  });
  afterAll(async () => {
    session.close();
    await server.close();
  });

  async function exchange(body: Buffer | undefined): Promise<{ status: number; body: Buffer }> {
    const stream = session.request({ ':path': '/', ':method': body === undefined ? 'GET' : 'POST', cookie: 'a=1' });
    let status = 0;
    stream.on('response', (headers) => (status = Number(headers[':status'])));
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.end(body);
    await once(stream, 'close');
    return { status, body: Buffer.concat(chunks) };
  }

  test('requests one after the other and at once', async () => {
    for (let i = 0; i < 3; i++)
      expect(await exchange(undefined)).toEqual({ status: 200, body: Buffer.from('hello, world') });
    const all = await Promise.all(Array.from({ length: 50 }, (_, i) => exchange(Buffer.alloc(i * 100, 'x'))));
    expect(all.map(({ body }) => body.length)).toEqual(all.map((_, i) => i * 100));
  });

  test('bodies larger than every window, several at once', async () => {
    const bodies = [1, 2, 3].map((value) => Buffer.alloc(700_000, value));
    const answers = await Promise.all(bodies.map((body) => exchange(body)));
    expect(answers.map(({ body }, i) => body.equals(bodies[i]!))).toEqual([true, true, true]);
  });

  test('PING and a reset', async () => {
    await new Promise<void>((resolve, reject) => session.ping((error) => (error === null ? resolve() : reject(error))));
    const stream = session.request({ ':method': 'POST' });
    stream.on('error', () => {});
    stream.close(constants.NGHTTP2_CANCEL);
    await once(stream, 'close');
    expect((await exchange(undefined)).status).toBe(200);
  });
});

describe('our client, its server', () => {
  const stats = new ThreadStats().block(HTTP2_CODEC_STATS, 'http2.');
  const dispatcher = new Dispatcher(systemClock, { afterInput: (callback) => void setImmediate(callback) });
  const owner: string[] = [];
  let server: Http2Server;
  let client: H2ClientConnection;
  let close: () => void;

  beforeAll(async () => {
    server = createServer({ settings: { enableConnectProtocol: true, initialWindowSize: 40_000 } });
    server.on('stream', (stream: ServerHttp2Stream, headers) => {
      stream.on('error', () => {});
      if (headers[':path'] === '/reset') return stream.close(constants.NGHTTP2_REFUSED_STREAM);
      if (headers[':path'] === '/hints') stream.additionalHeaders({ ':status': 103, link: 'x' });
      stream.respond(
        { ':status': 200, 'x-method': headers[':method'], 'x-cookie': headers.cookie ?? '' },
        { waitForTrailers: true },
      );
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.pipe(stream);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const socket = connectSocket((server.address() as AddressInfo).port, '127.0.0.1');
    await once(socket, 'connect');
    dispatcher.begin();
    client = new H2ClientConnection(
      new SocketOutput(socket),
      dispatcher,
      { ...defaultHttp2Settings, initialStreamWindowSize: 65_535, initialConnectionWindowSize: 80_000 },
      {
        onStreamEnd: (_stream, reason) => owner.push(reason ?? 'complete'),
        onSettings: () => owner.push('settings'),
        onGoAway: () => owner.push('goaway'),
        onProtocolError: () => owner.push('protocol error'),
        onKeepaliveTimeout: () => {},
      },
      stats,
      new SystemRandom(),
    );
    dispatcher.end();
    socket.on('data', (chunk: Buffer) => dispatcher.turn(() => client.onData(chunk)));
    socket.on('drain', () => dispatcher.turn(() => client.onDrain()));
    socket.on('close', () => dispatcher.turn(() => client.onClose()));
    close = () => socket.destroy();
  });
  afterAll(() => {
    close();
    server.close();
  });

  async function exchange(headers: HeaderMap, body?: Buffer): Promise<{ events: string[]; body: Buffer }> {
    const events: string[] = [];
    const chunks: Buffer[] = [];
    await new Promise<void>((resolve) => {
      const finish = (event: string): void => {
        events.push(event);
        resolve();
      };
      let stream: H2Stream | undefined;
      const rest = { left: body ?? Buffer.alloc(0) };
      const send = (): void => {
        while (rest.left.length > 0) {
          const part = rest.left.subarray(0, 50_000);
          rest.left = rest.left.subarray(50_000);
          if (!stream!.sendData(part, false)) return;
        }
        stream!.sendTrailers(response(0, [['t', '1']]));
      };
      dispatcher.turn(() => {
        stream = client.newStream({
          onInformational: ({ status }) => events.push(String(status)),
          onHeaders: ({ status }, end) => (end ? finish : (event: string) => events.push(event))(String(status)),
          onData(chunk, end) {
            chunks.push(Buffer.from(chunk));
            if (end) finish('end');
          },
          onTrailers: (trailers) => finish([...trailers.entries()].join()),
          onReset: finish,
          onWritable: send,
        });
        stream.sendHeaders(headers, body === undefined);
        if (body !== undefined) send();
      });
    });
    return { events, body: Buffer.concat(chunks) };
  }

  test('headers, 1xx and trailers', async () => {
    expect((await exchange(h2Request('GET', '/hints'))).events).toEqual(['103', '200', 'grpc-status,0']);
    expect(owner[0]).toBe('settings');
    expect(client.peerAllowsConnect).toBe(true);
  });

  test('bodies larger than every window, several at once', async () => {
    const bodies = [1, 2, 3].map((value) => Buffer.alloc(600_000, value));
    const answers = await Promise.all(bodies.map((body) => exchange(h2Request('POST', '/'), body)));
    expect(answers.map(({ body }, i) => body.equals(bodies[i]!))).toEqual([true, true, true]);
    await expect.poll(() => owner.slice(1)).toEqual(['complete', 'complete', 'complete', 'complete']);
  });

  test('a refused stream', async () => {
    expect((await exchange(h2Request('GET', '/reset'))).events).toEqual(['remote refused stream reset']);
  });
});
