import { VALUE } from '../../h1/chars.ts';
import { headerNames } from '../../h1/header-names.ts';
import { DecodingTable, TableEntry } from './dynamic-table.ts';
import { DEFAULT_TABLE_SIZE, FieldFlaw, type HpackError, type HpackSink } from './hpack.ts';
import { HuffmanDecoder } from './huffman-decoder.ts';

/** No length, index or table size has to be larger; reading on would only serve to overflow (RFC 7541 section 5.1). */
const MAX_SHIFT = 21;
/** `#integer` and `#text` failed; see `#error`. */
const FAILED = -1;

/**
 * The receiving half of HPACK (RFC 7541): header blocks in, fields out. Never throws on what came from the peer. After
 * an error the tables no longer agree, and the connection must end.
 */
export class HpackDecoder {
  readonly #table: DecodingTable;
  /** What the peer may set the table's size to. */
  #limit: number;
  /** The next block must begin with an update to at most this; Infinity: it need not. */
  #updateDue = Infinity;

  // Of the block being decoded.
  #block: Buffer = EMPTY;
  #at = 0;
  #end = 0;
  #error: HpackError = 'truncated header block';
  // The text read last: `#textIn[#textFrom..#textTo)`.
  #textIn: Buffer = EMPTY;
  #textFrom = 0;
  #textTo = 0;

  /** `maxTableSize`: what the peer may use now; the default until it has acknowledged another setting. */
  constructor(maxTableSize: number = DEFAULT_TABLE_SIZE) {
    this.#limit = maxTableSize;
    this.#table = new DecodingTable(maxTableSize);
  }

