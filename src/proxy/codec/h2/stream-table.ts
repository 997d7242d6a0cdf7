const INITIAL_BITS = 4;
/** 2^32 over the golden ratio: its multiples, and so consecutive identifiers, spread evenly. */
const SPREAD = 0x9e3779b1;
const empty = (length: number): undefined[] => Array.from({ length }, () => undefined);

/**
 * The open streams of a connection, by identifier: open addressing with linear probing. A `Map` would do, if streams that
 * come and go did not make it rehash all the time: V8 links each outgrown table to its successor, and once one of them
 * is old, all that follow live until the next full collection, with the streams in them.
 */
export class StreamTable<Stream extends { readonly id: number }> {
  #slots: (Stream | undefined)[] = empty(1 << INITIAL_BITS);
  #mask = (1 << INITIAL_BITS) - 1;
  #shift = 32 - INITIAL_BITS;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): Stream | undefined {
    const slots = this.#slots;
    for (let at = this.#home(id); ; at = (at + 1) & this.#mask) {
      const stream = slots[at];
      if (stream === undefined || stream.id === id) return stream;
    }
  }

  /** Its identifier must be a new one. */
  add(stream: Stream): void {
    if (++this.#size * 2 > this.#slots.length) this.#grow();
    this.#place(stream);
  }

  /** False: there was none. */
  delete(id: number): boolean {
    const slots = this.#slots;
    const mask = this.#mask;
    let hole = this.#home(id);
    for (;;) {
      const stream = slots[hole];
      if (stream === undefined) return false;
      if (stream.id === id) break;
      hole = (hole + 1) & mask;
    }
    // What stands behind it moves up, unless it stands between its home and the hole.
    for (let at = (hole + 1) & mask; ; at = (at + 1) & mask) {
      const stream = slots[at];
      if (stream === undefined) break;
      if (((at - this.#home(stream.id)) & mask) < ((at - hole) & mask)) continue;
      slots[hole] = stream;
      hole = at;
    }
    slots[hole] = undefined;
    this.#size--;
    return true;
  }

  /** A copy, by rising identifier. */
  list(): Stream[] {
    return this.#slots.filter((stream) => stream !== undefined).sort((a, b) => a.id - b.id);
  }

  #home(id: number): number {
    return Math.imul(id, SPREAD) >>> this.#shift;
  }

  #place(stream: Stream): void {
    let at = this.#home(stream.id);
    while (this.#slots[at] !== undefined) at = (at + 1) & this.#mask;
    this.#slots[at] = stream;
  }

  #grow(): void {
    const before = this.#slots;
    this.#slots = empty(before.length * 2);
    this.#mask = this.#slots.length - 1;
    this.#shift--;
    for (const stream of before) if (stream !== undefined) this.#place(stream);
  }
}
