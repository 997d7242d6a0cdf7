const SLOTS = 1024;

/**
 * Remembers how header names were spelt and what their lower-case form is, so that a name that came before costs one
 * comparison and no allocation, and equal names are the same string (which makes `HeaderMap.get` a pointer search).
 * Direct-mapped: a new name takes the slot of an old one, so it cannot grow.
 */
export class HeaderNames {
  readonly #spelt: string[] = Array.from({ length: SLOTS }, () => '');
  readonly #lower: string[] = Array.from({ length: SLOTS }, () => '');

  /** The lower-case form of `text[from..to)`; `hash` is any hash of exactly these bytes. */
  lower(text: string, from: number, to: number, hash: number): string {
    const slot = (hash ^ (hash >>> 10) ^ (hash >>> 20)) & (SLOTS - 1);
    const spelt = this.#spelt[slot]!;
    if (spelt.length === to - from && text.startsWith(spelt, from)) return this.#lower[slot]!;
    return this.#add(slot, text.slice(from, to));
  }

  #add(slot: number, name: string): string {
    // A property key is flat and unique per content: the table holds on neither to the message nor to copies.
    const spelt = unique(name);
    const lower = unique(name.toLowerCase());
    if (name.length > 64) return lower;
    this.#spelt[slot] = spelt;
    this.#lower[slot] = lower;
    return lower;
  }
}

function unique(name: string): string {
  for (const key in { [name]: 0 }) return key;
  return name;
}

/** The table of this thread. A pure cache: what it holds never changes a result. */
export const headerNames = new HeaderNames();