  /** The peer has acknowledged this SETTINGS_HEADER_TABLE_SIZE. */
  setMaxTableSize(size: number): void {
    this.#limit = size;
    if (size < this.#table.maxSize && size < this.#updateDue) this.#updateDue = size;
  }

  /** Decodes the whole header block `block[from..to)` (fragments of CONTINUATION joined). The block is not kept. */
  decode(block: Buffer, from: number, to: number, sink: HpackSink): HpackError | undefined {
    this.#block = block;
    this.#at = from;
    this.#end = to;
    const error = this.#decode(sink);
    // The block is not ours to hold on to.
    this.#block = EMPTY;
    this.#textIn = EMPTY;
    return error;
  }

  #decode(sink: HpackSink): HpackError | undefined {
    const block = this.#block;
    const end = this.#end;
    const table = this.#table;
    let wanted = true;
    let atStart = true;
    while (this.#at < end) {
      const byte = block[this.#at]!;
      if (byte >= 0x40 || byte < 0x20) {
        if (atStart) {
          if (this.#updateDue !== Infinity) return 'missing table size update';
          atStart = false;
        }
        if (byte >= 0x80) {
          // Section 6.1: an indexed field.
          const index = this.#integer(byte & 0x7f, 0x7f);
          if (index === FAILED) return this.#error;
          const entry = table.at(index);
          if (entry === undefined) return 'invalid index';
          if (wanted) wanted = sink.onField(entry.name, entry.value, entry.flaws);
          continue;
        }
        // Section 6.2: a literal, added to the table (01) or not (0000, 0001).
        const indexed = byte >= 0x40;
        const nameIndex = indexed ? this.#integer(byte & 0x3f, 0x3f) : this.#integer(byte & 0xf, 0xf);
        if (nameIndex === FAILED) return this.#error;
        const built = wanted || indexed;
        let name = '';
        let flaws = 0;
        if (nameIndex === 0) {
          if (!this.#text()) return this.#error;
          if (built) {
            flaws = this.#nameFlaws();
            if (this.#textTo > this.#textFrom) {
              name = headerNames.find(this.#textIn, this.#textFrom, this.#textTo).spelt;
            }
          }
        } else {
          const entry = table.at(nameIndex);
          if (entry === undefined) return 'invalid index';
          name = entry.name;
          flaws = entry.flaws & FieldFlaw.name;
        }
        if (!this.#text()) return this.#error;
        if (!built) continue;
        flaws |= this.#valueFlaws();
        const value =
          this.#textTo > this.#textFrom ? this.#textIn.toString('latin1', this.#textFrom, this.#textTo) : '';
        if (indexed) table.insert(new TableEntry(name, value, flaws));
        if (wanted) wanted = sink.onField(name, value, flaws);
      } else {
        // Section 6.3: only where a block begins (section 4.2).
        if (!atStart) return 'misplaced table size update';
        const size = this.#integer(byte & 0x1f, 0x1f);
        if (size === FAILED) return this.#error;
        if (size > this.#limit) return 'table size update too large';
        if (size <= this.#updateDue) this.#updateDue = Infinity;
        table.resize(size);
      }
    }
    return undefined;
  }

  /** Section 5.1. `prefix` is what the first byte, at `#at`, says; `full` says that more bytes follow. */
  #integer(prefix: number, full: number): number {
    let at = this.#at + 1;
    if (prefix < full) {
      this.#at = at;
      return prefix;
    }
    let value = full;
    for (let shift = 0; at < this.#end; shift += 7) {
      if (shift > MAX_SHIFT) {
        this.#error = 'integer too large';
        return FAILED;
      }
      const byte = this.#block[at++]!;
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.#at = at;
        return value;
      }
    }
    this.#error = 'truncated header block';
    return FAILED;
  }

  /** Section 5.2. Leaves where the text is in `#textIn`, `#textFrom` and `#textTo`. */
  #text(): boolean {
    if (this.#at >= this.#end) {
      this.#error = 'truncated header block';
      return false;
    }
    const byte = this.#block[this.#at]!;
    const size = this.#integer(byte & 0x7f, 0x7f);
    if (size === FAILED) return false;
    const from = this.#at;
    const to = from + size;
    if (to > this.#end) {
      this.#error = 'truncated header block';
      return false;
    }
    this.#at = to;
    if (byte < 0x80) {
      this.#textIn = this.#block;
      this.#textFrom = from;
      this.#textTo = to;
      return true;
    }
    const huffman = (shared.huffman ??= new HuffmanDecoder());
    const room = HuffmanDecoder.room(size);
    let target = shared.text;
    if (room > target.length) {
      target = Buffer.allocUnsafe(room);
      // Most blocks are small: only those that aren't pay for more.
      if (room <= MAX_SHARED) shared.text = target;
    }
    const decoded = huffman.decode(this.#block, from, to, target);
    if (decoded === FAILED) {
      this.#error = 'invalid Huffman code';
      return false;
    }
    this.#textIn = target;
    this.#textFrom = 0;
    this.#textTo = decoded;
    return true;
  }

  #nameFlaws(): number {
    const text = this.#textIn;
    const to = this.#textTo;
    let i = this.#textFrom;
    if (i < to && text[i] === 0x3a) i++;
    if (i === to) return FieldFlaw.name;
    while (i < to && LOWER_TOKEN[text[i]!] === 1) i++;
    return i === to ? 0 : FieldFlaw.name;
  }

  #valueFlaws(): number {
    const text = this.#textIn;
    const from = this.#textFrom;
    const to = this.#textTo;
    if (from === to) return 0;
    let i = from;
    while (i < to && VALUE[text[i]!] === 1) i++;
    return (i === to ? 0 : FieldFlaw.value) | (isBlank(text[from]!) || isBlank(text[to - 1]!) ? FieldFlaw.padding : 0);
  }
}

const EMPTY = Buffer.alloc(0);
const MAX_SHARED = 64 * 1024;

/** What all decoders of a thread use while they decode: the code's table, made when it is needed first, and room for text. */
const shared: { huffman: HuffmanDecoder | undefined; text: Buffer } = {
  huffman: undefined,
  text: Buffer.allocUnsafeSlow(1024),
};

/** Bytes of a name in HTTP/2 (RFC 9113 section 8.2.1): those of a token without upper case. */
const LOWER_TOKEN = new Uint8Array(256);
for (const character of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") LOWER_TOKEN[character.charCodeAt(0)] = 1;

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
