import type { Socket } from 'node:net';
import { BULK, currentRead, keepRead, type ReadBuffer } from './read-buffer.ts';

/** Writes borrowed chunks to a socket, and sees to it that what it can't write at once isn't read over. */
export class SocketWrites {
  readonly #waiting: { readonly write: number; readonly buffer: ReadBuffer }[] = [];
  /** Large writes, and how many of them are done. */
  #begun = 0;
  #done = 0;
  readonly #onWritten = (): void => {
    this.#done++;
    while (this.#waiting.length > 0 && this.#waiting[0]!.write <= this.#done) this.#waiting.shift()!.buffer.release();
  };

  /** `takesIn`: the socket copies what is written while nothing waits (TLS). False: it has more than it should. */
  write(socket: Socket, chunk: Uint8Array, takesIn: boolean): boolean {
    const takenIn = takesIn && socket.writableLength === 0;
    const { buffer } = currentRead;
    if (buffer === undefined || takenIn || chunk.length < BULK) {
      const accepted = socket.write(chunk);
      if (!takenIn && socket.writableLength !== 0) keepRead();
      return accepted;
    }
    const write = ++this.#begun;
    const accepted = socket.write(chunk, this.#onWritten);
    if (socket.writableLength !== 0) {
      currentRead.kept = true;
      buffer.hold();
      this.#waiting.push({ write, buffer });
    }
    return accepted;
  }
}
