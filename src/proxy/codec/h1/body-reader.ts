import type { CodecError, StreamEvents } from '../codec.ts';
import { ChunkedBody, FixedBody, NoBody, Tunnel, UntilCloseBody, type BodyKind } from './body-kind.ts';
import { ChunkedDecoder } from './chunked.ts';
import { Http1Error } from './errors.ts';
import { Failed, NeedMore, type HeadParser } from './head-parser.ts';
import { EMPTY } from './held-input.ts';

/** What a body reader asks of its connection while it delivers. */
export interface BodyReaderOwner {
  /** After each `onData`: the stream takes no more for now, or is over. */
  stopped(): boolean;
  /** The end of the body was read; the event that tells the stream so comes next. */
  onBodyComplete(): void;
}

/** `BodyReader.read` found an error; see `BodyReader.error`. */
export const BodyFailed = -1;

/**
 * Reads the body of the message that `head` announced and delivers it piece by piece, as it comes.
 */
export class BodyReader {
  complete = true;
  error: CodecError = Http1Error.codecError;
  readonly #owner: BodyReaderOwner;
  readonly #head: HeadParser;
  readonly #carryTrailers: boolean;
  readonly #chunked = new ChunkedDecoder();
  #kind: BodyKind = NoBody;
  #left = 0;
  #inTrailers = false;

  constructor(owner: BodyReaderOwner, head: HeadParser, carryTrailers: boolean) {
    this.#owner = owner;
    this.#head = head;
    this.#carryTrailers = carryTrailers;
  }

  /** Starts on the message whose head was just accepted. */
  begin(): void {
    const kind = this.#head.body;
    this.#kind = kind;
    this.#left = this.#head.bodyLength;
    this.#inTrailers = false;
    this.complete = kind === NoBody;
    if (kind === ChunkedBody) this.#chunked.begin();
  }

  get kind(): BodyKind {
    return this.#kind;
  }

  /**
   * Reads `chunk[at..to)`, until it ends, the message does, or the owner has stopped. Returns where, or BodyFailed.
   */
  read(chunk: Buffer, at: number, to: number, events: StreamEvents): number {
    switch (this.#kind) {
      case FixedBody: {
        const end = to - at < this.#left ? to : at + this.#left;
        this.#left -= end - at;
        if (this.#left === 0) this.#end();
        events.onData(sub(chunk, at, end), this.complete);
        return end;
      }
      case ChunkedBody:
        return this.#readChunked(chunk, at, to, events);
      case UntilCloseBody:
      case Tunnel:
        events.onData(sub(chunk, at, to), false);
        return to;
      default:
        return at;
    }
  }

  #readChunked(chunk: Buffer, from: number, to: number, events: StreamEvents): number {
    const chunked = this.#chunked;
    let at = from;
    while (at < to) {
      if (this.#inTrailers) return this.#readTrailers(chunk, at, to, events);
      at = chunked.decode(chunk, at, to);
      const { dataStart, dataEnd } = chunked;
      if (dataEnd > dataStart) {
        // What was read before an error is delivered before it is reported: any split of the bytes gives the same.
        if (chunked.done) this.#end();
        events.onData(sub(chunk, dataStart, dataEnd), this.complete);
      } else if (chunked.done) {
        this.#end();
        events.onData(EMPTY, true);
      }
      if (chunked.failed) {
        if (this.#owner.stopped() && dataEnd > dataStart) return at;
        return this.#fail(Http1Error.codecError);
      }
      if (chunked.atTrailers) {
        this.#inTrailers = true;
        this.#head.beginTrailers();
      }
      if (this.complete || this.#owner.stopped()) return at;
    }
    return at;
  }

  #readTrailers(chunk: Buffer, at: number, to: number, events: StreamEvents): number {
    const head = this.#head;
    const end = head.feed(chunk, at, to);
    if (end === NeedMore) return to;
    if (end === Failed) return this.#fail(head.error);
    this.#end();
    if (this.#carryTrailers && head.headers.size > 0) events.onTrailers(head.headers);
    else events.onData(EMPTY, true);
    return end;
  }

  #end(): void {
    this.complete = true;
    this.#owner.onBodyComplete();
  }

  #fail(error: CodecError): number {
    this.error = error;
    return BodyFailed;
  }
}

function sub(chunk: Buffer, from: number, to: number): Buffer {
  return from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to);
}
