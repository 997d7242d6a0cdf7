import { createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';

/**
 * An HTTP/1.1 upstream over a raw socket: it records each request byte for byte, and answers as the request's `x-up`
 * header says. Words, joined by `;`, each `name` or `name:argument`:
 *
 * - `status:503` `header:name=value` `body:text` `size:N` (a body of N bytes) shape the answer (200 `upstream`)
 * - `chunked`, `trailers`, `until-close`, `http10` choose its framing; `informational:103` sends a 1xx first
 * - `raw:BASE64` sends those bytes instead and closes; `raw-keep:BASE64` doesn't close
 * - `sequence:503,200` takes the status from the list, by the number of the request with that `x-key`
 * - `reset` closes at once, `reset-after:N` after N bytes of the answer, `hang` never answers, `delay:MS` waits
 * - `early` answers before the request's body is complete; `close` sends `connection: close` and closes
 * - `tunnel` accepts an upgrade or CONNECT and sends back what comes; `tunnel-end` also ends after the first piece
 */
export class ScriptedUpstream implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #sequences = new Map<string, number>();
  #requests: string[] = [];
  connections = 0;

  private constructor() {
    this.#server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => this.#serve(socket));
  }

  static async start(): Promise<ScriptedUpstream> {
    const upstream = new ScriptedUpstream();
    upstream.#server.listen(0, '127.0.0.1');
    await once(upstream.#server, 'listening');
    return upstream;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  /** The connections that are open now. */
  get open(): number {
    return this.#sockets.size;
  }

  /** The requests so far (latin1 text, bodies included as they were framed), and forgets them. */
  take(): string[] {
    const taken = this.#requests;
    this.#requests = [];
    this.#sequences.clear();
    return taken;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #serve(socket: Socket): void {
    this.connections++;
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.on('end', () => socket.end());
    let buffer = '';
    let busy = false;
    let answeredEarly = false;
    let tunnel: '' | 'tunnel' | 'tunnel-end' = '';
    const step = (): void => {
      if (busy) return;
      const headEnd = buffer.indexOf('\r\n\r\n');
      if (headEnd === -1) return;
      const head = buffer.slice(0, headEnd + 4);
      const script = new Map(
        (/\r\nx-up: *([^\r]*)/i.exec(head)?.[1] ?? '').split(';').map((word) => {
          const colon = word.indexOf(':');
          return colon === -1 ? ([word, ''] as const) : ([word.slice(0, colon), word.slice(colon + 1)] as const);
        }),
      );
      if (script.has('tunnel') || script.has('tunnel-end')) {
        tunnel = script.has('tunnel') ? 'tunnel' : 'tunnel-end';
        this.#requests.push(head);
        const type = /\r\nupgrade: *([^\r]*)/i.exec(head)?.[1];
        const accepted =
          type === undefined ? '200 OK\r\n' : `101 Status\r\nupgrade: ${type}\r\nconnection: Upgrade\r\n`;
        socket.write(`HTTP/1.1 ${accepted}x-answer: yes\r\n\r\n`);
        const early = buffer.slice(head.length);
        buffer = '';
        if (early !== '') tunnelled(Buffer.from(early, 'latin1'));
        return;
      }
      if (script.has('early') && !answeredEarly) {
        answeredEarly = true;
        this.#requests.push(head);
        this.#answer(socket, head, script, () => {});
      }
      const bodyEnd = requestEnd(buffer, head);
      if (bodyEnd === -1) return;
      const request = buffer.slice(0, bodyEnd);
      buffer = buffer.slice(bodyEnd);
      if (answeredEarly) {
        answeredEarly = false;
        return step();
      }
      this.#requests.push(request);
      busy = true;
      this.#answer(socket, head, script, () => {
        busy = false;
        step();
      });
    };
    const tunnelled = (chunk: Buffer): void => {
      this.#requests.push(`tunnelled ${chunk.toString('latin1')}`);
      socket.write(chunk);
      if (tunnel === 'tunnel-end') socket.end();
    };
    socket.on('data', (chunk: Buffer) => {
      if (tunnel !== '') return tunnelled(chunk);
      buffer += chunk.toString('latin1');
      step();
    });
  }

  #answer(socket: Socket, head: string, script: ReadonlyMap<string, string>, done: () => void): void {
    const send = (): void => {
      if (script.has('hang')) return;
      if (script.has('reset')) return void socket.destroy();
      const raw = script.get('raw') ?? script.get('raw-keep');
      if (raw !== undefined) {
        socket.write(Buffer.from(raw, 'base64'));
        if (script.has('raw')) socket.end();
        return done();
      }
      const bytes = Buffer.from(this.#compose(head, script), 'latin1');
      const cut = script.get('reset-after');
      if (cut !== undefined) {
        socket.write(bytes.subarray(0, Number(cut)), () => setTimeout(() => socket.destroy(), 20));
        return;
      }
      socket.write(bytes);
      if (script.has('until-close') || script.has('close') || script.has('http10')) socket.end();
      done();
    };
    const delay = script.get('delay');
    if (delay === undefined) send();
    else setTimeout(send, Number(delay));
  }

  #compose(head: string, script: ReadonlyMap<string, string>): string {
    let status = Number(script.get('status') ?? 200);
    const sequence = script.get('sequence');
    if (sequence !== undefined) {
      const key = /\r\nx-key: *([^\r]*)/i.exec(head)?.[1] ?? '';
      const number = this.#sequences.get(key) ?? 0;
      this.#sequences.set(key, number + 1);
      const statuses = sequence.split(',');
      status = Number(statuses[Math.min(number, statuses.length - 1)]);
    }
    const size = script.get('size');
    const body = size === undefined ? (script.get('body') ?? 'upstream') : 'x'.repeat(Number(size));
    let text = '';
    const informational = script.get('informational');
    if (informational !== undefined) text += `HTTP/1.1 ${informational} Note\r\nx-note: 1\r\n\r\n`;
    text += `HTTP/1.${script.has('http10') ? 0 : 1} ${status} Status\r\n`;
    for (const [word, argument] of script) {
      if (word !== 'header') continue;
      for (const field of argument.split('|')) text += `${field.replace('=', ': ')}\r\n`;
    }
    if (script.has('close')) text += 'connection: close\r\n';
    const bodiless = status === 204 || status === 304;
    if (bodiless) return `${text}\r\n`;
    const isHead = head.startsWith('HEAD ');
    if (script.has('chunked') || script.has('trailers')) {
      text += 'transfer-encoding: chunked\r\n\r\n';
      if (isHead) return text;
      for (let at = 0; at < body.length; at += 5) {
        const piece = body.slice(at, at + 5);
        text += `${piece.length.toString(16)}\r\n${piece}\r\n`;
      }
      return `${text}0\r\n${script.has('trailers') ? 'x-trailer: yes\r\n' : ''}\r\n`;
    }
    if (script.has('until-close') || script.has('http10')) return `${text}\r\n${isHead ? '' : body}`;
    return `${text}content-length: ${body.length}\r\n\r\n${isHead ? '' : body}`;
  }
}

/** Where the request that starts with `head` ends in `buffer`; -1: not yet. */
function requestEnd(buffer: string, head: string): number {
  if (/\r\ntransfer-encoding: *chunked/i.test(head)) {
    let at = head.length;
    for (;;) {
      const lineEnd = buffer.indexOf('\r\n', at);
      if (lineEnd === -1) return -1;
      const size = Number.parseInt(buffer.slice(at, lineEnd), 16);
      if (size === 0) {
        const end = buffer.startsWith('\r\n', lineEnd + 2) ? lineEnd + 4 : buffer.indexOf('\r\n\r\n', lineEnd) + 4;
        return end < lineEnd + 4 ? -1 : end;
      }
      at = lineEnd + 2 + size + 2;
      if (at > buffer.length) return -1;
    }
  }
  const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
  return buffer.length >= head.length + length ? head.length + length : -1;
}
