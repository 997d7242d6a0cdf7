import type { ZlibLibrary, ZlibStream } from './compressor-library.ts';

/** A body that comes in one piece no larger than this is compressed at once; others go through the thread pool. */
const MAX_AT_ONCE = 16 * 1024;

/** Compresses (or decompresses) one body, chunk by chunk: each chunk can be read as soon as it has been received. */
export class BodyCompression {
  readonly #library: ZlibLibrary;
  #stream: ZlibStream | undefined = undefined;
  #output: Buffer[] = [];
  /** How much more may come of the chunk at hand. */
  #room = Infinity;

  constructor(library: ZlibLibrary) {
    this.#library = library;
  }

  /**
   * What comes of the next chunk. One call at a time; none after one that failed. Throws or rejects where the library
   * does, and with ERR_BUFFER_TOO_LARGE when there is more than `limit`; `take` has what came before that.
   */
  push(chunk: Buffer, end: boolean, limit = Infinity): Buffer | Promise<Buffer> {
    this.#room = limit;
    if (end && this.#stream === undefined && chunk.length <= MAX_AT_ONCE) return this.#library.whole(chunk);
    const stream = (this.#stream ??= this.#open());
    return new Promise((resolve, reject) => {
      const onError = (error: Error): void => reject(error);
      stream.once('error', onError);
      const done = (): void => {
        stream.off('error', onError);
        if (stream.errored === null) resolve(this.take());
        else reject(stream.errored);
      };
      if (end) {
        stream.once('end', done);
        stream.end(chunk);
        return;
      }
      stream.write(chunk);
      stream.flush(this.#library.flush, done);
    });
  }

  /** What has come and wasn't given yet. */
  take(): Buffer {
    const all = this.#output.length === 1 ? this.#output[0]! : Buffer.concat(this.#output);
    this.#output = [];
    return all;
  }

  /** Frees what the library holds; nothing comes of a push that is under way. */
  close(): void {
    this.#stream?.destroy();
  }

  #open(): ZlibStream {
    const stream = this.#library.stream();
    // Whoever pushes hears of errors from `errored`; one that comes later than that must find somebody, too.
    stream.on('error', () => {});
    stream.on('data', (chunk: Buffer) => {
      this.#output.push(chunk);
      this.#room -= chunk.length;
      if (this.#room < 0) stream.destroy(Object.assign(new Error('too much'), { code: 'ERR_BUFFER_TOO_LARGE' }));
    });
    return stream;
  }
}
