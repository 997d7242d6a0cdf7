import type { CodecError, Http1Settings } from '../codec.ts';
import { HeaderMap } from '../../http/headers.ts';
import { COLON, CR, DEL, LF, SPACE, TAB, TOKEN, isForbiddenControl } from './chars.ts';
import { NoBody, type BodyKind } from './body-kind.ts';
import { Http1Error } from './errors.ts';
import { EMPTY } from './held-input.ts';
import { headerNames, type HeaderName } from './header-names.ts';
import { readRequestLine, readStatusLine } from './start-line.ts';

/** `HeadParser.feed` took everything and wants more. */
export const NeedMore = -1;
/** `HeadParser.feed` found an error; see `HeadParser.error`. */
export const Failed = -2;

/** How much of a chunk is turned into text at a time: a usual head, and not much of a body behind it. */
const SLICE = 4096;
/** For how many fields the names of the message before are remembered. */
const MAX_EXPECTED = 32;

/**
 * Parses heads (start line and fields, RFC 9112 sections 2-5) and trailer sections, strictly: CRLF only, no line
 * folding, no bare CR, no space around names. Incremental by line: a line that isn't complete is held, and is looked at
 * when its LF is there, so that the outcome doesn't depend on how the bytes were split.
 *
 * Fields that frame the message or belong to this hop don't enter the header map; they are kept beside it for
 * framing.ts and connection-header.ts to judge. The object is used again for the next message of its connection.
 */
export class HeadParser {
  headers = new HeaderMap();
  error: CodecError = Http1Error.codecError;
  /** 11 or 10; 0 = another version (requests only). */
  version = 0;
  /** What came after the version on a status line. */
  reason = '';
  /** The request target as it came. */
  target = '';

  /** Undefined: no content-length. -1: it is not one valid number (RFC 9112 section 6.3). */
  contentLength: number | undefined = undefined;
  /** All values of transfer-encoding, joined; undefined = none. */
  transferEncoding: string | undefined = undefined;
  /** All values of connection, joined; '' = none. */
  connection = '';
  proxyConnection = '';
  upgrade = '';
  te = '';
  hosts = 0;
  /** Where in the map connection, upgrade and te would have stood, and which came when (`c`, `u`, `t`). */
  connectionAt = 0;
  upgradeAt = 0;
  teAt = 0;
  hopOrder = '';
  /** How connection and upgrade were spelt; only where case is preserved. */
  connectionName = 'connection';
  upgradeName = 'upgrade';
  /** How the body is framed, and how long a `FixedBody` is; set by framing.ts. */
  body: BodyKind = NoBody;
  bodyLength = 0;
  /** The sender closes the connection after this message, or expects it to be closed; set by connection-header.ts. */
  closes = false;
  /** Bytes of this section so far, on the wire. */
  bytes = 0;
  /** Bytes of the fields as Envoy counts them for *_HEADER_BYTES_RECEIVED: name, value and three for each field. */
  fieldBytes = 0;

  readonly #isRequest: boolean;
  readonly #settings: Http1Settings;
  readonly #preserveCase: boolean;
  #held = EMPTY;
  #heldSize = 0;
  readonly #expected: HeaderName[] = [];
  #refused = false;
  #inStartLine = true;
  #isTrailers = false;
  #limitCount = true;
  #count = 0;

  constructor(kind: 'request' | 'response', settings: Http1Settings) {
    this.#isRequest = kind === 'request';
    this.#settings = settings;
    this.#preserveCase = settings.headerCase === 'preserve';
  }

  /** Starts a head. */
  begin(): void {
    this.#start();
    this.#inStartLine = true;
    this.#isTrailers = false;
    this.#limitCount = true;
    this.version = 0;
    this.reason = '';
    this.target = '';
    this.contentLength = undefined;
    this.transferEncoding = undefined;
    this.connection = '';
    this.proxyConnection = '';
    this.upgrade = '';
    this.te = '';
    this.hosts = 0;
    this.hopOrder = '';
    this.body = NoBody;
    this.closes = false;
  }

  /** Whether anything of this section has come. */
  get started(): boolean {
    return this.bytes > 0 || this.#heldSize > 0;
  }

  /** Starts a trailer section; what is known of the head but for `headers` stays. */
  beginTrailers(): void {
    this.#start();
    this.#inStartLine = false;
    this.#isTrailers = true;
    this.#limitCount = this.#settings.enableTrailers;
  }

  #start(): void {
    const headers = new HeaderMap();
    if (this.#preserveCase) headers.originalNames = [];
    this.headers = headers;
    this.bytes = 0;
    this.fieldBytes = 0;
    this.#heldSize = 0;
    this.#refused = false;
    this.#count = 0;
  }

