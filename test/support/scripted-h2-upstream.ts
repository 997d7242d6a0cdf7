import { once } from 'node:events';
import { createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';

/**
 * A cleartext HTTP/2 upstream that records each request (pseudo-headers sorted, the other fields in their order) and
 * answers as the request's `x-up` header says. Words, joined by `;`, each `name` or `name:argument`:
 *
 * - `status:503` `header:name=value|name=value` `body:text` `size:N` shape the answer (200 `upstream`); `no-body` ends with the headers
 * - `trailers:name=value|...` follow it; `informational:103` goes first
 * - `reset:8` resets at once, `reset-after:8` after the headers; `hang` never answers, `delay:MS` waits
 * - `early` answers before the request is complete; `tunnel` sends back what comes, `tunnel-end` also ends after the first piece
 * - `goaway` sends GOAWAY with the answer
 */
export class ScriptedH2Upstream implements AsyncDisposable {
  readonly #server: Http2Server;
  readonly #sessions = new Set<ServerHttp2Session>();
  #requests: string[] = [];

  private constructor(allowConnect: boolean) {
    this.#server = createServer({ settings: { enableConnectProtocol: allowConnect } });
    this.#server.on('session', (session) => {
      this.#sessions.add(session);
      session.on('close', () => this.#sessions.delete(session));
      session.on('error', () => {});
    });
    this.#server.on('stream', (stream, _headers, _flags, raw: string[]) =>
      this.#serve(stream as ServerHttp2Stream, raw),
    );
  }

  static async start(allowConnect = true): Promise<ScriptedH2Upstream> {
    const upstream = new ScriptedH2Upstream(allowConnect);
    upstream.#server.listen(0, '127.0.0.1');
    await once(upstream.#server, 'listening');
    return upstream;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  /** The requests so far, and forgets them. */
  take(): string[] {
    const taken = this.#requests;
    this.#requests = [];
    return taken;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of this.#sessions) session.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #serve(stream: ServerHttp2Stream, raw: readonly string[]): void {
    const fields: string[] = [];
    let script = new Map<string, string>();
    for (let i = 0; i < raw.length; i += 2) {
      fields.push(`${raw[i]!}: ${raw[i + 1]!}`);
      if (raw[i] !== 'x-up') continue;
      script = new Map(
        raw[i + 1]!.split(';').map((word) => {
          const colon = word.indexOf(':');
          return colon === -1 ? [word, ''] : [word.slice(0, colon), word.slice(colon + 1)];
        }),
      );
    }
    const pseudo = fields.filter((field) => field.startsWith(':')).sort();
    const at = this.#requests.length;
    const head = [...pseudo, ...fields.filter((field) => !field.startsWith(':'))].join('\n');
    this.#requests.push(`h2\n${head}\n`);
    const note = (text: string): void => {
      if (this.#requests.length > at) this.#requests[at] += text;
    };
    stream.on('error', () => {});
    stream.on('aborted', () => note(`\naborted ${stream.rstCode}`));
    stream.on('trailers', (_trailers, _flags, fieldsOf: string[] = []) => note(`\ntrailers ${fieldsOf.join(' ')}`));
    let answered = false;
    const answer = (): void => {
      if (answered || stream.destroyed) return;
      answered = true;
      const delay = script.get('delay');
      if (delay === undefined) this.#answer(stream, script);
      else setTimeout(() => this.#answer(stream, script), Number(delay));
    };
    stream.on('data', (chunk: Buffer) => {
      note(chunk.length > 1000 ? `(${chunk.length} bytes)` : chunk.toString('latin1'));
      if (!script.has('tunnel') && !script.has('tunnel-end')) return;
      stream.write(chunk);
      if (script.has('tunnel-end')) stream.end();
    });
    stream.on('end', () => {
      note('\nend');
      if (script.has('tunnel')) stream.end();
      else answer();
    });
    if (script.has('early') || script.has('tunnel') || script.has('tunnel-end') || script.has('reset')) answer();
  }

  #answer(stream: ServerHttp2Stream, script: ReadonlyMap<string, string>): void {
    if (stream.destroyed || script.has('hang')) return;
    const reset = script.get('reset');
    if (reset !== undefined) return stream.close(Number(reset));
    const informational = script.get('informational');
    if (informational !== undefined) stream.additionalHeaders({ ':status': Number(informational), 'x-note': '1' });
    const headers: Record<string, string | number> = { ':status': Number(script.get('status') ?? 200) };
    for (const field of (script.get('header') ?? '').split('|').filter(Boolean)) {
      const equals = field.indexOf('=');
      headers[field.slice(0, equals)] = field.slice(equals + 1);
    }
    const trailers = script.get('trailers');
    const noBody = script.has('no-body');
    const options = { endStream: noBody, waitForTrailers: trailers !== undefined && !noBody, sendDate: false };
    stream.respond(headers, options);
    if (script.has('goaway')) stream.session?.goaway();
    const after = script.get('reset-after');
    if (after !== undefined) return void setTimeout(() => stream.close(Number(after)), 15);
    if (noBody || script.has('tunnel') || script.has('tunnel-end')) return;
    if (trailers !== undefined)
      stream.on('wantTrailers', () =>
        stream.sendTrailers(
          Object.fromEntries(trailers.split('|').map((field) => field.split('=') as [string, string])),
        ),
      );
    const size = script.get('size');
    stream.end(size === undefined ? (script.get('body') ?? 'upstream') : 'x'.repeat(Number(size)));
  }
}
