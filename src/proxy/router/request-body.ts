import { keepRead } from '../codec/read-buffer.ts';
import type { HeaderMap } from '../http/headers.ts';
import type { RoutedStream } from '../http/request-sink.ts';

/** Below this, a chunk is copied; above, its read buffer is kept. */
const COPY_BELOW = 16 * 1024;

/**
 * What has come of a request's body and may still be needed: by an attempt that has no connection yet, or by a retry.
 * Where nothing can take it and it would grow over the limit, the request's source is stopped.
 */
export class RequestBody {
  readonly chunks: Buffer[] = [];
  bytes = 0;
  trailers: HeaderMap | undefined = undefined;
  readonly #stream: RoutedStream;
  readonly #limit: number;
  #paused = false;

  /** `limit` in bytes; Infinity = none. */
  constructor(stream: RoutedStream, limit: number) {
    this.#stream = stream;
    this.#limit = limit;
  }

  get isEmpty(): boolean {
    return this.bytes === 0 && this.trailers === undefined;
  }

  /** Keeps a borrowed chunk; only while it is being delivered. */
  add(chunk: Buffer): void {
    if (chunk.length === 0) return;
    if (chunk.length < COPY_BELOW) this.chunks.push(Buffer.from(chunk));
    else {
      keepRead();
      this.chunks.push(chunk);
    }
    this.bytes += chunk.length;
  }

  /** Nothing takes the body for now: stops its source once the limit is passed. */
  stall(): void {
    if (this.#paused || this.bytes <= this.#limit) return;
    this.#paused = true;
    this.#stream.pauseRequest();
  }

  /** The body goes on its way again. */
  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#stream.resumeRequest();
  }

  /** Forgets the bytes; trailers stay. */
  clear(): void {
    this.chunks.length = 0;
    this.bytes = 0;
  }
}
