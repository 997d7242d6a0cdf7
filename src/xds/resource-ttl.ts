import type { Clock, ClockTimer } from '../lib/clock.ts';

/** The times to live of one type's resources: a resource that isn't renewed in time is as good as removed. */
export class ResourceTtls {
  readonly #clock: Clock;
  readonly #onExpired: (name: string) => void;
  readonly #timers = new Map<string, ClockTimer>();

  constructor(clock: Clock, onExpired: (name: string) => void) {
    this.#clock = clock;
    this.#onExpired = onExpired;
  }

  /** `ttlMs` undefined: it lives for ever. */
  set(name: string, ttlMs: number | undefined): void {
    this.#timers.get(name)?.cancel();
    this.#timers.delete(name);
    if (ttlMs === undefined) return;
    const timer = this.#clock.setTimer(ttlMs, () => {
      this.#timers.delete(name);
      this.#onExpired(name);
    });
    this.#timers.set(name, timer);
  }

  close(): void {
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
  }
}
