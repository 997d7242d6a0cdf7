import type { HeaderMap } from '../http/headers.ts';
import type { Attempt } from './attempt.ts';
import { recordAttempt } from './tracked-stats.ts';

/** The attempts of one request that are under way, in the order in which they began. More than one only with hedging. */
export class Attempts {
  readonly #attempts: Attempt[] = [];
  readonly #requestHeaders: HeaderMap;
  /** For stats of how much of it was used. */
  perTryTimeoutMs = 0;

  constructor(requestHeaders: HeaderMap) {
    this.#requestHeaders = requestHeaders;
  }

  add(attempt: Attempt): void {
    this.#attempts.push(attempt);
  }

  get isEmpty(): boolean {
    return this.#attempts.length === 0;
  }

  /** The one that the rest of the request goes to. */
  get newest(): Attempt | undefined {
    return this.#attempts[this.#attempts.length - 1];
  }

  /** Some attempt has no answer yet. */
  get awaitsHeaders(): boolean {
    for (const attempt of this.#attempts) if (attempt.awaitingHeaders) return true;
    return false;
  }

  /** The request is complete: the per-try timeouts of attempts that are being served begin. */
  armTryTimers(): void {
    for (const attempt of this.#attempts) if (attempt.stream !== undefined) attempt.armTryTimers();
  }

  /** Takes the attempt that began last out of the list, without ending it. */
  takeNewest(): Attempt | undefined {
    return this.#attempts.pop();
  }

  /** Ends one attempt. */
  drop(attempt: Attempt): void {
    const at = this.#attempts.indexOf(attempt);
    if (at !== -1) this.#attempts.splice(at, 1);
    this.end(attempt, true);
  }

  /** Ends all attempts but `kept`. */
  dropOthers(kept: Attempt | undefined): void {
    for (let i = this.#attempts.length - 1; i >= 0; i--) {
      const attempt = this.#attempts[i]!;
      if (attempt === kept) continue;
      this.#attempts.splice(i, 1);
      this.end(attempt, true);
    }
  }

  /** Ends an attempt that is no longer in the list. `budget`: its own timeout came into play. */
  end(attempt: Attempt, budget: boolean): void {
    attempt.abort();
    recordAttempt(attempt, this.#requestHeaders, this.perTryTimeoutMs, budget);
  }
}
