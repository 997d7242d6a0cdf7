import { getRandomValues } from 'node:crypto';

/** Randomness, injected so that tests can seed it. */
export interface Random {
  /** A uniform integer in [0, bound). `bound` is at most 2^32. */
  below(bound: number): number;
  /** A uniform number in [0, 1). */
  unit(): number;
}

const BATCH = 1024;

/** Cryptographically strong numbers, drawn from the system in batches. */
export class SystemRandom implements Random {
  readonly #batch = new Uint32Array(BATCH);
  #next = BATCH;

  #word(): number {
    if (this.#next === BATCH) {
      getRandomValues(this.#batch);
      this.#next = 0;
    }
    return this.#batch[this.#next++]!;
  }

  below(bound: number): number {
    return Math.floor(this.unit() * bound);
  }

  unit(): number {
    return this.#word() / 0x1_0000_0000;
  }
}

/** A reproducible sequence (mulberry32) for tests. */
export class SeededRandom implements Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  unit(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000;
  }

  below(bound: number): number {
    return Math.floor(this.unit() * bound);
  }
}
