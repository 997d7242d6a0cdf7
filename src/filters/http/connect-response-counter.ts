import { FRAME_HEADER_SIZE } from '../grpc-frames.ts';

/** The flag of the last envelope of a stream of the Connect protocol. */
const END_STREAM = 2;
/** More than this is no sensible end of a stream. */
const MAX_END_SIZE = 16 * 1024;

/** Counts the messages of a Connect streaming response, and tells from its last envelope how the call ended. */
export class ConnectResponseCounter {
  count = 0;
  readonly #header: number[] = [];
  #left = 0;
  #isEnd = false;
  #end = '';

  /** Returns how many messages began in `chunk`. The last envelope is none. */
  inspect(chunk: Buffer): number {
    const before = this.count;
    for (let at = 0; at < chunk.length;) {
      if (this.#left > 0) {
        const size = Math.min(this.#left, chunk.length - at);
        if (this.#isEnd && this.#end.length < MAX_END_SIZE) this.#end += chunk.toString('latin1', at, at + size);
        this.#left -= size;
        at += size;
        continue;
      }
      this.#header.push(chunk[at++]!);
      if (this.#header.length < FRAME_HEADER_SIZE) continue;
      const [flags, ...length] = this.#header.splice(0);
      this.#isEnd = (flags! & END_STREAM) !== 0;
      this.#left = length.reduce((sum, byte) => sum * 256 + byte, 0);
      if (!this.#isEnd) this.count++;
    }
    return this.count - before;
  }

  /** The last envelope came whole, and names no error. */
  get succeeded(): boolean {
    if (!this.#isEnd || this.#left > 0) return false;
    try {
      const end: unknown = JSON.parse(this.#end);
      return typeof end === 'object' && end !== null && !('error' in end);
    } catch {
      return false;
    }
  }
}
