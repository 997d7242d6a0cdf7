import { keepRead } from '../read-buffer.ts';

/** From this size on keeping the read buffer is cheaper than copying out of it. */
const KEEP_AT = 4096;

/** Input that can't be processed yet: a paused stream's, or of requests behind the one that is being served. */
export class HeldInput {
  bytes = 0;
  #chunks: Buffer[] = [];

  /** Holds `chunk[from..to)`, which belongs to the read that is going on. */
  add(chunk: Buffer, from: number, to: number): void {
    if (from >= to) return;
    const part = chunk.subarray(from, to);
    this.bytes += to - from;
    if (to - from < KEEP_AT) {
      this.#chunks.push(Buffer.from(part));
    } else {
      keepRead();
      this.#chunks.push(part);
    }
  }

  /** Takes everything out. What can't be processed even now is added again, in order. */
  take(): Buffer[] {
    const chunks = this.#chunks;
    this.#chunks = [];
    this.bytes = 0;
    return chunks;
  }

  clear(): void {
    this.#chunks = [];
    this.bytes = 0;
  }
}

export const EMPTY: Buffer = Buffer.alloc(0);
