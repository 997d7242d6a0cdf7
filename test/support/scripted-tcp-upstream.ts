import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';

/**
 * What the upstream does with each connection:
 * - `echo` sends back what it gets, then `[fin]` when the peer has half-closed, and half-closes
 * - `greet` says `hello` first, then echoes; `bye` says `bye`, half-closes, and goes on reading
 * - `close` closes with the first bytes, after `answer`; `reset` resets the connection with them; `reset-now` at once
 * - `hold` reads and says nothing; `discard` reads to the end, then sends how many bytes there were
 * - `http` answers the head of an HTTP request with what stands behind the colon (`\n` is CRLF), then echoes
 */
export type TcpScript =
  'echo' | 'greet' | 'bye' | 'close' | 'reset' | 'reset-now' | 'hold' | 'discard' | `http:${string}`;

/** A TCP server whose doings a test scripts; it records what each connection sent and how it ended. */
export class ScriptedTcpUpstream implements AsyncDisposable {
  script: TcpScript = 'echo';
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #seen: { bytes: Buffer[]; end: string }[] = [];

  private constructor() {
    this.#server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => this.#serve(socket));
  }

  static async start(): Promise<ScriptedTcpUpstream> {
    const upstream = new ScriptedTcpUpstream();
    upstream.#server.listen(0, '127.0.0.1');
    await once(upstream.#server, 'listening');
    return upstream;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  get open(): number {
    return this.#sockets.size;
  }

  /** What came on each connection since the last call, `<bytes>|<end>`. Long ones by length. */
  take(): string[] {
    const seen = this.#seen.map(({ bytes, end }) => {
      const all = Buffer.concat(bytes);
      return `${all.length > 4096 ? `${all.length} bytes` : all.toString('latin1')}|${end}`;
    });
    this.#seen = [];
    return seen;
  }

  #serve(socket: Socket): void {
    const record = { bytes: [] as Buffer[], end: 'open' };
    this.#seen.push(record);
    this.#sockets.add(socket);
    const { script } = this;
    let head = '';
    let tunnelled = !script.startsWith('http:');
    socket.on('error', (error: NodeJS.ErrnoException) => {
      record.end = error.code === 'ECONNRESET' ? 'reset' : (error.code ?? 'error');
    });
    socket.on('end', () => {
      record.end = 'fin';
      if (script === 'discard') socket.end(`${record.bytes.reduce((sum, each) => sum + each.length, 0)}`);
      else if (script === 'echo' || script === 'greet') socket.end('[fin]');
      else socket.end();
    });
    socket.on('close', () => this.#sockets.delete(socket));
    if (script === 'reset-now') {
      socket.resetAndDestroy();
      return;
    }
    if (script === 'greet') socket.write('hello');
    if (script === 'bye') socket.end('bye');
    socket.on('data', (chunk: Buffer) => {
      record.bytes.push(chunk);
      if (script === 'close') socket.end('answer', () => socket.destroy());
      else if (script === 'reset') socket.resetAndDestroy();
      else if (!tunnelled) {
        head += chunk.toString('latin1');
        if (!head.includes('\r\n\r\n')) return;
        tunnelled = true;
        socket.write(script.slice(5).replaceAll('\n', '\r\n'), 'latin1');
      } else if (script === 'echo' || script === 'greet' || script.startsWith('http:')) {
        if (!socket.write(chunk)) {
          socket.pause();
          socket.once('drain', () => socket.resume());
        }
      }
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
