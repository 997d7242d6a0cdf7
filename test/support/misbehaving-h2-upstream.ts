import { once } from 'node:events';
import {
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';

export interface MisbehavingH2Options {
  readonly maxConcurrentStreams?: number;
  /** PEM; over TLS then, and HTTP/1.1 for those who don't offer h2. */
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer };
}

/**
 * An HTTP/2 server that does what a request's path says, however rude: `/rst/<code>`, `/goaway` (after the response),
 * `/refuse` (GOAWAY instead of one), `/kill`, `/half` (kills it amid the body), `/slow`, `/trailers`, `/status/<n>`,
 * `/echo`, `/headers` (answers with what it got).
 */
export class MisbehavingH2Upstream implements AsyncDisposable {
  readonly port: number;
  readonly #server: Http2Server | Http2SecureServer;

  private constructor(server: Http2Server | Http2SecureServer) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
  }

  static async start({ maxConcurrentStreams = 100, tls }: MisbehavingH2Options = {}): Promise<MisbehavingH2Upstream> {
    const sessions = new Set<{ destroy(): void }>();
    const settings = { maxConcurrentStreams };
    const server =
      tls === undefined ? createServer({ settings }) : createSecureServer({ ...tls, settings, allowHTTP1: true });
    if (tls !== undefined)
      server.on('request', (request, response) => {
        if (request.httpVersionMajor === 1) response.end('HTTP/1');
      });
    server.on('session', (session) => {
      sessions.add(session);
      session.on('error', () => {});
      session.on('close', () => sessions.delete(session));
    });
    server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      stream.on('error', () => {});
      respond(stream, headers);
    });
    const { close } = server;
    server.close = (callback) => {
      for (const session of sessions) session.destroy();
      return close.call(server, callback);
    };
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new MisbehavingH2Upstream(server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function respond(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  const [, what, argument] = (headers[':path'] as string).split('/');
  const { session } = stream;
  switch (what) {
    case 'rst':
      stream.close(Number(argument));
      return;
    case 'goaway':
      stream.respond({ ':status': 200 });
      stream.end('bye', () => session?.goaway(0));
      return;
    case 'refuse':
      session?.goaway(0, 0);
      setTimeout(() => session?.destroy(), 20);
      return;
    case 'kill':
      session?.destroy();
      return;
    case 'half':
      stream.respond({ ':status': 200 });
      stream.write('half of the', () => setTimeout(() => session?.destroy(), 20));
      return;
    case 'slow':
      setTimeout(() => {
        stream.respond({ ':status': 200 });
        stream.end('slow');
      }, 150);
      return;
    case 'trailers':
      stream.respond({ ':status': 200 }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-trailer': 'yes' }));
      stream.end('with trailers');
      return;
    case 'status':
      stream.respond({ ':status': Number(argument) }, { endStream: true });
      return;
    case 'echo':
      stream.respond({ ':status': 200 });
      stream.pipe(stream);
      return;
    case 'headers': {
      const names = Object.keys(headers).filter((name) => name !== 'x-request-id');
      // The order of pseudo-headers means nothing.
      names.sort((a, b) => (a.startsWith(':') && b.startsWith(':') ? (a < b ? -1 : 1) : 0));
      stream.respond({ ':status': 200 });
      stream.end(names.map((name) => `${name}: ${String(headers[name])}\n`).join(''));
      return;
    }
    default:
      stream.respond({ ':status': 200, 'content-type': 'text/plain' });
      stream.end('ok');
  }
}
