import { connect, type Socket } from 'node:net';

/** What came back on one raw connection. */
export interface RawExchange {
  readonly bytes: Buffer;
  /** How it ended: the proxy closed, reset, or the wanted responses were all there. */
  readonly end: 'closed' | 'reset' | 'complete' | 'timeout';
}

export interface RawOptions {
  /** Stop after this many final responses; undefined: read until the peer closes. */
  readonly responses?: number;
  /** Methods of the requests in order (a response to HEAD has no body). Default GET. */
  readonly methods?: readonly string[];
  /** Pieces after the first are sent each when the last has had time to be read. */
  readonly pieces?: readonly (string | Buffer)[];
  readonly timeoutMs?: number;
  /** Half-close after sending. */
  readonly end?: boolean;
}

/** Sends raw latin1 bytes to a port on the loopback interface and gathers what comes back. */
export function rawExchange(port: number, data: string | Buffer, options: RawOptions = {}): Promise<RawExchange> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const socket: Socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    let done = false;
    const finish = (end: RawExchange['end']): void => {
      if (done) return;
      done = true;
      clearTimeout(timer);
      socket.destroy();
      resolve({ bytes: Buffer.concat(chunks), end });
    };
    const timer = setTimeout(() => finish('timeout'), options.timeoutMs ?? 3_000);
    socket.on('connect', () => {
      const send = (piece: string | Buffer): void =>
        void socket.write(typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece);
      send(data);
      const pieces = [...(options.pieces ?? [])];
      const next = (): void => {
        if (done) return;
        const piece = pieces.shift();
        if (piece === undefined) {
          if (options.end === true) socket.end();
          return;
        }
        send(piece);
        later();
      };
      // What has come by then is read first: a piece sent to a peer that has closed fails, and would cost its last words.
      const later = (): void => void setTimeout(() => setImmediate(next), 15);
      if (pieces.length > 0) later();
      else next();
    });
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      if (
        options.responses !== undefined &&
        countResponses(Buffer.concat(chunks), options.methods ?? []) >= options.responses
      )
        finish('complete');
    });
    socket.on('end', () => finish('closed'));
    socket.on('error', () => finish('reset'));
    socket.on('close', () => finish('closed'));
  });
}

/** The number of complete final (not 1xx) responses at the start of `bytes`; close-delimited ones never are complete. */
export function countResponses(bytes: Buffer, methods: readonly string[]): number {
  const text = bytes.toString('latin1');
  let at = 0;
  let count = 0;
  for (;;) {
    const headEnd = text.indexOf('\r\n\r\n', at);
    if (headEnd === -1) return count;
    const head = text.slice(at, headEnd).toLowerCase();
    const status = Number(/^http\/1\.[01] (\d{3})/.exec(head)?.[1]);
    at = headEnd + 4;
    if (status >= 100 && status < 200 && status !== 101) continue;
    const bodiless = status === 204 || status === 304 || methods[count] === 'HEAD';
    if (!bodiless) {
      if (/\r\ntransfer-encoding: *chunked/.test(head)) {
        for (;;) {
          const lineEnd = text.indexOf('\r\n', at);
          if (lineEnd === -1) return count;
          const size = Number.parseInt(text.slice(at, lineEnd), 16);
          at = lineEnd + 2;
          if (size === 0) {
            for (let end = text.indexOf('\r\n', at); ; end = text.indexOf('\r\n', at)) {
              if (end === -1) return count;
              const empty = end === at;
              at = end + 2;
              if (empty) break;
            }
            break;
          }
          at += size + 2;
          if (at > text.length) return count;
        }
      } else {
        const length = /\r\ncontent-length: *(\d+)/.exec(head)?.[1];
        if (length === undefined) return count;
        at += Number(length);
        if (at > text.length) return count;
      }
    }
    count++;
  }
}
