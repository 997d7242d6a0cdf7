import type { H2Stream } from './stream.ts';

/** So many fragments a block may have at least, however small its limit in bytes. */
const MIN_FRAGMENTS = 64;
/** What fragments are allowed for each of these bytes. */
const BYTES_A_FRAGMENT = 1024;

const EMPTY = Buffer.alloc(0);

/**
 * The fragments of a header block that came in HEADERS and CONTINUATION, being joined (RFC 9113 section 4.3). Bounded in
 * bytes and in number: a block is held before it is known to be anything.
 */
export class HeaderBlock {
  /** The stream that a CONTINUATION is due on; 0 = none. */
  open = 0;
  /** Whom the block is for; undefined: nobody, but HPACK has to see it. */
  stream: H2Stream | undefined = undefined;
  /** Of the HEADERS frame. */
  flags = 0;
  wireBytes = 0;
  readonly #maxBytes: number;
  readonly #maxFragments: number;
  #fragments = 0;
  #bytes = EMPTY;
  #size = 0;

  /** `maxHeadersBytes`: of the decoded section. Encoded it is hardly ever more, and what is more can't be accepted. */
  constructor(maxHeadersBytes: number) {
    this.#maxBytes = 2 * maxHeadersBytes + 16 * 1024;
    this.#maxFragments = Math.max(MIN_FRAGMENTS, Math.ceil(maxHeadersBytes / BYTES_A_FRAGMENT));
  }

  begin(stream: H2Stream | undefined, id: number, flags: number, wireBytes: number): void {
    this.open = id;
    this.stream = stream;
    this.flags = flags;
    this.wireBytes = wireBytes;
    this.#fragments = 0;
    this.#size = 0;
  }

  /** False: too much. */
  add(bytes: Buffer, from: number, to: number): boolean {
    const size = this.#size + to - from;
    if (size > this.#maxBytes || ++this.#fragments > this.#maxFragments) return false;
    if (size > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.min(this.#maxBytes, Math.max(size, 2 * this.#bytes.length)));
      this.#bytes.copy(grown, 0, 0, this.#size);
      this.#bytes = grown;
    }
    bytes.copy(this.#bytes, this.#size, from, to);
    this.#size = size;
    return true;
  }

  /** The whole block; the next may begin. */
  take(): Buffer {
    const whole = this.#bytes.subarray(0, this.#size);
    this.open = 0;
    this.stream = undefined;
    this.#bytes = EMPTY;
    return whole;
  }
}
