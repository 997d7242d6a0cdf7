import type { CidrRange } from './cidr.ts';
import type { IpAddress } from './ip-address.ts';

/** Values by address range. A lookup costs one hash for each prefix length in use. */
export class PrefixMap<Value> {
  readonly #v4: Level<Value>[] = [];
  readonly #v6: Level<Value>[] = [];

  /** The value of this very range. */
  get(range: CidrRange): Value | undefined {
    const levels = range.v4 ? this.#v4 : this.#v6;
    return levels.find(({ length }) => length === range.length)?.values.get(key(range.words, range.length));
  }

  set(range: CidrRange, value: Value): void {
    const levels = range.v4 ? this.#v4 : this.#v6;
    let level = levels.find(({ length }) => length === range.length);
    if (level === undefined) {
      level = { length: range.length, values: new Map() };
      levels.push(level);
      levels.sort((a, b) => b.length - a.length);
    }
    level.values.set(key(range.words, range.length), value);
  }

  /** The value of the longest range that holds the address. */
  longest(address: IpAddress): Value | undefined {
    for (const { length, values } of address.v4 ? this.#v4 : this.#v6) {
      const value = values.get(key(address.words, length));
      if (value !== undefined) return value;
    }
    return undefined;
  }

  /** The values of all ranges that hold the address, the longest first. */
  all(address: IpAddress): Value[] {
    const found: Value[] = [];
    for (const { length, values } of address.v4 ? this.#v4 : this.#v6) {
      const value = values.get(key(address.words, length));
      if (value !== undefined) found.push(value);
    }
    return found;
  }
}

interface Level<Value> {
  readonly length: number;
  readonly values: Map<number | string, Value>;
}

/** The first `length` bits. */
function key(words: Uint32Array, length: number): number | string {
  if (words.length === 1) return masked(words[0]!, length);
  let text = '';
  for (let word = 0, left = length; left > 0; word++, left -= 32) text += `${masked(words[word]!, left)}:`;
  return text;
}

function masked(word: number, length: number): number {
  return length >= 32 ? word : length <= 0 ? 0 : word >>> (32 - length);
}
