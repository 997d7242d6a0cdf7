import type { Random } from './random.ts';

/**
 * Envoy's jittered exponential back-off: the n-th delay is uniform in [0, base * 2^n), within the maximum. Milliseconds.
 */
export class BackOff {
  readonly #baseMs: number;
  readonly #maxMs: number;
  readonly #random: Random;
  #boundMs: number;

  constructor(baseMs: number, maxMs: number, random: Random) {
    this.#baseMs = baseMs;
    this.#maxMs = maxMs;
    this.#random = random;
    this.#boundMs = baseMs;
  }

  next(): number {
    const delay = Math.floor(this.#random.unit() * this.#boundMs);
    this.#boundMs = Math.min(this.#boundMs * 2, this.#maxMs);
    return delay;
  }

  reset(): void {
    this.#boundMs = this.#baseMs;
  }
}
