import type { Clock, ClockTimer } from '../../lib/clock.ts';

interface KitTimer {
  readonly at: number;
  readonly callback: () => void;
}

/** Time in a test: it stands still until `advance`. */
export class KitClock implements Clock {
  #now = 1000;
  #timers: KitTimer[] = [];
  readonly #epochOffset: number;

  constructor(epochMs: number) {
    this.#epochOffset = epochMs - this.#now;
  }

  monotonic(): number {
    return this.#now;
  }

  epoch(): number {
    return this.#now + this.#epochOffset;
  }

  setTimer(delayMs: number, callback: () => void): ClockTimer {
    const timer = { at: this.#now + Math.max(0, delayMs), callback };
    this.#timers.push(timer);
    return { cancel: () => void (this.#timers = this.#timers.filter((each) => each !== timer)) };
  }

  /** Moves time on; timers fire at their own time, and promises settle before the next one. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settled();
    for (;;) {
      const next = this.#timers.reduce<KitTimer | undefined>(
        (first, timer) => (timer.at <= end && (first === undefined || timer.at < first.at) ? timer : first),
        undefined,
      );
      if (next === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#now = Math.max(this.#now, next.at);
      next.callback();
      await settled();
    }
    this.#now = end;
  }

  /** Resolves after `delayMs` of this clock; rejects when `signal` aborts first. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason as Error);
        return;
      }
      const timer = this.setTimer(delayMs, resolve);
      signal?.addEventListener('abort', () => {
        timer.cancel();
        reject(signal.reason as Error);
      });
    });
  }
}

/** Lets everything that can settle do so. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
