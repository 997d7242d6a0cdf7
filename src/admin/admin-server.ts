import { writeFileSync } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { AddressModel } from '../config/common-model.ts';
import type { Clock } from '../lib/clock.ts';
import type { StatsScope } from '../telemetry/stats/stats.ts';
import type { AdminAccessEntry } from './admin-access-entry.ts';
import { adminPages } from './admin-pages.ts';
import { AdminStats } from './admin-stats.ts';
import { parseQuery, textResponse, type AdminPage, type AdminRequest, type AdminResponse } from './page.ts';
import { addressText } from './pages/addresses.ts';
import { helpText } from './pages/home.ts';
import type { AdminSources } from './sources.ts';

/** How long a page may hold the event loop at a time, ms. */
const BUDGET_MS = 4;
/** Text gathered before it is written. */
const CHUNK = 64 * 1024;
/** The largest body that is read; what comes after it is dropped. */
const MAX_BODY = 64 * 1024;

export interface AdminServerOptions {
  readonly sources: AdminSources;
  readonly clock: Clock;
  /** Where the server counts its own connections and requests: the root scope of this thread. */
  readonly scope?: StatsScope;
  /** Pages besides the built-in ones. */
  readonly pages?: readonly AdminPage[];
  readonly onAccess?: (entry: AdminAccessEntry) => void;
  /** A page threw; the client has got a 500. */
  readonly onError?: (path: string, error: unknown) => void;
}

/**
 * Envoy's admin interface. It listens only where it is told to. Every request is answered, whatever it holds; pages that
 * list much are sent in pieces, so that the main thread is never held up for long.
 */
export class AdminServer {
  readonly #options: AdminServerOptions;
  readonly #pages: readonly AdminPage[];
  readonly #byPath: ReadonlyMap<string, AdminPage>;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #stats: AdminStats | undefined;
  #address: AddressModel | undefined;

  constructor(options: AdminServerOptions) {
    this.#options = options;
    this.#stats = options.scope === undefined ? undefined : new AdminStats(options.scope);
    this.#pages = adminPages(options.pages);
    this.#byPath = new Map(this.#pages.map((page) => [page.path, page]));
    this.#server = createServer({ keepAliveTimeout: 60_000, maxHeaderSize: 60 * 1024 }, (request, response) => {
      void this.#serve(request, response);
    });
    this.#server.on('clientError', onClientError);
    this.#server.on('connection', (socket: Socket) => {
      const opened = options.clock.monotonic();
      this.#sockets.add(socket);
      this.#stats?.connectionOpened();
      socket.once('close', () => {
        this.#sockets.delete(socket);
        this.#stats?.connectionClosed(options.clock.monotonic() - opened, socket.bytesRead, socket.bytesWritten);
      });
    });
  }

  /** Where it listens (the real port), once `listen` has resolved. */
  get address(): AddressModel | undefined {
    return this.#address;
  }

  /** Listens on `address` and nowhere else. Rejects with one clear line, for example if the port is in use. */
  async listen(address: AddressModel): Promise<AddressModel> {
    if (address.kind === 'pipe' && !address.path.startsWith('@')) await unlink(address.path).catch(() => {});
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(address, error)));
      const listening = (): void => {
        this.#server.removeAllListeners('error');
        this.#server.on('error', (error) => this.#options.onError?.('', error));
        resolve();
      };
      if (address.kind === 'pipe') this.#server.listen(address.path.replace(/^@/, '\0'), listening);
      else this.#server.listen({ host: address.host, port: address.port, exclusive: true }, listening);
    });
    const bound = this.#server.address() as AddressInfo | string | null;
    this.#address =
      address.kind === 'socket' && bound !== null && typeof bound === 'object'
        ? { ...address, port: bound.port }
        : address;
    return this.#address;
  }

  /** `--admin-address-path`: writes where it listens to a file. Throws if the file can't be written. */
  writeAddressFile(path: string): void {
    if (this.#address !== undefined) writeFileSync(path, addressText(this.#address));
  }

  /** Stops listening and ends every connection. Idempotent. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  /** The answer to a request, as the server gives it; for use without a socket. */
  async respond(method: string, target: string, body = '', contentType = ''): Promise<AdminResponse> {
    const { path, query } = splitTarget(target);
    const page = this.#byPath.get(path);
    if (page === undefined) return textResponse(`invalid path. ${helpText(this.#pages)}`, 404);
    if (page.mutates && method !== 'POST') return textResponse(`Method ${method} not allowed, POST required.`, 405);
    const form = contentType.startsWith('application/x-www-form-urlencoded')
      ? parseQuery(body.replaceAll('+', ' '))
      : new Map<string, string>();
    const request: AdminRequest = { method, query: parseQuery(query), form };
    try {
      return await page.handle(request, this.#options.sources);
    } catch (error) {
      this.#options.onError?.(path, error);
      return textResponse('internal error\n', 500);
    }
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { clock } = this.#options;
    const startEpochMs = clock.epoch();
    const start = clock.monotonic();
    const method = request.method ?? 'GET';
    const target = request.url ?? '/';
    let sent = 0;
    this.#stats?.requestStarted();
    const body = await readBody(request);
    const answer = await this.respond(method, target, body.text, request.headers['content-type'] ?? '');
    this.#stats?.requestAnswered(answer.status);
    try {
      response.sendDate = true;
      response.writeHead(answer.status, {
        'content-type': answer.contentType,
        'cache-control': 'no-cache, max-age=0',
        'x-content-type-options': 'nosniff',
        date: new Date(startEpochMs).toUTCString(),
        server: 'envoy',
        'transfer-encoding': 'chunked',
      });
      if (method !== 'HEAD') sent = await this.#send(response, answer);
    } catch (error) {
      // The client has gone, or a page failed half-way: the response can only be cut off.
      this.#options.onError?.(target, error);
      response.destroy();
    }
    const durationMs = clock.monotonic() - start;
    this.#stats?.requestEnded(durationMs);
    this.#options.onAccess?.({
      startEpochMs,
      durationMs,
      method,
      path: target,
      protocol: `HTTP/${request.httpVersion}`,
      status: answer.status,
      bytesReceived: body.length,
      bytesSent: sent,
      remoteAddress: request.socket.remoteAddress ?? '',
      authority: request.headers.host ?? '',
      userAgent: request.headers['user-agent'] ?? '',
    });
    if (answer.after === undefined || response.destroyed) {
      response.end();
      answer.after?.();
    } else response.end(() => answer.after?.());
  }

  /** Writes the body as fast as the client reads and the event loop's other work allows; returns its length. */
  async #send(response: ServerResponse, { body, tail }: AdminResponse): Promise<number> {
    if (typeof body === 'string') {
      response.write(body);
      return Buffer.byteLength(body);
    }
    const { clock } = this.#options;
    let sent = 0;
    let gathered = '';
    const flush = async (): Promise<void> => {
      if (gathered === '') return;
      const chunk = gathered;
      gathered = '';
      sent += Buffer.byteLength(chunk);
      if (!response.write(chunk) && !response.destroyed) await drained(response);
    };
    let turn = clock.monotonic();
    for (const piece of body) {
      gathered += piece;
      if (gathered.length >= CHUNK) await flush();
      if (response.destroyed) return sent;
      if (clock.monotonic() - turn < BUDGET_MS) continue;
      await new Promise<void>((resolve) => {
        setImmediate(resolve);
      });
      turn = clock.monotonic();
    }
    if (tail !== undefined) gathered += await tail();
    await flush();
    return sent;
  }
}

