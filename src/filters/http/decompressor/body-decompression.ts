import { BodyCompression } from '../compressor/body-compression.ts';
import type { DecompressorLibrary } from './decompressor-library.ts';

const EMPTY = Buffer.alloc(0);

/**
 * Decompresses one body, chunk by chunk. As in Envoy, one that is malformed, or grows too much, ends where that shows,
 * and the rest of it is dropped.
 */
export class BodyDecompression {
  readonly #library: DecompressorLibrary;
  readonly #body: BodyCompression;
  readonly #onError: (code: string) => void;
  #failed = false;
  /** Bytes of what has come so far, and of what came of it. */
  #received = 0;
  #given = 0;

  /** `onError`: told once, with the code of the library's error. */
  constructor(library: DecompressorLibrary, onError: (code: string) => void) {
    this.#library = library;
    this.#body = new BodyCompression(library);
    this.#onError = onError;
  }

  /** The next chunk, decompressed. One call at a time. */
  push(chunk: Buffer, end: boolean): Buffer | Promise<Buffer> {
    if (this.#failed || chunk.length === 0) return EMPTY;
    this.#received += chunk.length;
    const limit = this.#received * this.#library.maxRatio - this.#given;
    let plain: Buffer | Promise<Buffer>;
    try {
      plain = this.#body.push(chunk, end, limit);
    } catch {
      // Once more, for what comes before the error.
      plain = this.#body.push(chunk, false, limit);
    }
    if (!(plain instanceof Promise)) return plain;
    return plain.then(
      (bytes) => {
        this.#given += bytes.length;
        return bytes;
      },
      (error: unknown) => this.#fail(error),
    );
  }

  close(): void {
    this.#body.close();
  }

  #fail(error: unknown): Buffer {
    this.#failed = true;
    this.#onError((error as NodeJS.ErrnoException).code ?? '');
    return this.#body.take();
  }
}
