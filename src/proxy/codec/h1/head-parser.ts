import type { CodecError, Http1Settings } from '../codec.ts';
import { HeaderMap } from '../../http/headers.ts';
import { COLON, CR, LF, SPACE, TAB, TOKEN, VALUE, isForbiddenControl } from './chars.ts';
import { NoBody, type BodyKind } from './body-kind.ts';
import { Http1Error } from './errors.ts';
import { headerNames } from './header-names.ts';
import { readRequestLine, readStatusLine } from './start-line.ts';

/** `HeadParser.feed` took everything and wants more. */
export const NeedMore = -1;
/** `HeadParser.feed` found an error; see `HeadParser.error`. */
export const Failed = -2;

/** How much of a chunk is turned into text at a time: a usual head, and not much of a body behind it. */
const SLICE = 4096;

/**
 * Parses heads (start line and fields, RFC 9112 sections 2-5) and trailer sections, strictly: CRLF only, no line
 * folding, no bare CR, no space around names. Incremental by line: a line that isn't complete is held as text, and is
 * looked at when its LF is there, so that the outcome doesn't depend on how the bytes were split.
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
  #held = '';
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
    return this.bytes > 0 || this.#held !== '';
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
    this.#held = '';
    this.#refused = false;
    this.#count = 0;
  }

  /** Reads on. Returns where the section ended in `chunk`, or NeedMore, or Failed. The chunk is not kept. */
  feed(chunk: Buffer, from: number, to: number): number {
    let at = from;
    for (;;) {
      const end = to - at > SLICE ? at + SLICE : to;
      const slice = chunk.toString('latin1', at, end);
      const held = this.#held;
      if (held === '' || slice.includes('\n')) {
        const text = held === '' ? slice : held + slice;
        const before = this.bytes;
        const done = this.#lines(text);
        if (done === Failed) return Failed;
        if (done !== NeedMore) return at + done - held.length;
        this.#held = text.slice(this.bytes - before);
      } else {
        this.#held = held + slice;
      }
      if (this.bytes + this.#held.length > this.#settings.maxHeadersBytes)
        return this.#fail(Http1Error.headersTooLarge);
      if (end === to) return NeedMore;
      at = end;
    }
  }

  /** Parses the complete lines of `text`, counting them in `bytes`. Returns where the section ended. */
  #lines(text: string): number {
    const length = text.length;
    const start = this.bytes;
    let at = 0;
    if (this.#inStartLine) {
      const lf = text.indexOf('\n');
      if (lf === -1) return NeedMore;
      if (lf + 1 > this.#settings.maxHeadersBytes) return this.#fail(Http1Error.headersTooLarge);
      // readRequestLine relies on text[lf] being there, so it needs no bounds checks of its own.
      const error = this.#isRequest ? readRequestLine(this, text, lf, this.#settings) : readStatusLine(this, text, lf);
      if (error !== undefined) return this.#fail(error);
      this.#inStartLine = false;
      at = lf + 1;
      this.bytes = start + at;
    }
    const { names, values, originalNames } = this.headers;
    for (;;) {
      // The name.
      let i = at;
      let hash = 0;
      let upper = 0;
      let kind = 0;
      let code = 0;
      while (i < length && (kind = TOKEN[(code = text.charCodeAt(i))]!) !== 0) {
        hash = (Math.imul(hash, 31) + code) | 0;
        upper |= kind;
        i++;
      }
      if (i === length) return NeedMore;
      if (code !== COLON || i === at) {
        if (code === CR && i === at) {
          if (i + 1 === length) return NeedMore;
          if (text.charCodeAt(i + 1) === LF) return this.#end(start, at + 2);
        }
        return this.#failInLine(text, at, i, start);
      }
      const nameEnd = i;

      // The value, without the whitespace around it.
      i++;
      while (i < length && ((code = text.charCodeAt(i)) === SPACE || code === TAB)) i++;
      const valueStart = i;
      while (i < length && VALUE[(code = text.charCodeAt(i))] === 1) i++;
      if (i + 1 >= length) {
        if (i === length || code === CR) return NeedMore;
        return this.#failInLine(text, at, i, start);
      }
      if (code !== CR || text.charCodeAt(i + 1) !== LF) return this.#failInLine(text, at, i, start);
      let valueEnd = i;
      while (valueEnd > valueStart && ((code = text.charCodeAt(valueEnd - 1)) === SPACE || code === TAB)) valueEnd--;
      i += 2;
      if (start + i > this.#settings.maxHeadersBytes) return this.#fail(Http1Error.headersTooLarge);
      if (++this.#count > this.#settings.maxHeadersCount && this.#limitCount) {
        return this.#fail(Http1Error.tooManyHeaders);
      }

      const name = headerNames.lower(text, at, nameEnd, hash);
      const value = text.slice(valueStart, valueEnd);
      this.fieldBytes += nameEnd - at + value.length + 3;
      if (this.#isOrdinary(name, value, text, at, nameEnd)) {
        names.push(name);
        values.push(value);
        if (originalNames !== undefined) originalNames.push((upper & 2) === 0 ? name : text.slice(at, nameEnd));
      }
      if (this.#refused) return this.#fail(Http1Error.codecError);
      at = i;
      this.bytes = start + at;
    }
  }

  /** False: the field frames the message or belongs to this hop only, and has been noted. */
  #isOrdinary(name: string, value: string, text: string, from: number, to: number): boolean {
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
        if (this.#preserveCase) this.headers.originalHostName = text.slice(from, to);
        return false;
      case 7:
        if (name !== 'upgrade') return true;
        if (this.#isTrailers) return false;
        this.upgrade = this.upgrade === '' ? value : `${this.upgrade},${value}`;
        if (this.#preserveCase) this.upgradeName = text.slice(from, to);
        if (this.hopOrder.includes('u')) return false;
        this.hopOrder += 'u';
        this.upgradeAt = this.headers.names.length;
        return false;
      case 10:
        if (name === 'keep-alive') return false;
        if (name !== 'connection') return true;
        if (this.#isTrailers) return false;
        this.connection = this.connection === '' ? value : `${this.connection},${value}`;
        if (this.#preserveCase) this.connectionName = text.slice(from, to);
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

  #end(start: number, at: number): number {
    this.bytes = start + at;
    if (this.bytes > this.#settings.maxHeadersBytes) return this.#fail(Http1Error.headersTooLarge);
    this.#held = '';
    return at;
  }

  /** The line from `at` is malformed at `i`, if it is complete; an incomplete one waits for its LF. */
  #failInLine(text: string, at: number, i: number, start: number): number {
    const lf = text.indexOf('\n', at);
    if (lf === -1) return NeedMore;
    if (start + lf + 1 > this.#settings.maxHeadersBytes) return this.#fail(Http1Error.headersTooLarge);
    return this.#fail(isForbiddenControl(text.charCodeAt(i)) ? Http1Error.invalidCharacters : Http1Error.codecError);
  }

  #fail(error: CodecError): number {
    this.error = error;
    this.#held = '';
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
