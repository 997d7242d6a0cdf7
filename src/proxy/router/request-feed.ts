import type { HeaderMap } from '../http/headers.ts';
import type { RoutedStream } from '../http/request-sink.ts';
import type { Attempt } from './attempt.ts';
import type { Attempts } from './attempts.ts';
import type { Mirrors } from './mirror.ts';
import { RequestBody } from './request-body.ts';

/** Where a request's body and trailers go: to the newest attempt, to mirrors, and into store for a later attempt. */
export class RequestFeed {
  /** The request has come in completely. */
  ended = false;
  /** When it had; -1 = not yet. */
  endMs = -1;
  mirrors: Mirrors | undefined = undefined;
  /** The body grew too long to be kept. */
  overflowed = false;
  readonly #stream: RoutedStream;
  readonly #attempts: Attempts;
  readonly #limit: number;
  #body: RequestBody | undefined = undefined;

  /** `limit`: bytes that may be kept. */
  constructor(stream: RoutedStream, attempts: Attempts, limit: number) {
    this.#stream = stream;
    this.#attempts = attempts;
    this.#limit = limit;
  }

  /** Undefined as long as there was nothing to keep. */
  get body(): RequestBody | undefined {
    return this.#body;
  }

  /** All there is of the request are its headers. */
  get isBare(): boolean {
    return this.ended && (this.#body === undefined || this.#body.isEmpty);
  }

  hasRoomFor(chunk: Buffer): boolean {
    return (this.#body?.bytes ?? 0) + chunk.length <= this.#limit;
  }

  data(chunk: Buffer, endStream: boolean, keeps: boolean): void {
    this.mirrors?.data(chunk, endStream);
    const attempt = this.#attempts.newest;
    const takes = attempt !== undefined && attempt.takesBody;
    if (keeps || !takes) this.#store().add(chunk);
    if (takes) attempt.sendData(chunk, endStream);
    else if (!endStream) this.#store().stall();
  }

  trailers(trailers: HeaderMap): void {
    this.#store().trailers = trailers;
    this.mirrors?.trailers(trailers);
    const attempt = this.#attempts.newest;
    if (attempt !== undefined && attempt.takesBody) attempt.sendTrailers(trailers);
  }

  end(nowMs: number): void {
    this.ended = true;
    this.endMs = nowMs;
  }

  /** Sends what was stored to an attempt that can take it now. `keeps`: it may be needed again. */
  flush(attempt: Attempt, keeps: boolean): void {
    const body = this.#body;
    if (!attempt.headersOnly && (body !== undefined || this.ended)) attempt.sendBody(body, this.ended);
    if (body === undefined) return;
    if (!keeps) body.clear();
    body.resume();
  }

  /** Nobody needs what was stored, except an attempt that is still to take it. */
  forget(): void {
    const attempt = this.#attempts.newest;
    if (attempt === undefined || attempt.takesBody) this.#body?.clear();
  }

  /** No attempt takes anything any more; the rest of the request is read and dropped. */
  close(): void {
    this.#body?.clear();
    this.#body?.resume();
    if (!this.ended) this.mirrors?.cancel();
  }

  #store(): RequestBody {
    return (this.#body ??= new RequestBody(this.#stream, this.#limit));
  }
}
