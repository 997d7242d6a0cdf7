import type { CompressorLibrary, ZlibStream } from './compressor-library.ts';

/** A body that comes in one piece no larger than this is compressed at once; others go through the thread pool. */
const MAX_AT_ONCE = 16 * 1024;

/** Compresses one body, chunk by chunk: each chunk can be read as soon as it has been received. */
export class BodyCompression {
  readonly #library: CompressorLibrary;
  #stream: ZlibStream | undefined = undefined;
  #output: Buffer[] = [];

  constructor(library: CompressorLibrary) {
    this.#library = library;
  }

  /** The next chunk, compressed. One call at a time. */
  push(chunk: Buffer, end: boolean): Buffer | Promise<Buffer> {
    if (end && this.#stream === undefined && chunk.length <= MAX_AT_ONCE) return this.#library.whole(chunk);
    const stream = (this.#stream ??= this.#open());
    return new Promise((resolve, reject) => {
      const onError = (error: Error): void => reject(error);
      stream.once('error', onError);
      const done = (): void => {
        stream.off('error', onError);
        const all = this.#output.length === 1 ? this.#output[0]! : Buffer.concat(this.#output);
        this.#output = [];
        resolve(all);
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

  /** Frees what the library holds; nothing comes of a push that is under way. */
  close(): void {
    this.#stream?.destroy();
  }

  #open(): ZlibStream {
    const stream = this.#library.stream();
    stream.on('data', (chunk: Buffer) => this.#output.push(chunk));
    return stream;
  }
}
