/** Cells in one chunk of shared memory. */
const CHUNK = 1 << 14;

/**
 * 32-bit cells that all threads see, changed with Atomics: what must hold across workers (circuit-breaker counts, host
 * health flags, active requests of a host). The main thread allocates; slots are numbers that travel in snapshots.
 *
 * A count of things in flight is kept twice: in one cell for all threads, which limits are checked against, and in one
 * cell per *lane* (worker), which only that worker writes. When a worker dies, the main thread takes its lane's share
 * out of the common cell; nothing leaks.
 */
export class SharedCells {
  /** The number of workers. Fixed for the life of the process, and the same on every thread. */
  readonly lanes: number;
  readonly #chunks: Int32Array[] = [];
  #next = 0;
  readonly #free = new Map<number, number[]>();

  /** The allocating thread names the number of workers; the others give the memory that they were handed. */
  constructor(chunks: readonly SharedArrayBuffer[] = [], lanes = 1) {
    for (const chunk of chunks) this.addChunk(chunk);
    if (chunks.length === 0) {
      // The first cell tells the other threads how many lanes there are.
      this.store(this.allocate(1), Math.max(1, lanes));
    }
    this.lanes = this.load(0);
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

  /** Adds to a cell that only this thread writes (a lane's): a plain add. */
  bump(slot: number, amount: number): void {
    this.#chunks[slot >> 14]![slot & (CHUNK - 1)]! += amount;
  }

  /** Adds 1 unless the value has reached `limit` (up to 2^32-1); true if it was added. */
  acquire(slot: number, limit: number): boolean {
    if (this.add(slot, 1) <= limit) return true;
    this.add(slot, -1);
    return false;
  }

  release(slot: number): void {
    this.add(slot, -1);
  }

  /**
   * Adds 1 to a 64-bit counter: its low half at `slot`, its high half in the next cell. (Its readers may see the low
   * half wrapped before the high one went up; it is for display.)
   */
  count(slot: number): void {
    if (this.add(slot, 1) === 0) this.add(slot + 1, 1);
  }

  /** The value of a 64-bit counter. */
  counted(slot: number): number {
    return (this.load(slot + 1) >>> 0) * 2 ** 32 + (this.load(slot) >>> 0);
  }

  /** Main thread: takes what a dead worker's lane still holds out of the common cell. */
  settle(common: number, lane: number): void {
    const held = this.load(lane);
    if (held === 0) return;
    this.store(lane, 0);
    this.add(common, -held);
  }
}
