/**
 * Earliest-deadline-first scheduling, as Envoy's EdfScheduler: over time every entry is picked in proportion to its
 * weight, spread evenly. A binary heap in parallel arrays; picking allocates nothing.
 */
export class EdfScheduler<Entry> {
  readonly #entries: Entry[] = [];
  readonly #deadlines: number[] = [];
  readonly #orders: number[] = [];
  readonly #weightOf: (entry: Entry) => number;
  #now = 0;
  #order = 0;

  /** `weightOf` is asked anew each time an entry is put back, so it may change meanwhile. Positive. */
  constructor(entries: readonly Entry[], weightOf: (entry: Entry) => number) {
    this.#weightOf = weightOf;
    for (const entry of entries) {
      this.#entries.push(entry);
      this.#deadlines.push(1 / weightOf(entry));
      this.#orders.push(this.#order++);
    }
    for (let i = (this.#entries.length >> 1) - 1; i >= 0; i--) this.#siftDown(i);
  }

  get size(): number {
    return this.#entries.length;
  }

  /** The entry with the earliest deadline, put back with its next one. Undefined: there are no entries. */
  pick(): Entry | undefined {
    const entry = this.#entries[0];
    if (entry === undefined) return undefined;
    this.#now = this.#deadlines[0]!;
    this.#deadlines[0] = this.#now + 1 / this.#weightOf(entry);
    this.#orders[0] = this.#order++;
    this.#siftDown(0);
    return entry;
  }

  #before(a: number, b: number): boolean {
    const difference = this.#deadlines[a]! - this.#deadlines[b]!;
    return difference < 0 || (difference === 0 && this.#orders[a]! < this.#orders[b]!);
  }

  #siftDown(at: number): void {
    const size = this.#entries.length;
    for (;;) {
      let least = at;
      const left = 2 * at + 1;
      if (left < size && this.#before(left, least)) least = left;
      if (left + 1 < size && this.#before(left + 1, least)) least = left + 1;
      if (least === at) return;
      this.#swap(at, least);
      at = least;
    }
  }

  #swap(a: number, b: number): void {
    const entry = this.#entries[a]!;
    this.#entries[a] = this.#entries[b]!;
    this.#entries[b] = entry;
    const deadline = this.#deadlines[a]!;
    this.#deadlines[a] = this.#deadlines[b]!;
    this.#deadlines[b] = deadline;
    const order = this.#orders[a]!;
    this.#orders[a] = this.#orders[b]!;
    this.#orders[b] = order;
  }
}
