import type { Clock, ClockTimer } from '../../src/lib/clock.ts';

/** A clock that moves only when told to, firing timers in order of their time. */
export class FakeClock implements Clock {
  #now: number;
  readonly #startEpoch: number;
  #timers: { at: number; order: number; callback: () => void }[] = [];
  #order = 0;

  constructor(startMs = 1_000, startEpochMs = Date.UTC(2026, 0, 2, 3, 4, 5, 678)) {
    this.#now = startMs;
    this.#startEpoch = startEpochMs - startMs;
  }

  monotonic(): number {
    return this.#now;
  }

  epoch(): number {
    return this.#startEpoch + this.#now;
  }

  setTimer(delayMs: number, callback: () => void): ClockTimer {
    const entry = { at: this.#now + Math.max(0, delayMs), order: this.#order++, callback };
    this.#timers.push(entry);
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== entry);
      },
    };
  }

  /** Moves time on by `ms`, firing everything that falls due on the way, at its own time. */
  advance(ms: number): void {
    const target = this.#now + ms;
    for (;;) {
      const due = this.#timers.filter((timer) => timer.at <= target);
      if (due.length === 0) break;
      due.sort((a, b) => a.at - b.at || a.order - b.order);
      const next = due[0]!;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#now = Math.max(this.#now, next.at);
      next.callback();
    }
    this.#now = target;
  }

  /** The number of platform timers that are set. */
  get pending(): number {
    return this.#timers.length;
  }
}