  /** Reads on. Returns where the section ended in `chunk`, or NeedMore, or Failed. The chunk is not kept. */
  feed(chunk: Buffer, from: number, to: number): number {
    return this.#heldSize === 0 ? this.#feedDirect(chunk, from, to) : this.#feedHeld(chunk, from, to);
  }

  #feedDirect(chunk: Buffer, from: number, to: number): number {
    let at = from;
    let size = SLICE;
    for (;;) {
      const end = to - at > size ? at + size : to;
      const before = this.bytes;
      const done = this.#lines(chunk, at, end);
      if (done !== NeedMore) return done;
      const read = this.bytes - before;
      at += read;
      if (this.bytes + end - at > this.#settings.maxHeadersBytes) return this.#fail(Http1Error.headersTooLarge);
      if (end === to) break;
      // A line longer than what was looked at.
      if (read === 0) size *= 2;
    }
    if (at < to) this.#hold(chunk, at, to);
    return NeedMore;
  }

  #feedHeld(chunk: Buffer, from: number, to: number): number {
    let at = from;
    while (at < to) {
      const end = to - at > SLICE ? at + SLICE : to;
      const heldBefore = this.#heldSize;
      this.#hold(chunk, at, end);
      if (this.#held.subarray(heldBefore, this.#heldSize).includes(LF)) {
        const before = this.bytes;
        const done = this.#lines(this.#held, 0, this.#heldSize);
        if (done === Failed) return Failed;
        if (done !== NeedMore) return at + done - heldBefore;
        const read = this.bytes - before;
        this.#held.copyWithin(0, read, this.#heldSize);
        this.#heldSize -= read;
      }
      if (this.bytes + this.#heldSize > this.#settings.maxHeadersBytes) return this.#fail(Http1Error.headersTooLarge);
      at = end;
      if (this.#heldSize === 0 && at < to) return this.#feedDirect(chunk, at, to);
    }
    return NeedMore;
  }

  #hold(chunk: Buffer, from: number, to: number): void {
    const size = this.#heldSize + to - from;
    if (size > this.#held.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(256, 2 * size));
      grown.set(this.#held.subarray(0, this.#heldSize));
      this.#held = grown;
    }
    this.#held.set(chunk.subarray(from, to), this.#heldSize);
    this.#heldSize = size;
  }

  /**
   * Parses the complete lines of `buffer[from..to)`, counting them in `bytes`. Returns where the section ended. Bytes are
   * looked at in the buffer, strings cut from one conversion of it: each is the fastest way to do that.
   */
  #lines(buffer: Buffer, from: number, to: number): number {
    const text = buffer.toString('latin1', from, to);
    // Of a position, what has to be added to get the bytes of the section up to there.
    const offset = this.bytes - from;
    const { maxHeadersBytes, maxHeadersCount } = this.#settings;
    let at = from;
    if (this.#inStartLine) {
      const lf = text.indexOf('\n');
      if (lf === -1) return NeedMore;
      if (lf + 1 > maxHeadersBytes) return this.#fail(Http1Error.headersTooLarge);
      const error = this.#isRequest ? readRequestLine(this, text, lf, this.#settings) : readStatusLine(this, text, lf);
      if (error !== undefined) return this.#fail(error);
      this.#inStartLine = false;
      at += lf + 1;
      this.bytes = offset + at;
    }
    const { names, values, originalNames } = this.headers;
    for (;;) {
      // The name: most often what stood there in the message before.
      let i = at;
      let code = 0;
      let name = this.#expected[this.#count];
      if (name !== undefined) {
        const { bytes } = name;
        const end = at + bytes.length;
        if (end < to) {
          let k = 0;
          while (i < end && buffer[i] === bytes[k]) {
            i++;
            k++;
          }
        }
        if (i !== end || buffer[i] !== COLON) name = undefined;
      }
      if (name === undefined) {
        i = at;
        while (i < to && TOKEN[(code = buffer[i]!)] === 1) i++;
        if (i === to) return NeedMore;
        if (code !== COLON || i === at) {
          if (code !== CR || i !== at) return this.#failInLine(text, at - from, i - from, offset + from);
          if (i + 1 === to) return NeedMore;
          if (buffer[i + 1] !== LF) return this.#failInLine(text, at - from, i - from, offset + from);
          this.bytes = offset + at + 2;
          if (this.bytes > maxHeadersBytes) return this.#fail(Http1Error.headersTooLarge);
          this.#heldSize = 0;
          return at + 2;
        }
        name = headerNames.find(buffer, at, i);
        if (this.#count < MAX_EXPECTED) this.#expected[this.#count] = name;
      }
      const nameLength = i - at;

      // The value, without the whitespace around it.
      i++;
      while (i < to && ((code = buffer[i]!) === SPACE || code === TAB)) i++;
      const valueStart = i;
      while (i < to && ((code = buffer[i]!) >= SPACE ? code !== DEL : code === TAB)) i++;
      if (i === to || (i + 1 === to && code === CR)) return NeedMore;
      if (code !== CR || buffer[i + 1] !== LF) return this.#failInLine(text, at - from, i - from, offset + from);
      let valueEnd = i;
      while (valueEnd > valueStart && ((code = buffer[valueEnd - 1]!) === SPACE || code === TAB)) valueEnd--;
      i += 2;
      if (offset + i > maxHeadersBytes) return this.#fail(Http1Error.headersTooLarge);
      if (++this.#count > maxHeadersCount && this.#limitCount) return this.#fail(Http1Error.tooManyHeaders);

      const value = text.slice(valueStart - from, valueEnd - from);
      this.fieldBytes += nameLength + value.length + 3;
      if (this.#isOrdinary(name, value)) {
        names.push(name.lower);
        values.push(value);
        if (originalNames !== undefined) originalNames.push(name.spelt);
      }
      if (this.#refused) return this.#fail(Http1Error.codecError);
      at = i;
      this.bytes = offset + at;
    }
  }

  /** False: the field frames the message or belongs to this hop only, and has been noted. */
  #isOrdinary(field: HeaderName, value: string): boolean {
    const name = field.lower;
    switch (name.length) {
      case 2:
        if (name !== 'te' || !this.#isRequest) return true;
        if (this.#isTrailers) return false;
        this.te = this.te === '' ? value : `${this.te},${value}`;
        if (this.hopOrder.includes('t')) return false;
        this.hopOrder += 't';
        this.teAt = this.headers.names.length;
        return false;
      case 4:
        if (name !== 'host' || !this.#isRequest) return true;
        if (this.#isTrailers) return this.#refuseInTrailers();
        this.hosts++;
        this.headers.authority = value;
        if (this.#preserveCase) this.headers.originalHostName = field.spelt;
        return false;
      case 7:
        if (name !== 'upgrade') return true;
        if (this.#isTrailers) return false;
        this.upgrade = this.upgrade === '' ? value : `${this.upgrade},${value}`;
        if (this.#preserveCase) this.upgradeName = field.spelt;
        if (this.hopOrder.includes('u')) return false;
        this.hopOrder += 'u';
        this.upgradeAt = this.headers.names.length;
        return false;
      case 10:
        if (name === 'keep-alive') return false;
        if (name !== 'connection') return true;
        if (this.#isTrailers) return false;
        this.connection = this.connection === '' ? value : `${this.connection},${value}`;
        if (this.#preserveCase) this.connectionName = field.spelt;
        if (this.hopOrder.includes('c')) return false;
        this.hopOrder += 'c';
        this.connectionAt = this.headers.names.length;
        return false;
      case 14:
        if (name !== 'content-length') return true;
        if (this.#isTrailers) return this.#refuseInTrailers();
        this.contentLength = this.contentLength === undefined ? readLength(value) : -1;
        return true;
      case 16:
        if (name !== 'proxy-connection') return true;
        this.proxyConnection = value;
        return false;
      case 17:
        if (name !== 'transfer-encoding') return true;
        if (this.#isTrailers) return this.#refuseInTrailers();
        this.transferEncoding = this.transferEncoding === undefined ? value : `${this.transferEncoding},${value}`;
        return false;
      default:
        return true;
    }
  }

  /** Framing fields in a trailer section only serve to confuse somebody (RFC 9110 section 6.5.1). */
  #refuseInTrailers(): boolean {
    this.#refused = true;
    return false;
  }

  /** The line from `at` is malformed at `i`, if it is complete; an incomplete one waits for its LF. */
  #failInLine(text: string, at: number, i: number, before: number): number {
    const lf = text.indexOf('\n', at);
    if (lf === -1) return NeedMore;
    if (before + lf + 1 > this.#settings.maxHeadersBytes) return this.#fail(Http1Error.headersTooLarge);
    return this.#fail(isForbiddenControl(text.charCodeAt(i)) ? Http1Error.invalidCharacters : Http1Error.codecError);
  }

  #fail(error: CodecError): number {
    this.error = error;
    this.#heldSize = 0;
    return Failed;
  }
}

/** 1*DIGIT that a double holds exactly; else -1. */
function readLength(value: string): number {
  if (value.length === 0 || value.length > 16) return -1;
  let length = 0;
  for (let i = 0; i < value.length; i++) {
    const digit = value.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return -1;
    length = length * 10 + digit;
  }
  return length <= Number.MAX_SAFE_INTEGER ? length : -1;
}