function onClientError(_error: Error, socket: Socket): void {
  if (socket.writable && socket.bytesWritten === 0)
    socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
  else socket.destroy();
}

function listenError(address: AddressModel, error: NodeJS.ErrnoException): Error {
  const where = addressText(address);
  const reason =
    error.code === 'EADDRINUSE'
      ? 'the address is already in use'
      : error.code === 'EACCES'
        ? 'permission denied'
        : error.code === 'EADDRNOTAVAIL'
          ? 'this machine has no such address'
          : error.message;
  return new Error(`admin: cannot listen on ${where}: ${reason}`, { cause: error });
}

/** The path with slashes merged, dot segments resolved and needless escapes decoded; and the query. */
function splitTarget(target: string): { path: string; query: string } {
  const hash = target.indexOf('#');
  const whole = (hash === -1 ? target : target.slice(0, hash)).replace(/^https?:\/\/[^/?]*/i, '');
  const mark = whole.indexOf('?');
  const raw = mark === -1 ? whole : whole.slice(0, mark);
  const decoded = raw.replaceAll(/%([0-9a-f]{2})/gi, (escape, hex: string) => {
    const char = String.fromCharCode(Number.parseInt(hex, 16));
    return /[\w.~-]/.test(char) ? char : escape;
  });
  const steps: string[] = [];
  const given = decoded.split('/').filter((step) => step !== '');
  for (const step of given) {
    if (step === '..') steps.pop();
    else if (step !== '.') steps.push(step);
  }
  const end = steps.length > 0 && decoded.endsWith('/') ? '/' : '';
  return { path: `/${steps.join('/')}${end}`, query: mark === -1 ? '' : whole.slice(mark + 1) };
}

function readBody(request: IncomingMessage): Promise<{ text: string; length: number }> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const done = (): void => resolve({ text: Buffer.concat(chunks).toString(), length });
    request.on('data', (chunk: Buffer) => {
      if (length < MAX_BODY) chunks.push(chunk.subarray(0, MAX_BODY - length));
      length += chunk.length;
    });
    request.on('end', done);
    request.on('error', done);
    request.on('close', done);
  });
}

/** Resolves when more can be written, or nothing can any more. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.on('drain', done);
    response.on('close', done);
  });
}
