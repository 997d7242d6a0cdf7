import { connect, type Socket } from 'node:net';
import { eventually } from './eventually.ts';

export interface ReceivedResponse {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** One client connection over a raw socket: what it sends is up to the test, what comes back is read response by response. */
export class HttpClient implements Disposable {
  readonly socket: Socket;
  bytesReceived = 0;
  closed = false;
  /** The peer ended its half. */
  ended = false;
  #text = '';
  readonly #keeps: boolean;

  private constructor(target: number | string, keeps: boolean) {
    this.#keeps = keeps;
    const where = typeof target === 'number' ? { port: target, host: '127.0.0.1' } : { path: target };
    this.socket = connect({ ...where, noDelay: true });
    this.socket.on('data', (chunk: Buffer) => {
      this.bytesReceived += chunk.length;
      if (this.#keeps) this.#text += chunk.toString('latin1');
    });
    this.socket.on('error', () => {});
    this.socket.on('end', () => (this.ended = true));
    this.socket.on('close', () => (this.closed = true));
  }

  /** To a port on the loopback interface, or to a Unix socket. `keeps` false: what comes is only counted. */
  static connect(target: number | string, keeps = true): HttpClient {
    return new HttpClient(target, keeps);
  }

  get text(): string {
    return this.#text;
  }

  send(text: string | Buffer): this {
    if (typeof text === 'string') this.socket.write(text, 'latin1');
    else this.socket.write(text);
    return this;
  }

  /** A GET; `fields` are whole lines. */
  get(path: string, ...fields: string[]): this {
    return this.send(`GET ${path} HTTP/1.1\r\nhost: test\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`);
  }

  /** Waits for the next final response and takes it. One that is delimited by the connection's end comes with that. */
  response(timeoutMs?: number): Promise<ReceivedResponse> {
    return eventually(
      'a response',
      () => {
        const found = takeResponse(this.#text, this.ended || this.closed);
        if (found === undefined) {
          if (this.closed || this.ended)
            throw new Error(`the connection ended before a response; it had ${JSON.stringify(this.#text)}`);
          return undefined;
        }
        this.#text = this.#text.slice(found.length);
        return found.response;
      },
      timeoutMs,
    );
  }

  async untilClosed(timeoutMs?: number): Promise<void> {
    await eventually('the connection to close', () => this.closed || this.ended, timeoutMs);
  }

  /** Ends the connection with a RST. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

function takeResponse(text: string, ended: boolean): { response: ReceivedResponse; length: number } | undefined {
  let start = 0;
  for (;;) {
    const headEnd = text.indexOf('\r\n\r\n', start);
    if (headEnd === -1) return undefined;
    const [line = '', ...fields] = text.slice(start, headEnd).split('\r\n');
    const status = Number(line.split(' ')[1]);
    let at = headEnd + 4;
    if (status < 200 && status !== 101) {
      start = at;
      continue;
    }
    const headers = new Map(
      fields.map((field) => {
        const colon = field.indexOf(':');
        return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()] as const;
      }),
    );
    let body = '';
    if (headers.get('transfer-encoding') === 'chunked') {
      for (;;) {
        const lineEnd = text.indexOf('\r\n', at);
        if (lineEnd === -1) return undefined;
        const size = Number.parseInt(text.slice(at, lineEnd), 16);
        if (text.length < lineEnd + 2 + size + 2) return undefined;
        body += text.slice(lineEnd + 2, lineEnd + 2 + size);
        at = lineEnd + 2 + size + 2;
        if (size === 0) break;
      }
    } else if (headers.has('content-length')) {
      const size = Number(headers.get('content-length'));
      if (text.length < at + size) return undefined;
      body = text.slice(at, at + size);
      at += size;
    } else if (status !== 204 && status !== 304 && status !== 101) {
      if (!ended) return undefined;
      body = text.slice(at);
      at = text.length;
    }
    return { response: { status, headers, body }, length: at };
  }
}
