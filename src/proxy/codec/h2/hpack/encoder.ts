import type { ByteWriter } from './byte-writer.ts';
import { EncodingTable, type SentName } from './encoding-table.ts';
import { DEFAULT_TABLE_SIZE } from './hpack.ts';
import { NotShorter, huffmanEncode, huffmanSize } from './huffman-encoder.ts';

/** Bytes that an integer takes at most (lengths and sizes are below 2^32). */
const INTEGER_ROOM = 6;
/** For how many fields of a block it is remembered what stood there in the block before. */
const MAX_REMEMBERED = 32;

/** First bits of a representation (RFC 7541 section 6), with what its integer can hold in the first byte. */
const INDEXED = 0x80;
const ADDED = 0x40;
const SIZE_UPDATE = 0x20;
const NEVER_INDEXED = 0x10;
const NOT_ADDED = 0;

/** What stood in some place of the block before. */
class Remembered {
  name: SentName;
  value = '';
  /** Of the entry in the dynamic table; 0 = the static index is used. */
  serial = 0;
  staticIndex = 0;

  constructor(name: SentName) {
    this.name = name;
  }
}

/**
 * The sending half of HPACK (RFC 7541). A block is `begin`, then each field in order; its bytes are those that were
 * added to the writer since. Blocks must leave in the order they were begun.
 *
 * The same fields in the same places as in the block before, as most blocks of a connection have them, cost two
 * comparisons each.
 */
export class HpackEncoder {
  readonly #table: EncodingTable;
  readonly #ownMaxSize: number;
  readonly #remembered: Remembered[] = [];
  #place = 0;
  #out: ByteWriter | undefined;
  /** The least size that was allowed since the last block; the peer has to hear of it (section 4.2). */
  #leastSize = Infinity;
  #nextSize: number;
  #status = 0;
  #statusText = '';

