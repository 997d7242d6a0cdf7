import { BINS_PER_DECADE } from '../../lib/histogram.ts';
import type { StatMemory } from './stat-memory.ts';
import type { Histogram } from './stats.ts';

/**
 * How a histogram lies in memory. Its head holds the number of values, the counts of the values 0 to 9, then for each
 * decade from 10..99 on the address + 1 of a page, or 0; a page holds the counts of the decade's 90 bins (two
 * significant digits). Pages are made when the first value of their decade comes, so an idle histogram is one head and
 * an unused one is nothing.
 */
export const HEAD_TOTAL = 0;
export const HEAD_UNITS = 1;
export const HEAD_PAGES = 11;
export const DECADES = 18;
export const HEAD_CELLS = HEAD_PAGES + DECADES;
export const PAGE_CELLS = BINS_PER_DECADE;
/** The largest value told apart; larger ones count as this one. */
const MAX_RECORDED = 99 * 1e17;

/** The writing side of one histogram of one thread: log-linear, two significant digits, like Envoy's. */
export class HistogramRecorder implements Histogram {
  readonly #memory: StatMemory;
  #head: Float64Array;
  readonly #pages: (Float64Array | undefined)[] = [];
  readonly #runs: { address: number; length: number }[] = [];
  /** The address of the head. */
  readonly address: number;

  constructor(memory: StatMemory) {
    this.#memory = memory;
    const run = memory.allocate(HEAD_CELLS);
    this.address = run.address;
    this.#head = run.cells.subarray(run.base, run.base + HEAD_CELLS);
    this.#runs.push({ address: run.address, length: HEAD_CELLS });
  }

  /** Counts `value`, a whole number; what is below zero or not a number counts as 0. */
  record(value: number): void {
    const head = this.#head;
    if (value >= 10) this.#recordLarge(value);
    else head[HEAD_UNITS + (value > 0 ? Math.trunc(value) : 0)]!++;
    // Last, so that a reader that sees the new total sees the value too.
    head[HEAD_TOTAL]!++;
  }

  /** Gives the memory back. Values recorded later go to a bin nobody reads. */
  free(): void {
    for (const run of this.#runs) this.#memory.free(run.address, run.length);
    this.#runs.length = 0;
    this.#head = new Float64Array(HEAD_CELLS);
    this.#pages.length = 0;
    const nowhere = new Float64Array(PAGE_CELLS);
    for (let decade = 0; decade < DECADES; decade++) this.#pages.push(nowhere);
  }

  #recordLarge(value: number): void {
    if (value > MAX_RECORDED) value = MAX_RECORDED;
    let decade = 0;
    while (value >= 100) {
      value /= 10;
      decade++;
    }
    const page = this.#pages[decade] ?? this.#addPage(decade);
    page[Math.trunc(value) - 10]!++;
  }

  #addPage(decade: number): Float64Array {
    while (this.#pages.length < decade) this.#pages.push(undefined);
    const run = this.#memory.allocate(PAGE_CELLS);
    const page = run.cells.subarray(run.base, run.base + PAGE_CELLS);
    this.#pages[decade] = page;
    this.#head[HEAD_PAGES + decade] = run.address + 1;
    this.#runs.push({ address: run.address, length: PAGE_CELLS });
    return page;
  }
}
