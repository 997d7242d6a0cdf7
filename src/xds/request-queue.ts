import type { Clock, ClockTimer } from '../lib/clock.ts';
import { TokenBucket } from '../lib/token-bucket.ts';
import type { ControlPlaneStats } from './control-plane-stats.ts';

/** `rate_limit_settings`. */
export interface RequestRate {
  readonly maxTokens: number;
  /** Tokens a second. */
  readonly fillRate: number;
}

const SECOND = 1000;

/** What leaves on a stream, no faster than `rate_limit_settings` allows. */
export class RequestQueue {
  readonly #clock: Clock;
  readonly #stats: ControlPlaneStats;
  readonly #bucket: TokenBucket | undefined;
  readonly #intervalMs: number;
  #send: ((bytes: Uint8Array) => void) | undefined = undefined;
  #waiting: Uint8Array[] = [];
  #timer: ClockTimer | undefined = undefined;

  constructor(clock: Clock, rate: RequestRate | undefined, stats: ControlPlaneStats) {
    this.#clock = clock;
    this.#stats = stats;
    this.#intervalMs = rate === undefined ? 0 : SECOND / rate.fillRate;
    this.#bucket =
      rate &&
      new TokenBucket(clock, { maxTokens: rate.maxTokens, tokensPerFill: rate.fillRate, fillIntervalMs: SECOND });
  }

  /** A new stream: what waited for the old one is of no use to it. */
  open(send: (bytes: Uint8Array) => void): void {
    this.close();
    this.#send = send;
  }

  add(bytes: Uint8Array): void {
    this.#waiting.push(bytes);
    this.#drain();
  }

  close(): void {
    this.#send = undefined;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#waiting = [];
    this.#stats.pending(0);
  }

  #drain(): void {
    if (this.#timer !== undefined) return this.#stats.pending(this.#waiting.length);
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (this.#bucket !== undefined && !this.#bucket.take()) {
        this.#stats.rateLimited();
        this.#timer = this.#clock.setTimer(this.#intervalMs, () => {
          this.#timer = undefined;
          this.#drain();
        });
        break;
      }
      this.#waiting.shift();
      this.#send?.(next);
    }
    this.#stats.pending(this.#waiting.length);
  }
}
