import type { SharedCount } from '../../filters/network/filter.ts';
import type { SharedCells } from '../../lib/shared-cells.ts';

/** A count over all workers: cells of SharedCells, one for all and one for each lane behind it. */
export class LaneCount implements SharedCount {
  readonly #shared: SharedCells;
  readonly #slot: number;
  readonly #lane: number;

  constructor(shared: SharedCells, slot: number, lane: number) {
    this.#shared = shared;
    this.#slot = slot;
    this.#lane = slot + 1 + lane;
  }

  acquire(limit: number): boolean {
    if (!this.#shared.acquire(this.#slot, limit)) return false;
    this.#shared.bump(this.#lane, 1);
    return true;
  }

  release(): void {
    this.#shared.release(this.#slot);
    this.#shared.bump(this.#lane, -1);
  }
}

/** A count of this worker alone. */
export class LocalCount implements SharedCount {
  #count = 0;

  acquire(limit: number): boolean {
    if (this.#count >= limit) return false;
    this.#count++;
    return true;
  }

  release(): void {
    this.#count--;
  }
}
