import type { Clock, ClockTimer } from '../lib/clock.ts';

const FIRST_DELAY_MS = 500;
const MOST_MS = 30_000;

/**
 * A server that answers a NACK with the very same version would have us refuse it as often as the network allows. The
 * first refusal of a version leaves at once, each repetition after twice the time of the one before.
 */
export class NackPacer {
  readonly #clock: Clock;
  #key = '';
  #delayMs = 0;
  #timer: ClockTimer | undefined = undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls `send` now or later; a call that comes before takes its place. */
  nack(version: string, error: string, send: () => void): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const key = `${version}\n${error}`;
    if (key !== this.#key) {
      this.#key = key;
      this.#delayMs = 0;
    }
    if (this.#delayMs === 0) {
      this.#delayMs = FIRST_DELAY_MS;
      send();
      return;
    }
    this.#timer = this.#clock.setTimer(this.#delayMs, () => {
      this.#timer = undefined;
      send();
    });
    this.#delayMs = Math.min(this.#delayMs * 2, MOST_MS);
  }

  /** A version was accepted: the next refusal is news again. */
  accepted(): void {
    this.stop();
    this.#key = '';
    this.#delayMs = 0;
  }

  /** The stream that a delayed refusal belongs to is gone. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
