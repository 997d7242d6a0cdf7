import { once } from 'node:events';
import {
  createServer,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { text } from 'node:stream/consumers';

/** What every handler of a service gets. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
  /** Of the groups in the route's pattern. */
  readonly params: Readonly<Record<string, string>>;
  /** The headers to pass on to the services that this one calls. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface Route {
  readonly method: string;
  /** Of the whole path; its named groups become `params`. */
  readonly pattern: RegExp;
  handle(exchange: Exchange): Promise<void> | void;
}

export interface Answer {
  /** 0: there was none. */
  readonly status: number;
  readonly body: string;
}

/**
 * What joins the calls of one request into one trace, and what rules of the mesh match on. A sidecar can't know which
 * request made a service call another: passing these on is all that a service has to do for a mesh.
 */
const PASSED_ON = [
  'x-request-id',
  'x-ot-span-context',
  'x-b3-traceid',
  'x-b3-spanid',
  'x-b3-parentspanid',
  'x-b3-sampled',
  'x-b3-flags',
  'b3',
  'traceparent',
  'tracestate',
  'x-cloud-trace-context',
  'grpc-trace-bin',
  'x-datadog-trace-id',
  'x-datadog-parent-id',
  'x-datadog-sampling-priority',
  'sw8',
  'end-user',
  'user-agent',
  'cookie',
  'authorization',
  'jwt',
];

/** Serves the routes on loopback; 404 for everything else, 500 for a handler that fails. */
export async function serve(port: number, routes: readonly Route[]): Promise<Server> {
  const server = createServer((request, response) => {
    void answer(request, response, routes).catch((error: unknown) => {
      console.error(error instanceof Error ? error.message : error);
      if (!response.headersSent) sendJson(response, 500, { error: 'internal error' });
      else response.destroy();
    });
  });
  // The sidecar keeps its connections; a server that closed them first would fail a request now and then.
  server.keepAliveTimeout = 0;
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

async function answer(request: IncomingMessage, response: ServerResponse, routes: readonly Route[]): Promise<void> {
  const url = URL.parse(request.url ?? '', 'http://localhost');
  for (const { method, pattern, handle } of url === null ? [] : routes) {
    const match = pattern.exec(url!.pathname);
    if (match === null || (method !== request.method && !(method === 'GET' && request.method === 'HEAD'))) continue;
    await handle({ request, response, url: url!, params: { ...match.groups }, headers: passedOn(request.headers) });
    return;
  }
  sendJson(response, 404, { error: 'not found' });
}

export function passedOn(headers: IncomingHttpHeaders): Record<string, string> {
  const result: Record<string, string> = {};
  for (const name of PASSED_ON) {
    const value = headers[name];
    if (typeof value === 'string') result[name] = value;
  }
  return result;
}

/** GETs `url`. Never rejects: whatever goes wrong is an answer with the status 0. */
export async function call(url: string, headers: Readonly<Record<string, string>>, timeoutMs: number): Promise<Answer> {
  try {
    const request = httpRequest(url, { headers: { ...headers }, signal: AbortSignal.timeout(timeoutMs) });
    request.end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    return { status: response.statusCode ?? 0, body: await text(response) };
  } catch {
    return { status: 0, body: '' };
  }
}

export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

export function sendHtml(response: ServerResponse, status: number, html: string): void {
  response.writeHead(status, { 'content-type': 'text/html; charset=utf-8' }).end(html);
}
