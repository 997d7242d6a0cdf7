const SLOTS = 1024;
/** Longer names aren't remembered. */
const MAX_LENGTH = 64;

/** A header name as it is spelt on the wire, and in lower case. */
export class HeaderName {
  readonly spelt: string;
  readonly lower: string;
  readonly bytes: Uint8Array;

  constructor(spelt: string) {
    this.spelt = unique(spelt);
    this.lower = unique(spelt.toLowerCase());
    this.bytes = Buffer.from(spelt, 'latin1');
  }
}

/**
 * Remembers how header names were spelt, so that a name that came before costs no allocation, and equal names are the
 * same string (which makes `HeaderMap.get` a search for a pointer). Direct-mapped: a new name takes the slot of an old
 * one, so it cannot grow.
 */
export class HeaderNames {
  readonly #slots: HeaderName[] = Array.from({ length: SLOTS }, () => NO_NAME);

  /** The name that is `buffer[from..to)` in bytes. */
  find(buffer: Buffer, from: number, to: number): HeaderName {
    // Names differ most at their ends; looking at all bytes would cost more than a wrong guess now and then.
    const ends = buffer[from]! * 7 + buffer[to - 1]! * 31 + buffer[(from + to) >>> 1]! * 131;
    const slot = (ends + (to - from) * 17) & (SLOTS - 1);
    const known = this.#slots[slot]!;
    if (isName(known, buffer, from, to)) return known;
    const name = new HeaderName(buffer.toString('latin1', from, to));
    if (to - from <= MAX_LENGTH) this.#slots[slot] = name;
    return name;
  }
}

const NO_NAME = new HeaderName('');

function isName(name: HeaderName, buffer: Buffer, from: number, to: number): boolean {
  const { bytes } = name;
  if (bytes.length !== to - from) return false;
  for (let i = 0; i < bytes.length; i++) if (buffer[from + i] !== bytes[i]) return false;
  return true;
}

/** The engine's one copy of a text: a property key is flat and unique, and holds on to no message. */
function unique(text: string): string {
  for (const key in { [text]: 0 }) return key;
  return text;
}

/** The table of this thread. A pure cache: what it holds never changes a result. */
export const headerNames = new HeaderNames();
