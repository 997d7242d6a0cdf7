import { CR, LF, SPACE, TAB, VALUE } from './chars.ts';

/** Most bytes of chunk extensions (and leading zeros) in one body: they carry nothing for us. */
const MAX_OVERHEAD = 16 * 1024;
/** Chunks up to this are joined with their neighbours by moving them together in the read buffer. */
const JOIN_BELOW = 8 * 1024;

const SIZE_START = 0;
const SIZE = 1;
const BEFORE_EXTENSION = 2;
const EXTENSION = 3;
const SIZE_LF = 4;
const DATA = 5;
const DATA_CR = 6;
const DATA_LF = 7;
const AFTER_LAST = 8;
const LAST_LF = 9;
/** The body ended without trailers. */
const DONE = 10;
/** A trailer section begins with the next byte. */
const TRAILERS = 11;
const BROKEN = 12;

/**
 * Decodes `Transfer-Encoding: chunked` (RFC 9112 section 7.1), strictly, any split of the input. The trailer section is
 * left to the head parser.
 *
 * `decode` stops after each run of data, which is then `chunk[dataStart..dataEnd)`: small chunks that lie in the same
 * read are joined into one run (in place, which is why the input must be writable).
 */
export class ChunkedDecoder {
  dataStart = 0;
  dataEnd = 0;
  #state = SIZE_START;
  #left = 0;
  #overhead = 0;

  begin(): void {
    this.#state = SIZE_START;
    this.#left = 0;
    this.#overhead = 0;
  }

  get done(): boolean {
    return this.#state === DONE;
  }

  get atTrailers(): boolean {
    return this.#state === TRAILERS;
  }

  get failed(): boolean {
    return this.#state === BROKEN;
  }

  /** Reads from `at` on; returns where it stopped: `to`, the end of the body, or behind a run to deliver first. */
  decode(chunk: Buffer, at: number, to: number): number {
    let i = at;
    this.dataStart = 0;
    this.dataEnd = 0;
    while (i < to) {
      if (this.#state === DATA) {
        const size = Math.min(this.#left, to - i);
        if (!this.#addRun(chunk, i, size)) return i;
        i += size;
        this.#left -= size;
        if (this.#left === 0) this.#state = DATA_CR;
        continue;
      }
      const state = (this.#state = this.#next(chunk[i]!));
      if (state === BROKEN || state === TRAILERS) return i;
      i++;
      if (state === DONE) return i;
    }
    return i;
  }

  /** False: this run can't be joined to the one that is there; deliver that first. */
  #addRun(chunk: Buffer, from: number, size: number): boolean {
    if (this.dataEnd === 0) {
      this.dataStart = from;
      this.dataEnd = from + size;
      return true;
    }
    if (size > JOIN_BELOW) return false;
    chunk.copyWithin(this.dataEnd, from, from + size);
    this.dataEnd += size;
    return true;
  }

  /** The state after `byte`, outside of data. */
  #next(byte: number): number {
    switch (this.#state) {
      case SIZE_START:
        this.#left = 0;
        return this.#digit(byte) ? SIZE : BROKEN;
      case SIZE:
        if (this.#digit(byte)) return this.#left <= Number.MAX_SAFE_INTEGER ? SIZE : BROKEN;
        if (byte === CR) return SIZE_LF;
        return this.#extension(byte);
      case BEFORE_EXTENSION:
        return this.#extension(byte);
      case EXTENSION:
        if (byte === CR) return SIZE_LF;
        return VALUE[byte] === 1 && ++this.#overhead <= MAX_OVERHEAD ? EXTENSION : BROKEN;
      case SIZE_LF:
        if (byte !== LF) return BROKEN;
        return this.#left === 0 ? AFTER_LAST : DATA;
      case DATA_CR:
        return byte === CR ? DATA_LF : BROKEN;
      case DATA_LF:
        return byte === LF ? SIZE_START : BROKEN;
      case AFTER_LAST:
        return byte === CR ? LAST_LF : TRAILERS;
      case LAST_LF:
        return byte === LF ? DONE : BROKEN;
      default:
        return BROKEN;
    }
  }

  #extension(byte: number): number {
    if (++this.#overhead > MAX_OVERHEAD) return BROKEN;
    if (byte === SPACE || byte === TAB) return BEFORE_EXTENSION;
    return byte === 0x3b ? EXTENSION : BROKEN;
  }

  #digit(byte: number): boolean {
    let digit = byte - 48;
    if (digit < 0 || digit > 9) {
      digit = (byte | 32) - 87;
      if (digit < 10 || digit > 15) return false;
    }
    this.#left = this.#left * 16 + digit;
    return digit !== 0 || this.#left !== 0 || ++this.#overhead <= MAX_OVERHEAD;
  }
}
