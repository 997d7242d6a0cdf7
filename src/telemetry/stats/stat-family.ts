import { MergedHistogram, type ThreadChunks } from './merged-histogram.ts';
import { CHUNK_CELLS, isUntouched, UNTOUCHED } from './stat-memory.ts';
import type { HistogramUnit, StatKind } from './stats.ts';

/** The names below a prefix: `cellCount` counters and gauges, then histograms. Shared by all families alike. */
export interface StatShape {
  readonly names: readonly string[];
  readonly kinds: readonly StatKind[];
  readonly units: readonly HistogramUnit[];
  readonly cellCount: number;
  /** Indices of counters and gauges, and of histograms, in the order of their names. */
  readonly sortedCells: readonly number[];
  readonly sortedHistograms: readonly number[];
}

export function statShape(
  names: readonly string[],
  kinds: readonly StatKind[],
  units: readonly HistogramUnit[],
  cellCount: number,
): StatShape {
  const byName = names.map((_, i) => i).toSorted((a, b) => (names[a]! < names[b]! ? -1 : 1));
  return {
    names,
    kinds,
    units,
    cellCount,
    sortedCells: byName.filter((i) => i < cellCount),
    sortedHistograms: byName.filter((i) => i >= cellCount),
  };
}

const NO_CELLS = new Float64Array(0);

/** The cells of one thread's block. */
interface Part {
  readonly id: number;
  readonly chunks: ThreadChunks;
  readonly cells: Float64Array;
  readonly base: number;
}

/** One family under one prefix, over all threads. A stat made by name is a family of one, whose prefix is its name. */
export class StatFamily {
  readonly prefix: string;
  readonly shape: StatShape;
  /** By index; 1 = the stats matcher keeps this name out. Undefined = it keeps out none. */
  readonly rejected: Uint8Array | undefined;
  /** No thread has it any more; lists that still hold it skip it. */
  gone = false;
  #parts: Part[] = [];
  /** Counters: what to add to the sum of the parts, for threads that are gone and resets. */
  #offsets: Float64Array | undefined;
  #histograms: MergedHistogram[] | undefined;

  constructor(prefix: string, shape: StatShape, rejected: Uint8Array | undefined) {
    this.prefix = prefix;
    this.shape = shape;
    this.rejected = rejected;
  }

  get shared(): boolean {
    return this.#parts.length > 0;
  }

  accepts(index: number): boolean {
    return this.rejected === undefined || this.rejected[index] === 0;
  }

  /** Adds the block of registration `id` of a thread. */
  add(id: number, chunks: ThreadChunks, address: number): void {
    const cells = chunks[Math.floor(address / CHUNK_CELLS)];
    if (cells !== undefined) this.#parts.push({ id, chunks, cells, base: address % CHUNK_CELLS });
  }

  /** Adds a thread's registration `id` that has no cells: a histogram made by name. */
  claim(id: number, chunks: ThreadChunks): void {
    this.#parts.push({ id, chunks, cells: NO_CELLS, base: 0 });
  }

  /** Removes a thread's block. What its counters and histograms counted stays; its gauges go. */
  remove(id: number, chunks: ThreadChunks): void {
    const gone = this.#parts.filter((part) => part.id === id && part.chunks === chunks);
    this.#parts = this.#parts.filter((part) => !gone.includes(part));
    for (const part of gone) {
      for (let i = 0; i < this.shape.cellCount; i++) {
        const value = part.cells[part.base + i]!;
        if (this.shape.kinds[i] === 'counter' && !isUntouched(value)) this.#offset(i, value);
      }
    }
    for (const histogram of this.#histograms ?? []) histogram?.remove(id, chunks);
  }

  /** The value of a counter or gauge; -0 if it was never used. */
  read(index: number): number {
    let sum = this.#offsets === undefined ? UNTOUCHED : this.#offsets[index]!;
    for (const part of this.#parts) sum += part.cells[part.base + index]!;
    return sum;
  }

  /** Starts the counters from zero again. A worker's cells are its own, so this is done by an offset. */
  resetCounters(): void {
    for (let i = 0; i < this.shape.cellCount; i++) {
      const value = this.shape.kinds[i] === 'counter' ? this.read(i) : 0;
      if (value !== 0) this.#offset(i, -value);
    }
  }

  /** The histogram at index `cellCount + offset`, if any thread has recorded into it. */
  histogram(offset: number): MergedHistogram | undefined {
    return this.#histograms?.[offset];
  }

  ensureHistogram(offset: number): MergedHistogram {
    return ((this.#histograms ??= [])[offset] ??= new MergedHistogram());
  }

  flush(): void {
    for (const histogram of this.#histograms ?? []) histogram?.flush();
  }

  #offset(index: number, amount: number): void {
    this.#offsets ??= new Float64Array(this.shape.cellCount).fill(UNTOUCHED);
    this.#offsets[index]! += amount;
  }
}
