import type { HeaderMap } from '../../http/headers.ts';
import { EMPTY, HeldInput } from '../h1/held-input.ts';
import type { H2Session } from './session.ts';
import type { H2Stream } from './stream.ts';

/**
 * What streams receive: hands it to their users, or holds it for those that are paused, and gives the peer its windows
 * back when it has been handed on (RFC 9113 section 5.2), half a window at a time.
 */
export class StreamInput {
  readonly #session: H2Session;
  /** What the peer may still send on the connection. */
  #window: number;
  /** What it has sent and may send again. */
  #credit = 0;
  readonly #updateAt: number;
  readonly #streamUpdateAt: number;
  #resumed: H2Stream[] = [];

  constructor(session: H2Session) {
    this.#session = session;
    const { initialConnectionWindowSize, initialStreamWindowSize } = session.settings;
    this.#window = Math.max(initialConnectionWindowSize, 65_535);
    this.#updateAt = Math.max(1, this.#window >>> 1);
    this.#streamUpdateAt = Math.max(1, initialStreamWindowSize >>> 1);
  }

  /** DATA of `length` begins. False: more than the connection's window. */
  receive(length: number): boolean {
    this.#window -= length;
    return this.#window >= 0;
  }

  /** `size` bytes are done with. `stream`: whose window they were taken from, if it still matters. */
  consume(stream: H2Stream | undefined, size: number): void {
    if (size === 0 || this.#session.dead) return;
    this.#credit += size;
    if (this.#credit >= this.#updateAt) {
      this.#session.writer.windowUpdate(0, this.#credit);
      this.#window += this.#credit;
      this.#credit = 0;
    }
    if (stream === undefined || stream.closed || stream.over || stream.remoteEnd) return;
    stream.credit += size;
    if (stream.credit < this.#streamUpdateAt) return;
    this.#session.writer.windowUpdate(stream.id, stream.credit);
    stream.recvWindow += stream.credit;
    stream.credit = 0;
  }

  /** `later`: nothing of the stream is delivered before `resume`. */
  headers(stream: H2Stream, headers: HeaderMap, endStream: boolean, later: boolean): void {
    if (later) {
      stream.heldHeaders = headers;
      stream.heldEnd = endStream;
      return;
    }
    stream.events.onHeaders(headers, endStream);
    if (endStream) this.#session.onInputDone(stream);
  }

  data(stream: H2Stream, bytes: Buffer, from: number, to: number, endStream: boolean): void {
    if (isHeld(stream)) {
      (stream.held ??= new HeldInput()).add(bytes, from, to);
      if (endStream) stream.heldEnd = true;
      return;
    }
    const chunk = to === from ? EMPTY : from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to);
    stream.events.onData(chunk, endStream);
    this.consume(stream, to - from);
    if (endStream) this.#session.onInputDone(stream);
  }

  trailers(stream: H2Stream, trailers: HeaderMap): void {
    if (isHeld(stream)) {
      stream.heldTrailers = trailers;
      return;
    }
    stream.events.onTrailers(trailers);
    this.#session.onInputDone(stream);
  }

  /** Goes on delivering, at the end of the turn. */
  resume(stream: H2Stream): void {
    if (stream.resuming || stream.closed || !hasHeld(stream)) return;
    stream.resuming = true;
    this.#resumed.push(stream);
    this.#session.writer.schedule();
  }

  /** Delivers what resumed streams hold. */
  deliver(): void {
    if (this.#resumed.length === 0) return;
    const resumed = this.#resumed;
    this.#resumed = [];
    for (const stream of resumed) {
      stream.resuming = false;
      if (!stream.closed && !stream.over && stream.pauses === 0) this.#release(stream);
    }
  }

  /** The stream takes no more input. */
  discard(stream: H2Stream): void {
    stream.heldHeaders = undefined;
    stream.heldTrailers = undefined;
    stream.heldEnd = false;
    stream.pauses = 0;
    const bytes = stream.held?.bytes ?? 0;
    stream.held = undefined;
    this.consume(undefined, bytes);
  }

  #release(stream: H2Stream): void {
    const headers = stream.heldHeaders;
    if (headers !== undefined) {
      stream.heldHeaders = undefined;
      const alone = stream.heldEnd && (stream.held?.bytes ?? 0) === 0;
      if (alone) stream.heldEnd = false;
      stream.events.onHeaders(headers, alone);
      if (alone) return this.#session.onInputDone(stream);
    }
    const chunks = stream.held?.take() ?? [];
    for (let i = 0; i < chunks.length; i++) {
      const chunk = chunks[i]!;
      if (stream.over) {
        this.consume(undefined, chunk.length);
        continue;
      }
      if (stream.pauses > 0) {
        stream.held!.add(chunk, 0, chunk.length);
        continue;
      }
      const end = stream.heldEnd && i === chunks.length - 1;
      if (end) stream.heldEnd = false;
      stream.events.onData(chunk, end);
      this.consume(stream, chunk.length);
      if (end) this.#session.onInputDone(stream);
    }
    if (stream.over || stream.pauses > 0) return;
    const trailers = stream.heldTrailers;
    if (trailers !== undefined) {
      stream.heldTrailers = undefined;
      stream.events.onTrailers(trailers);
      this.#session.onInputDone(stream);
    } else if (stream.heldEnd) {
      stream.heldEnd = false;
      stream.events.onData(EMPTY, true);
      this.#session.onInputDone(stream);
    }
  }
}

function isHeld(stream: H2Stream): boolean {
  return stream.pauses > 0 || hasHeld(stream);
}

function hasHeld(stream: H2Stream): boolean {
  return (
    stream.heldEnd ||
    stream.heldHeaders !== undefined ||
    stream.heldTrailers !== undefined ||
    (stream.held !== undefined && stream.held.bytes > 0)
  );
}
