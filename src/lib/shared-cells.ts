/** Cells in one chunk of shared memory. */
const CHUNK = 1 << 14;

/**
 * 32-bit cells that all threads see, changed with Atomics: what must hold across workers (circuit-breaker counts, host
 * health flags, active requests of a host). The main thread allocates; slots are numbers that travel in snapshots.
 */
export class SharedCells {
  readonly #chunks: Int32Array[] = [];
  #next = 0;
  readonly #free = new Map<number, number[]>();

  constructor(chunks: readonly SharedArrayBuffer[] = []) {
    for (const chunk of chunks) this.addChunk(chunk);
  }

  /** The memory, to be handed to another thread's SharedCells. */
  get chunks(): SharedArrayBuffer[] {
    return this.#chunks.map((chunk) => chunk.buffer as SharedArrayBuffer);
  }

  /** Other threads: takes over a chunk that the allocating thread has added. */
  addChunk(chunk: SharedArrayBuffer): void {
    this.#chunks.push(new Int32Array(chunk));
  }

  /** Allocating thread only: `count` adjacent zeroed cells; returns the first slot. */
  allocate(count: number): number {
    const reused = this.#free.get(count)?.pop();
    if (reused !== undefined) {
      for (let i = 0; i < count; i++) this.store(reused + i, 0);
      return reused;
    }
    const room = CHUNK - (this.#next % CHUNK);
    if (this.#next % CHUNK !== 0 && room < count) this.#next += room;
    if (this.#next + count > this.#chunks.length * CHUNK) this.addChunk(new SharedArrayBuffer(CHUNK * 4));
    const slot = this.#next;
    this.#next += count;
    return slot;
  }

  /** Allocating thread only: gives `count` cells back. No thread may use them any more. */
  free(slot: number, count: number): void {
    const list = this.#free.get(count);
    if (list === undefined) this.#free.set(count, [slot]);
    else list.push(slot);
  }

  load(slot: number): number {
    return Atomics.load(this.#chunks[slot >> 14]!, slot & (CHUNK - 1));
  }

  store(slot: number, value: number): void {
    Atomics.store(this.#chunks[slot >> 14]!, slot & (CHUNK - 1), value);
  }

  /** Adds and returns the new value. */
  add(slot: number, amount: number): number {
    return Atomics.add(this.#chunks[slot >> 14]!, slot & (CHUNK - 1), amount) + amount;
  }

  /** Adds 1 unless the value has reached `limit` (unsigned compare against up to 2^32-1); true if it was added. */
  acquire(slot: number, limit: number): boolean {
    if (this.add(slot, 1) <= limit) return true;
    this.add(slot, -1);
    return false;
  }

  release(slot: number): void {
    this.add(slot, -1);
  }
}
