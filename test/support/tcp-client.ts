import { connect } from 'node:net';

/** One thing that a TCP client does. */
export type TcpStep =
  | { readonly send: string | Buffer }
  /** Waits until so many bytes have come in all. */
  | { readonly expect: number }
  | { readonly wait: number }
  /** Waits until the peer has half-closed. */
  | 'await-end'
  /** Half-closes. */
  | 'end'
  /** Closes, or resets, the connection. */
  | 'close'
  | 'reset';

/** What came back on a connection, and how it ended. */
export interface TcpExchange {
  readonly bytes: Buffer;
  readonly end: 'closed' | 'reset' | 'refused' | 'timeout' | 'left';
}

/** Plays a script on a connection of its own, then reads until the peer ends it (or `timeoutMs` is over). */
export function tcpExchange(port: number, steps: readonly TcpStep[], timeoutMs = 2_000): Promise<TcpExchange> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let received = 0;
    let done = false;
    let ended = false;
    let played = 0;
    let waiting: { readonly bytes: number; readonly go: () => void } | undefined;
    const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    const finish = (end: TcpExchange['end']): void => {
      if (done) return;
      done = true;
      clearTimeout(timer);
      socket.destroy();
      resolve({ bytes: Buffer.concat(chunks), end });
    };
    const timer = setTimeout(() => finish('timeout'), timeoutMs);
    const play = (index: number): void => {
      if (done) return;
      played = index;
      if (index >= steps.length) {
        if (ended) finish('closed');
        return;
      }
      const step = steps[index]!;
      const next = (): void => play(index + 1);
      if (step === 'end') socket.end(next);
      else if (step === 'await-end') {
        if (ended) next();
      } else if (step === 'close') finish('left');
      else if (step === 'reset') {
        done = true;
        clearTimeout(timer);
        socket.resetAndDestroy();
        resolve({ bytes: Buffer.concat(chunks), end: 'left' });
      } else if ('send' in step) {
        socket.write(typeof step.send === 'string' ? Buffer.from(step.send, 'latin1') : step.send);
        next();
      } else if ('wait' in step) setTimeout(next, step.wait);
      else if (received >= step.expect) next();
      else waiting = { bytes: step.expect, go: next };
    };
    socket.on('connect', () => play(0));
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      received += chunk.length;
      if (waiting !== undefined && received >= waiting.bytes) {
        const { go } = waiting;
        waiting = undefined;
        go();
      }
    });
    socket.on('end', () => {
      ended = true;
      if (played >= steps.length) finish('closed');
      else if (steps[played] === 'await-end') play(played + 1);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => finish(error.code === 'ECONNREFUSED' ? 'refused' : 'reset'));
    socket.on('close', () => finish('closed'));
  });
}