  /** `maxTableSize`: the most that we use, whatever the peer allows. 0 turns the dynamic table off. */
  constructor(maxTableSize: number = DEFAULT_TABLE_SIZE) {
    this.#ownMaxSize = maxTableSize;
    // The peer's table has this size until we say otherwise.
    this.#table = new EncodingTable(DEFAULT_TABLE_SIZE);
    this.#nextSize = Math.min(maxTableSize, DEFAULT_TABLE_SIZE);
    if (this.#nextSize < DEFAULT_TABLE_SIZE) this.#leastSize = this.#nextSize;
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE came; call when it is acknowledged. */
  setPeerMaxTableSize(size: number): void {
    this.#nextSize = Math.min(size, this.#ownMaxSize);
    if (this.#nextSize < this.#leastSize) this.#leastSize = this.#nextSize;
  }

  /** Starts a block in `out`, behind what is there (a frame header). `out` is used until the next `begin`. */
  begin(out: ByteWriter): void {
    this.#out = out;
    this.#place = 0;
    const table = this.#table;
    if (this.#nextSize === table.maxSize && this.#leastSize >= table.maxSize) {
      this.#leastSize = Infinity;
      return;
    }
    out.reserve(2 * INTEGER_ROOM);
    if (this.#leastSize < this.#nextSize && this.#leastSize < table.maxSize) {
      writeInteger(out, SIZE_UPDATE, 0x1f, this.#leastSize);
      table.resize(this.#leastSize);
    }
    writeInteger(out, SIZE_UPDATE, 0x1f, this.#nextSize);
    table.resize(this.#nextSize);
    this.#leastSize = Infinity;
  }

  /** `name` in lower case, pseudo-header fields with their colon. */
  field(name: string, value: string): void {
    const out = this.#out!;
    const place = this.#place++;
    const remembered = this.#remembered[place];
    if (remembered === undefined || remembered.name.name !== name) {
      return this.#search(this.#table.nameOf(name), value, place, remembered);
    }
    if (remembered.value !== value) return this.#search(remembered.name, value, place, remembered);
    const { serial } = remembered;
    const index = serial === 0 ? remembered.staticIndex : this.#table.indexOf(serial);
    if (index === 0) return this.#search(remembered.name, value, place, remembered);
    out.reserve(INTEGER_ROOM);
    if (index < 0x7f) out.bytes[out.size++] = INDEXED | index;
    else writeInteger(out, INDEXED, 0x7f, index);
  }

  /** `:status`, without making a string of it. */
  status(code: number): void {
    if (code !== this.#status) {
      this.#status = code;
      this.#statusText = String(code);
    }
    this.field(':status', this.#statusText);
  }

  #search(name: SentName, value: string, place: number, remembered: Remembered | undefined): void {
    const out = this.#out!;
    const table = this.#table;
    const known = name.staticValues.length === 0 ? -1 : name.staticValues.indexOf(value);
    if (known !== -1) {
      const index = name.staticIndex + known;
      this.#remember(place, remembered, name, value, 0, index);
      out.reserve(INTEGER_ROOM);
      return writeInteger(out, INDEXED, 0x7f, index);
    }
    const entry = table.find(name, value);
    if (entry !== undefined) {
      name.used();
      this.#remember(place, remembered, name, entry.value, entry.serial, 0);
      out.reserve(INTEGER_ROOM);
      return writeInteger(out, INDEXED, 0x7f, table.indexOf(entry.serial));
    }
    const nameIndex = table.nameIndex(name);
    if (name.isSecret(value)) {
      this.#literal(NEVER_INDEXED, 0xf, nameIndex, name.name, value);
    } else if (table.hasRoomFor(name.name, value) && name.shallAdd(value, nameIndex)) {
      this.#literal(ADDED, 0x3f, nameIndex, name.name, value);
      const added = table.insert(name, value);
      return this.#remember(place, remembered, name, added.value, added.serial, 0);
    } else {
      this.#literal(NOT_ADDED, 0xf, nameIndex, name.name, value);
    }
    this.#remember(place, remembered, name, '', 0, 0);
  }

  #remember(
    place: number,
    remembered: Remembered | undefined,
    name: SentName,
    value: string,
    serial: number,
    staticIndex: number,
  ): void {
    if (remembered === undefined) {
      if (place >= MAX_REMEMBERED) return;
      remembered = this.#remembered[place] = new Remembered(name);
    }
    remembered.name = name;
    remembered.value = value;
    remembered.serial = serial;
    remembered.staticIndex = staticIndex;
  }

  #literal(first: number, full: number, nameIndex: number, name: string, value: string): void {
    const out = this.#out!;
    out.reserve(5 * INTEGER_ROOM + 2 * (name.length + value.length));
    writeInteger(out, first, full, nameIndex);
    if (nameIndex === 0) writeText(out, name);
    writeText(out, value);
  }
}

/** Section 5.1; `full` is the most that the first byte's prefix can hold. There must be room. */
function writeInteger(out: ByteWriter, first: number, full: number, value: number): void {
  const { bytes } = out;
  if (value < full) {
    bytes[out.size++] = first | value;
    return;
  }
  bytes[out.size++] = first | full;
  for (value -= full; value >= 0x80; value = Math.floor(value / 0x80)) bytes[out.size++] = 0x80 | (value & 0x7f);
  bytes[out.size++] = value;
}

/** Section 5.2: in Huffman code where that is shorter. There must be room for it twice. */
function writeText(out: ByteWriter, text: string): void {
  const { length } = text;
  const { bytes } = out;
  // The text as bytes goes where it will not be in the way; what is read from bytes is read faster.
  const from = out.size + length + INTEGER_ROOM;
  bytes.write(text, from, 'latin1');
  if (length < 0x80) {
    // The coded length is shorter still, so it takes one byte.
    const end = huffmanEncode(bytes, from, from + length, out.size + 1);
    if (end !== NotShorter) {
      bytes[out.size] = 0x80 | (end - out.size - 1);
      out.size = end;
      return;
    }
  } else {
    const size = huffmanSize(bytes, from, from + length);
    if (size < length) {
      writeInteger(out, 0x80, 0x7f, size);
      out.size = huffmanEncode(bytes, from, from + length, out.size);
      return;
    }
  }
  writeInteger(out, 0, 0x7f, length);
  bytes.copyWithin(out.size, from, from + length);
  out.size += length;
}
