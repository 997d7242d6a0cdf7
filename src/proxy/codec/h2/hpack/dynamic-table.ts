import { ENTRY_OVERHEAD } from './hpack.ts';
import { FIRST_DYNAMIC, STATIC_FIELDS } from './static-table.ts';

/** A field in a table, with what is wrong with it (see FieldFlaw). */
export class TableEntry {
  readonly name: string;
  readonly value: string;
  readonly flaws: number;

  constructor(name: string, value: string, flaws: number) {
    this.name = name;
    this.value = value;
    this.flaws = flaws;
  }
}

/** Both tables of a decoder under one index (RFC 7541 section 2.3). */
export class DecodingTable {
  /** The size that the peer has chosen. */
  maxSize: number;
  #size = 0;
  /** A ring: the entry that was inserted as the n-th, from 0, is at n modulo the length, a power of two. */
  #ring: (TableEntry | undefined)[] = emptyRing(16);
  #inserted = 0;
  #count = 0;

  constructor(maxSize: number) {
    this.maxSize = maxSize;
  }

  /** Undefined: there is none. */
  at(index: number): TableEntry | undefined {
    if (index < FIRST_DYNAMIC) return STATIC_ENTRIES[index];
    const back = index - FIRST_DYNAMIC;
    return back < this.#count ? this.#ring[(this.#inserted - 1 - back) & (this.#ring.length - 1)] : undefined;
  }

  /** Inserts an entry and drops old ones; one that doesn't fit at all empties the table (section 4.4). */
  insert(entry: TableEntry): void {
    const size = entry.name.length + entry.value.length + ENTRY_OVERHEAD;
    this.#evict(this.maxSize - size);
    if (size > this.maxSize) return;
    if (this.#count === this.#ring.length) this.#widen();
    this.#ring[this.#inserted++ & (this.#ring.length - 1)] = entry;
    this.#count++;
    this.#size += size;
  }

  resize(maxSize: number): void {
    this.maxSize = maxSize;
    this.#evict(maxSize);
  }

  #evict(target: number): void {
    while (this.#size > target && this.#count > 0) {
      const at = (this.#inserted - this.#count--) & (this.#ring.length - 1);
      const { name, value } = this.#ring[at]!;
      this.#size -= name.length + value.length + ENTRY_OVERHEAD;
      this.#ring[at] = undefined;
    }
  }

  #widen(): void {
    const wider = emptyRing(2 * this.#ring.length);
    for (let n = this.#inserted - this.#count; n < this.#inserted; n++) {
      wider[n & (wider.length - 1)] = this.#ring[n & (this.#ring.length - 1)];
    }
    this.#ring = wider;
  }
}

const STATIC_ENTRIES: readonly (TableEntry | undefined)[] = [
  undefined,
  ...STATIC_FIELDS.map(([name, value]) => new TableEntry(name, value, 0)),
];

function emptyRing(size: number): (TableEntry | undefined)[] {
  return Array.from({ length: size }, () => undefined);
}
