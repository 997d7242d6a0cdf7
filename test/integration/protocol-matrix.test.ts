import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import * as http from 'node:http';
import * as http2 from 'node:http2';
import * as https from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createProxy, type Proxy } from '../../src/index.ts';
import { eventually } from '../support/eventually.ts';
import { cluster, http2Upstream, listener, proxyConfig } from '../support/proxy-config.ts';
import { certificateFiles, downstreamTls, upstreamTls } from '../support/tls-config.ts';

const PROTOCOLS = ['h1', 'h1s', 'h2c', 'h2'] as const;
type Protocol = (typeof PROTOCOLS)[number];
const PAIRS = PROTOCOLS.flatMap((client) => PROTOCOLS.map((upstream) => [client, upstream] as const));

const isSecure = (protocol: Protocol): boolean => protocol === 'h1s' || protocol === 'h2';
const isHttp2 = (protocol: Protocol): boolean => protocol.startsWith('h2');
const MIB = 1024 * 1024;
const SIZE = 10 * MIB;
const PIECE = Buffer.alloc(256 * 1024);
for (let i = 0; i < PIECE.length; i++) PIECE[i] = (i * 31 + (i >> 8)) & 0xff;

const EXPECTED = ((): string => {
  const hash = createHash('sha256');
  for (let sent = 0; sent < SIZE; sent += PIECE.length) hash.update(PIECE);
  return `${SIZE} ${hash.digest('hex')}`;
})();

async function sizeAndHash(chunks: AsyncIterable<Buffer>): Promise<string> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of chunks) {
    hash.update(chunk);
    size += chunk.length;
  }
  return `${size} ${hash.digest('hex')}`;
}

/** Sends SIZE bytes as fast as they are taken. */
async function pour(target: Writable): Promise<void> {
  for (let sent = 0; sent < SIZE; sent += PIECE.length)
    if (!target.write(PIECE)) await Promise.race([once(target, 'drain'), once(target, 'close')]);
  target.end();
}

/** A request and response of either version, as the handler of an upstream sees them. */
type Handler = (path: string, request: Readable, respond: (status: number) => Writable, reset: () => void) => void;

const handle: Handler = (path, request, respond, reset) => {
  request.on('error', () => {});
  if (path === '/echo') request.pipe(respond(200));
  else if (path === '/download')
    // Cut off by the client, in one of the tests.
    pour(respond(200)).catch(() => {});
  else if (path === '/upload')
    void sizeAndHash(request).then(
      (text) => respond(200).end(text),
      () => {},
    );
  else if (path === '/reset-at-once') reset();
  else if (path === '/reset-midway') {
    respond(200).write('begun');
    setTimeout(reset, 20);
  } else if (path === '/early') respond(413).end('too much');
  else if (path === '/hang') request.resume();
  else respond(200).end('hello');
};

function startUpstream(protocol: Protocol): Server {
  const { serverCert, serverKey } = certificateFiles();
  const secure = isSecure(protocol) ? { cert: readFileSync(serverCert), key: readFileSync(serverKey) } : {};
  let server: Server;
  if (isHttp2(protocol)) {
    const created = isSecure(protocol) ? http2.createSecureServer(secure) : http2.createServer();
    created.on('stream', (incoming: http2.Http2Stream, headers: http2.IncomingHttpHeaders) => {
      const stream = incoming as http2.ServerHttp2Stream;
      stream.on('error', () => {});
      const respond = (status: number): Writable => {
        if (!stream.destroyed) stream.respond({ ':status': status });
        return stream;
      };
      handle(headers[':path']!, stream, respond, () => stream.destroy(new Error('reset')));
    });
    server = created;
  } else {
    const onRequest = (request: http.IncomingMessage, response: http.ServerResponse): void => {
      response.on('error', () => {});
      const respond = (status: number): Writable => response.writeHead(status);
      handle(request.url!, request, respond, () => request.socket.destroy());
    };
    server = isSecure(protocol) ? https.createServer(secure, onRequest) : http.createServer(onRequest);
  }
  return server.listen(0, '127.0.0.1');
}

interface Response {
  readonly status: number;
  readonly body: Readable;
}

/** One client connection of a protocol. */
interface Client {
  /** Sends headers; the request goes on through `body`. */
  send(method: string, path: string): { readonly body: Writable; readonly response: Promise<Response>; abort(): void };
  close(): void;
}

