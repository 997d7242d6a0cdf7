import type { Clock } from './clock.ts';

export interface TokenBucketOptions {
  readonly maxTokens: number;
  readonly tokensPerFill: number;
  readonly fillIntervalMs: number;
}

/** A token bucket that starts full and fills evenly, without a timer, as Envoy's does. */
export class TokenBucket {
  readonly #clock: Clock;
  readonly #maxTokens: number;
  readonly #tokensPerMs: number;
  #tokens: number;
  #atMs: number;

  constructor(clock: Clock, { maxTokens, tokensPerFill, fillIntervalMs }: TokenBucketOptions) {
    this.#clock = clock;
    this.#maxTokens = maxTokens;
    this.#tokensPerMs = tokensPerFill / fillIntervalMs;
    this.#tokens = maxTokens;
    this.#atMs = clock.monotonic();
  }

  get maxTokens(): number {
    return this.#maxTokens;
  }

  /** How many there are to take. */
  get remaining(): number {
    this.#fill();
    return Math.floor(this.#tokens);
  }

  /** Until there is one to take; 0 = there is. */
  get nextTokenMs(): number {
    this.#fill();
    return this.#tokens >= 1 ? 0 : (1 - this.#tokens) / this.#tokensPerMs;
  }

  /** Takes a token, if there is one. */
  take(): boolean {
    this.#fill();
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }

  #fill(): void {
    const now = this.#clock.monotonic();
    this.#tokens = Math.min(this.#maxTokens, this.#tokens + (now - this.#atMs) * this.#tokensPerMs);
    this.#atMs = now;
  }
}
