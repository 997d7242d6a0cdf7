import { DEFAULT_MAX_FRAME_SIZE, Flag, FRAME_HEADER_SIZE, FrameType, PREFACE } from './frame.ts';

/** Where frames go to. Each returns false to stop the reading for good. */
export interface FrameSink {
  /** The preface isn't HTTP/2's. */
  onBadPreface(): boolean;
  /** The header of a frame; its length includes padding. What isn't allowed whatever it holds is refused here. */
  onFrameHeader(type: number, flags: number, stream: number, length: number): boolean;
  /** The whole payload `bytes[from..to)` of a frame other than DATA; borrowed. */
  onFrame(type: number, flags: number, stream: number, bytes: Buffer, from: number, to: number): boolean;
  /** Part of a DATA frame's data, as it comes; borrowed. `last`: the frame ends with it. Comes for an empty one too. */
  onDataPart(stream: number, flags: number, bytes: Buffer, from: number, to: number, last: boolean): boolean;
  /** DATA whose padding doesn't fit into it (section 6.1). */
  onBadPadding(): boolean;
}

const PREFACE_STATE = 0;
const HEADER = 1;
const PAYLOAD = 2;
const PAD_LENGTH = 3;
const DATA = 4;
const PADDING = 5;
const STOPPED = 6;

const EMPTY = Buffer.alloc(0);

/**
 * Cuts the bytes of a connection into frames (RFC 9113 section 4), however they come. DATA isn't copied or gathered; of
 * other frames at most one is, of as much as our SETTINGS_MAX_FRAME_SIZE.
 */
export class FrameReader {
  readonly maxFrameSize = DEFAULT_MAX_FRAME_SIZE;
  readonly #sink: FrameSink;
  #state: number;
  /** Bytes of the preface, header or payload that have come, for those that come in pieces. */
  #have = 0;
  readonly #header = Buffer.allocUnsafeSlow(FRAME_HEADER_SIZE);
  #payload = EMPTY;
  #type = 0;
  #flags = 0;
  #stream = 0;
  /** Bytes of the payload, of DATA those of the data still to come. */
  #length = 0;
  #padding = 0;

  constructor(sink: FrameSink, expectPreface: boolean) {
    this.#sink = sink;
    this.#state = expectPreface ? PREFACE_STATE : HEADER;
  }

  /** No further byte is looked at. */
  stop(): void {
    this.#state = STOPPED;
    this.#payload = EMPTY;
  }

  read(chunk: Buffer): void {
    const to = chunk.length;
    let at = 0;
    while (at < to || this.#state === DATA || this.#state === PADDING) {
      switch (this.#state) {
        case PREFACE_STATE:
          while (at < to && this.#have < PREFACE.length) {
            if (chunk[at++] !== PREFACE[this.#have++]) return this.#stopUnless(this.#sink.onBadPreface());
          }
          if (this.#have < PREFACE.length) return;
          this.#have = 0;
          this.#state = HEADER;
          break;
        case HEADER:
          at = this.#readHeader(chunk, at, to);
          break;
        case PAYLOAD:
          at = this.#readPayload(chunk, at, to);
          break;
        case PAD_LENGTH:
          this.#padding = chunk[at++]!;
          this.#length -= 1 + this.#padding;
          if (this.#length < 0) return this.#stopUnless(this.#sink.onBadPadding());
          this.#state = DATA;
          break;
        case DATA: {
          const left = this.#length;
          const end = left < to - at ? at + left : to;
          if (end === at && left > 0) return;
          this.#length -= end - at;
          const done = this.#length === 0;
          const last = done && this.#padding === 0;
          if (done) this.#state = last ? HEADER : PADDING;
          if (end > at || last) {
            if (!this.#sink.onDataPart(this.#stream, this.#flags, chunk, at, end, last)) return this.stop();
          }
          at = end;
          break;
        }
        case PADDING: {
          if (at === to) return;
          const end = Math.min(to, at + this.#padding);
          this.#padding -= end - at;
          at = end;
          if (this.#padding > 0) return;
          this.#state = HEADER;
          if (!this.#sink.onDataPart(this.#stream, this.#flags, EMPTY, 0, 0, true)) return this.stop();
          break;
        }
        default:
          return;
      }
    }
  }

  #readHeader(chunk: Buffer, from: number, to: number): number {
    let bytes = chunk;
    let at = from;
    let next = from + FRAME_HEADER_SIZE;
    if (this.#have > 0 || next > to) {
      bytes = this.#header;
      const part = Math.min(FRAME_HEADER_SIZE - this.#have, to - from);
      next = from + part;
      chunk.copy(bytes, this.#have, from, next);
      this.#have += part;
      if (this.#have < FRAME_HEADER_SIZE) return next;
      this.#have = 0;
      at = 0;
    }
    const length = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
    const type = bytes[at + 3]!;
    const flags = bytes[at + 4]!;
    // The highest bit is reserved, and ignored (section 4.1).
    const stream = ((bytes[at + 5]! & 0x7f) << 24) | (bytes[at + 6]! << 16) | (bytes[at + 7]! << 8) | bytes[at + 8]!;
    if (!this.#sink.onFrameHeader(type, flags, stream, length)) {
      this.stop();
      return to;
    }
    if (type === FrameType.DATA) {
      this.#stream = stream;
      this.#flags = flags;
      this.#length = length;
      this.#padding = 0;
      this.#state = (flags & Flag.PADDED) !== 0 ? PAD_LENGTH : DATA;
      // A length byte that isn't there.
      if (this.#state === PAD_LENGTH && length === 0) {
        this.#stopUnless(this.#sink.onBadPadding());
        return to;
      }
      return next;
    }
    const end = next + length;
    if (end <= to) {
      if (this.#sink.onFrame(type, flags, stream, chunk, next, end)) return end;
      this.stop();
      return to;
    }
    this.#type = type;
    this.#flags = flags;
    this.#stream = stream;
    this.#length = length;
    this.#payload = Buffer.allocUnsafe(length);
    this.#state = PAYLOAD;
    return next;
  }

  #readPayload(chunk: Buffer, from: number, to: number): number {
    const part = Math.min(this.#length - this.#have, to - from);
    chunk.copy(this.#payload, this.#have, from, from + part);
    this.#have += part;
    if (this.#have < this.#length) return to;
    const payload = this.#payload;
    this.#payload = EMPTY;
    this.#have = 0;
    this.#state = HEADER;
    if (this.#sink.onFrame(this.#type, this.#flags, this.#stream, payload, 0, payload.length)) return from + part;
    this.stop();
    return to;
  }

  #stopUnless(goOn: boolean): void {
    if (!goOn) this.stop();
  }
}