function connectClient(protocol: Protocol, port: number): Client {
  const ca = readFileSync(certificateFiles().ca);
  if (isHttp2(protocol)) {
    const scheme = isSecure(protocol) ? 'https' : 'http';
    const session = http2.connect(`${scheme}://localhost:${port}`, { ca, lookup });
    session.on('error', () => {});
    return {
      send: (method, path) => {
        const stream = session.request({ ':method': method, ':path': path }, { endStream: method === 'GET' });
        stream.on('error', () => {});
        const response = new Promise<Response>((resolve, reject) => {
          stream.once('response', (headers) => resolve({ status: headers[':status']!, body: stream }));
          stream.once('close', () => reject(new Error(`stream closed with ${stream.rstCode}`)));
        });
        response.catch(() => {});
        return { body: stream, response, abort: () => stream.close(http2.constants.NGHTTP2_CANCEL) };
      },
      close: () => session.destroy(),
    };
  }
  const agent = isSecure(protocol) ? new https.Agent({ keepAlive: true, ca }) : new http.Agent({ keepAlive: true });
  const { request } = isSecure(protocol) ? https : http;
  return {
    send: (method, path) => {
      const message = request({ host: 'localhost', lookup, port, method, path, agent });
      const response = new Promise<Response>((resolve, reject) => {
        message.once('response', (incoming) => resolve({ status: incoming.statusCode!, body: incoming }));
        message.on('error', reject);
      });
      response.catch(() => {});
      if (method === 'GET') message.end();
      else message.flushHeaders();
      return { body: message, response, abort: () => message.destroy() };
    },
    close: () => agent.destroy(),
  };
}

const lookup = ((
  _name: string,
  options: { all?: boolean },
  done: (error: null, address: unknown, family?: number) => void,
) => (options.all === true ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4))) as never;

let proxy: Proxy;
const upstreams = new Map<Protocol, Server>();

beforeAll(async () => {
  for (const protocol of PROTOCOLS) {
    const server = startUpstream(protocol);
    await once(server, 'listening');
    upstreams.set(protocol, server);
  }
  const clusters = PROTOCOLS.map((protocol) =>
    cluster(protocol, (upstreams.get(protocol)!.address() as AddressInfo).port, {
      ...(isHttp2(protocol) && http2Upstream()),
      ...(isSecure(protocol) && { transport_socket: upstreamTls({ alpn: [isHttp2(protocol) ? 'h2' : 'http/1.1'] }) }),
    }),
  );
  const listeners = PAIRS.map(([client, upstream]) =>
    listener(`${client}-${upstream}`, {
      routes: [{ match: { prefix: '/' }, route: { cluster: upstream, timeout: '0s' } }],
      listener: { per_connection_buffer_limit_bytes: 64 * 1024 },
      filterChain: isSecure(client) ? { transport_socket: downstreamTls({ alpn: ['h2', 'http/1.1'] }) } : {},
    }),
  );
  proxy = await createProxy({ config: proxyConfig({ listeners, clusters }) });
});

afterAll(async () => {
  await proxy?.close();
  for (const server of upstreams.values()) server.close();
});

const quiet = (name: string, upstream: string): Promise<boolean> =>
  eventually(
    'no request under way',
    () =>
      proxy.stat(`http.${name}.downstream_rq_active`) === 0 &&
      proxy.stat(`cluster.${upstream}.upstream_rq_active`) === 0,
  );

describe.each(PAIRS)('%s to %s', (from, to) => {
  const name = `${from}-${to}`;
  let client: Client;
  beforeAll(() => {
    client = connectClient(from, proxy.port(name));
  });
  afterAll(() => client.close());

  const get = async (path: string): Promise<string> => {
    const { status, body } = await client.send('GET', path).response;
    let text = '';
    for await (const chunk of body) text += String(chunk);
    return `${status} ${text}`;
  };

  test('10 MiB up', async () => {
    const { body, response } = client.send('POST', '/upload');
    await pour(body);
    let text = '';
    for await (const chunk of (await response).body) text += String(chunk);
    expect(text).toBe(EXPECTED);
  });

  test('10 MiB both ways at once', async () => {
    const { body, response } = client.send('POST', '/echo');
    const poured = pour(body);
    expect(await sizeAndHash((await response).body)).toBe(EXPECTED);
    await poured;
  });

  test('10 MiB down, to a reader that pauses', async () => {
    const { status, body } = await client.send('GET', '/download').response;
    const hash = createHash('sha256');
    let size = 0;
    for await (const chunk of body as AsyncIterable<Buffer>) {
      const pieces = Math.floor(size / (2 * MIB));
      hash.update(chunk);
      size += chunk.length;
      if (Math.floor(size / (2 * MIB)) !== pieces) await new Promise((wake) => setImmediate(wake));
    }
    expect(`${status} ${size} ${hash.digest('hex')}`).toBe(`200 ${EXPECTED}`);
  });

  test('the upstream resets before its answer', async () => {
    expect(await get('/reset-at-once')).toMatch(/^503 upstream connect error or disconnect\/reset before headers/);
    await quiet(name, to);
  });

  test('the upstream resets midway', async () => {
    const { body } = await client.send('GET', '/reset-midway').response;
    await expect(sizeAndHash(body)).rejects.toThrow();
    await quiet(name, to);
  });

  test('the client gives up while its request, or its answer, is under way', async () => {
    const hanging = client.send('POST', '/hang');
    hanging.body.on('error', () => {});
    hanging.body.write('some');
    await eventually('the request upstream', () => proxy.stat(`cluster.${to}.upstream_rq_active`) === 1);
    hanging.abort();
    await quiet(name, to);
    const download = client.send('GET', '/download');
    const { body } = await download.response;
    body.on('error', () => {});
    await once(body, 'data');
    download.abort();
    await quiet(name, to);
  });

  test('... and the next request is served', async () => {
    expect(await get('/')).toBe('200 hello');
  });
});
