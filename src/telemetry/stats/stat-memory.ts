/** Cells in one chunk. A power of two: a cell's address is `chunk * CHUNK_CELLS + index`. */
export const CHUNK_CELLS = 1 << 13;

/**
 * What a counter or gauge holds until it is first written: minus zero, which every addition and every `set` turns into
 * an ordinary number. So "was ever used" costs no memory and no instruction.
 */
export const UNTOUCHED = -0;

export const isUntouched = (value: number): boolean => Object.is(value, UNTOUCHED);

/** A run of adjacent cells of one thread. */
export interface CellRun {
  readonly cells: Float64Array;
  readonly base: number;
  /** The address of the first cell: what another thread finds it by. */
  readonly address: number;
}

/**
 * The shared memory that one thread counts in: chunks of eight-byte cells. Only the owning thread allocates and writes;
 * others read through the same chunks. Freed runs are used again for runs of the same length, but only after `settle()`:
 * by then every reader has been told that they are gone.
 */
export class StatMemory {
  readonly #chunks: Float64Array[] = [];
  readonly #onChunk: (index: number, memory: SharedArrayBuffer) => void;
  readonly #free = new Map<number, number[]>();
  #unsettled: { address: number; length: number }[] = [];
  #next = 0;

  constructor(onChunk: (index: number, memory: SharedArrayBuffer) => void) {
    this.#onChunk = onChunk;
  }

  /** `length` (1 to CHUNK_CELLS) adjacent cells that hold `initial`. */
  allocate(length: number, initial = 0): CellRun {
    const reused = this.#free.get(length)?.pop();
    const run = this.#at(reused ?? this.#extend(length));
    if (reused !== undefined || !Object.is(initial, 0)) run.cells.fill(initial, run.base, run.base + length);
    return run;
  }

  free(address: number, length: number): void {
    this.#unsettled.push({ address, length });
  }

  /** Makes what was freed available again. */
  settle(): void {
    for (const { address, length } of this.#unsettled) {
      const list = this.#free.get(length);
      if (list === undefined) this.#free.set(length, [address]);
      else list.push(address);
    }
    this.#unsettled = [];
  }

  #extend(length: number): number {
    if (length > CHUNK_CELLS) throw new RangeError(`a run of ${length} cells exceeds a chunk`);
    const left = this.#chunks.length * CHUNK_CELLS - this.#next;
    if (left < length) {
      const memory = new SharedArrayBuffer(CHUNK_CELLS * 8);
      this.#next = this.#chunks.length * CHUNK_CELLS;
      this.#onChunk(this.#chunks.push(new Float64Array(memory)) - 1, memory);
    }
    const address = this.#next;
    this.#next += length;
    return address;
  }

  #at(address: number): CellRun {
    return { cells: this.#chunks[Math.floor(address / CHUNK_CELLS)]!, base: address % CHUNK_CELLS, address };
  }
}
