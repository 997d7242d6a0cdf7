import { keepRead } from '../read-buffer.ts';

/** From this size on keeping the read buffer is cheaper than copying out of it. */
const KEEP_AT = 4096;

/** DATA of a stream that can't leave yet. */
export class SendQueue {
  bytes = 0;
  #chunks: Buffer[] = [];
  /** The first chunk that is still needed, and how much of it isn't. */
  #first = 0;
  #offset = 0;

  /** Adds `chunk[from..)`, which is borrowed. */
  add(chunk: Buffer, from: number): void {
    const length = chunk.length - from;
    if (length === 0) return;
    const part = from === 0 ? chunk : chunk.subarray(from);
    if (length < KEEP_AT) {
      this.#chunks.push(Buffer.from(part));
    } else {
      keepRead();
      this.#chunks.push(part);
    }
    this.bytes += length;
  }

  /** The chunk to send from next, its first `offset` bytes being gone. */
  get head(): Buffer {
    return this.#chunks[this.#first]!;
  }

  get offset(): number {
    return this.#offset;
  }

  /** `count` bytes of `head` have left. */
  advance(count: number): void {
    this.bytes -= count;
    this.#offset += count;
    if (this.#offset < this.head.length) return;
    this.#offset = 0;
    this.#first++;
    if (this.#first < 32 && this.#first < this.#chunks.length) return;
    this.#chunks.splice(0, this.#first);
    this.#first = 0;
  }

  clear(): void {
    this.#chunks = [];
    this.#first = this.#offset = this.bytes = 0;
  }
}
