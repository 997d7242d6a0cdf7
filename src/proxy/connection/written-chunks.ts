import { currentRead } from '../codec/read-buffer.ts';

/** Below this, giving memory back costs more than leaving it to the collector. */
const WORTH_RELEASING = 16 * 1024;

/**
 * Gives the memory of chunks back as soon as they are written, for bytes that nobody but their socket has an eye on.
 * Read buffers count as the heap's memory: left to the collector, every 64 MiB of them cost a full collection.
 */
export class WrittenChunks {
  /** Of chunks that the socket still has to write. */
  readonly #waiting: ArrayBuffer[] = [];
  readonly #owned: boolean;

  /**
   * `owned`: each chunk has its memory to itself ('data' events of a socket). Otherwise that is the reader's, unless
   * the chunk was kept (see read-buffer.ts).
   */
  constructor(owned: boolean) {
    this.#owned = owned;
  }

  /** `chunk` has just been written; `buffered` bytes wait in the socket now. */
  add(chunk: Buffer, buffered: number): void {
    if (buffered === 0 && this.#waiting.length > 0) this.release();
    if (!this.#owned && !currentRead.kept) return;
    const { buffer } = chunk;
    if (chunk.length < WORTH_RELEASING || chunk.byteOffset !== 0 || !(buffer instanceof ArrayBuffer)) return;
    if (this.#owned && buffer.byteLength !== chunk.length) return;
    if (!currentRead.kept) buffer.transfer(0);
    else if (buffered > 0) this.#waiting.push(buffer);
  }

  /** The socket has written everything. */
  release(): void {
    const waiting = this.#waiting;
    for (const buffer of waiting) buffer.transfer(0);
    waiting.length = 0;
  }
}
