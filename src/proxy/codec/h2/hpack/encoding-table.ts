import { ENTRY_OVERHEAD } from './hpack.ts';
import { SHORT_COOKIE, policyOf, type IndexingPolicy } from './indexing-policy.ts';
import { FIRST_DYNAMIC, STATIC_FIELDS } from './static-table.ts';

/** Entries of one name that are looked through; one with more has values that hardly ever match. */
const MAX_TRIES = 16;
/** So many entries of a name in a row that were never used make it a name whose values must be seen twice. */
const MAX_WASTED = 8;
/** Names that are remembered before all are forgotten: as many as a table of usual size can hold entries. */
const MAX_NAMES = 128;

/** A field that the peer has in its table. `serial` numbers the entries as they were inserted, from 1. */
export class SentEntry {
  readonly value: string;
  readonly serial: number;
  readonly size: number;
  /** The one before it with the same name; it may have been evicted. */
  older: SentEntry | undefined;

  constructor(name: string, value: string, serial: number, older: SentEntry | undefined) {
    this.value = value;
    this.serial = serial;
    this.size = name.length + value.length + ENTRY_OVERHEAD;
    this.older = older;
  }
}

/** What the encoder of a connection knows of a name. */
export class SentName {
  readonly name: string;
  /** The index of its first entry in the static table; 0 = none. */
  readonly staticIndex: number;
  /** The values from there on; most are ['']. */
  readonly staticValues: readonly string[];
  readonly policy: IndexingPolicy;
  /** Its last entry in the dynamic table; it may have been evicted. */
  newest: SentEntry | undefined = undefined;
  /** A fingerprint of the value that went last without being added: keeping the text could keep a whole message. */
  #last = 0;
  #wasted = 0;

  constructor(name: string) {
    this.name = name;
    const known = STATIC_NAMES.get(name);
    this.staticIndex = known?.index ?? 0;
    this.staticValues = known?.values ?? [];
    this.policy = policyOf(name);
  }

  /** An entry of this name came of use. */
  used(): void {
    this.#wasted = 0;
  }

  /**
   * Whether `value`, which is in no table, is to be added to it. `nameIndex`: where the name is; a name that is nowhere
   * gets an entry in any case, which spares it from being spelt each time.
   */
  shallAdd(value: string, nameIndex: number): boolean {
    if (nameIndex === 0) return true;
    if (this.policy === 'always' && this.#wasted < MAX_WASTED) {
      this.#wasted++;
      return true;
    }
    const print = fingerprint(value);
    const again = this.#last === print;
    this.#last = print;
    return again;
  }

  /** Whether `value` must not get into any table, here or further on. */
  isSecret(value: string): boolean {
    return this.policy === 'never' || (this.name === 'cookie' && value.length < SHORT_COOKIE);
  }
}

/** The dynamic table as the encoder of a connection sees it: which fields the peer knows, and under which index. */
export class EncodingTable {
  #maxSize: number;
  #size = 0;
  /** The entries that are left, oldest first, from `#first` on. */
  readonly #entries: SentEntry[] = [];
  #first = 0;
  #lastSerial = 0;
  /** The serial before that of the oldest entry. */
  #evicted = 0;
  readonly #names = new Map<string, SentName>();

  constructor(maxSize: number) {
    this.#maxSize = maxSize;
  }

  get maxSize(): number {
    return this.#maxSize;
  }

  nameOf(name: string): SentName {
    return this.#names.get(name) ?? this.#learn(name);
  }

  /** The entry of `name` that has `value`; undefined: none. */
  find(name: SentName, value: string): SentEntry | undefined {
    let entry = name.newest;
    for (let tries = 0; entry !== undefined && entry.serial > this.#evicted && tries < MAX_TRIES; tries++) {
      if (entry.value === value) return entry;
      entry = entry.older;
    }
    return undefined;
  }

  /** The index of a name's latest entry, static ones first; 0 = none. */
  nameIndex(name: SentName): number {
    if (name.staticIndex !== 0) return name.staticIndex;
    return name.newest === undefined ? 0 : this.indexOf(name.newest.serial);
  }

  /** 0 = evicted. */
  indexOf(serial: number): number {
    return serial > this.#evicted ? FIRST_DYNAMIC + this.#lastSerial - serial : 0;
  }

  /** Whether a field takes no more than three quarters of the table: one that is larger would cost too many others. */
  hasRoomFor(name: string, value: string): boolean {
    return name.length + value.length + ENTRY_OVERHEAD <= this.#maxSize * 0.75;
  }

  insert(name: SentName, value: string): SentEntry {
    let older = name.newest;
    if (older !== undefined && older.serial <= this.#evicted) older = undefined;
    const entry = new SentEntry(name.name, ownCopy(value), ++this.#lastSerial, older);
    this.#evict(this.#maxSize - entry.size);
    this.#entries.push(entry);
    this.#size += entry.size;
    name.newest = entry;
    return entry;
  }

  resize(maxSize: number): void {
    this.#maxSize = maxSize;
    this.#evict(maxSize);
  }

  #evict(target: number): void {
    const entries = this.#entries;
    while (this.#size > target && this.#first < entries.length) {
      const entry = entries[this.#first++]!;
      this.#size -= entry.size;
      this.#evicted = entry.serial;
      entry.older = undefined;
    }
    if (this.#first >= 64 && this.#first * 2 >= entries.length) {
      entries.splice(0, this.#first);
      this.#first = 0;
    }
  }

  #learn(name: string): SentName {
    if (this.#names.size >= MAX_NAMES) this.#names.clear();
    const learnt = new SentName(name);
    this.#names.set(name, learnt);
    return learnt;
  }
}

interface StaticName {
  readonly index: number;
  readonly values: string[];
}

const STATIC_NAMES: ReadonlyMap<string, StaticName> = staticNames();

function staticNames(): Map<string, StaticName> {
  const names = new Map<string, StaticName>();
  STATIC_FIELDS.forEach(([name, value], i) => {
    const known = names.get(name);
    if (known === undefined) names.set(name, { index: i + 1, values: [value] });
    else known.values.push(value);
  });
  return names;
}

/** Two texts that have the same are hardly ever different; if they are, an entry is added in vain. */
function fingerprint(text: string): number {
  const { length } = text;
  let print = length;
  const step = length < 16 ? 1 : length >>> 3;
  for (let i = length - 1; i >= 0; i -= step) print = (Math.imul(print, 31) + text.charCodeAt(i)) | 0;
  return print;
}

/** The text alone: it may be a slice of a whole message, which an entry must not keep alive. */
function ownCopy(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}
