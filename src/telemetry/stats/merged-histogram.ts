import { BINS_PER_DECADE, Bins } from '../../lib/histogram.ts';
import { DECADES, HEAD_PAGES, HEAD_TOTAL, HEAD_UNITS, PAGE_CELLS } from './recorder.ts';
import { CHUNK_CELLS } from './stat-memory.ts';

/** The memory of one thread, as chunks by number. Some may not have arrived yet. */
export type ThreadChunks = readonly (Float64Array | undefined)[];

interface Part {
  readonly id: number;
  readonly chunks: ThreadChunks;
  readonly head: Float64Array;
  readonly base: number;
}

/**
 * One histogram over all threads. As in Envoy, what is shown is what the last flush saw: `cumulative` since the start,
 * `interval` between the last two flushes.
 */
export class MergedHistogram {
  cumulative = Bins.empty;
  interval = Bins.empty;
  #parts: Part[] = [];
  /** What threads that are gone had recorded. */
  #retired = Bins.empty;
  #seen = 0;

  /** Adds the recorder of registration `id` of a thread. */
  add(id: number, chunks: ThreadChunks, address: number): void {
    const head = chunks[Math.floor(address / CHUNK_CELLS)];
    if (head !== undefined) this.#parts.push({ id, chunks, head, base: address % CHUNK_CELLS });
  }

  /** Removes a thread's part; its values stay. */
  remove(id: number, chunks: ThreadChunks): void {
    const gone = this.#parts.filter((part) => part.id === id && part.chunks === chunks);
    if (gone.length === 0) return;
    const dense = new Float64Array(1 + (DECADES + 1) * BINS_PER_DECADE);
    this.#retired.addTo(dense);
    for (const part of gone) readPart(part, dense);
    this.#retired = Bins.fromDense(dense);
    this.#parts = this.#parts.filter((part) => !gone.includes(part));
  }

  /** Takes over what was recorded since the last flush. */
  flush(): void {
    let total = this.#retired.total;
    for (const part of this.#parts) total += part.head[part.base + HEAD_TOTAL]!;
    if (total === this.#seen) {
      this.interval = Bins.empty;
      return;
    }
    this.#seen = total;
    const dense = new Float64Array(1 + (DECADES + 1) * BINS_PER_DECADE);
    this.#retired.addTo(dense);
    for (const part of this.#parts) readPart(part, dense);
    const merged = Bins.fromDense(dense);
    this.interval = merged.since(this.cumulative);
    this.cumulative = merged;
  }
}

/** Adds the counts of one recorder to one count a bin. */
function readPart({ chunks, head, base }: Part, dense: Float64Array): void {
  dense[0]! += head[base + HEAD_UNITS]!;
  for (let unit = 1; unit < 10; unit++) dense[1 + unit * 10 - 10]! += head[base + HEAD_UNITS + unit]!;
  for (let decade = 0; decade < DECADES; decade++) {
    const address = head[base + HEAD_PAGES + decade]! - 1;
    if (address < 0) continue;
    const chunk = chunks[Math.floor(address / CHUNK_CELLS)];
    if (chunk === undefined) continue;
    const from = address % CHUNK_CELLS;
    const to = 1 + (decade + 1) * BINS_PER_DECADE;
    for (let i = 0; i < PAGE_CELLS; i++) dense[to + i]! += chunk[from + i]!;
  }
}
