import type { Clock } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';

/** `--drain-time-s` and `--drain-strategy`. */
export interface DrainOptions {
  readonly drainTimeMs: number;
  readonly strategy: 'gradual' | 'immediate';
}

/**
 * Decides, whenever a response goes out or a stream ends, whether its connection should be closed because its listener
 * (or the whole server) drains: never before, always after the drain time, and in between with a growing probability,
 * so that clients don't all reconnect at once (Envoy's drain manager).
 */
export class Drain {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #options: DrainOptions;
  /** The server's for that of a listener, the listener's for that of a filter chain. */
  readonly #parent: Drain | undefined;
  readonly #ignoresHealth: boolean;
  #deadline: number | undefined = undefined;
  #healthCheckFailed = false;

  constructor(clock: Clock, random: Random, options: DrainOptions, parent?: Drain, ignoresHealth = false) {
    this.#clock = clock;
    this.#random = random;
    this.#options = options;
    this.#parent = parent;
    this.#ignoresHealth = ignoresHealth;
  }

  get drainTimeMs(): number {
    return this.#options.drainTimeMs;
  }

  /** One that drains with this one, or on its own. A listener that is `modify-only` ignores failed health checks. */
  child(drainType: 'default' | 'modify-only' = 'default'): Drain {
    const ignoresHealth = this.#ignoresHealth || drainType === 'modify-only';
    return new Drain(this.#clock, this.#random, this.#options, this, ignoresHealth);
  }

  /** This one drains on its own account, not with its parent. */
  get hasStarted(): boolean {
    return this.#deadline !== undefined;
  }

  get isDraining(): boolean {
    return this.#deadline !== undefined || this.#parent?.isDraining === true;
  }

  /** Begins to drain. A second call changes nothing. */
  start(): void {
    this.#deadline ??= this.#clock.monotonic() + this.#options.drainTimeMs;
  }

  /** `/healthcheck/fail`: every connection is asked to go, until the health is good again. Of the server's only. */
  set healthCheckFailed(failed: boolean) {
    this.#healthCheckFailed = failed;
  }

  shouldDrain(): boolean {
    return (!this.#ignoresHealth && this.#isUnhealthy()) || this.#isDue();
  }

  #isUnhealthy(): boolean {
    return this.#healthCheckFailed || (this.#parent !== undefined && this.#parent.#isUnhealthy());
  }

  #isDue(): boolean {
    if (this.#deadline !== undefined && this.#dueBy(this.#deadline)) return true;
    return this.#parent !== undefined && this.#parent.#isDue();
  }

  #dueBy(deadline: number): boolean {
    if (this.#options.strategy === 'immediate') return true;
    const remainingMs = deadline - this.#clock.monotonic();
    // Whole seconds, as Envoy counts them.
    const seconds = Math.floor(this.#options.drainTimeMs / 1000);
    if (remainingMs <= 0 || seconds === 0) return true;
    return seconds - Math.floor(remainingMs / 1000) > this.#random.below(seconds);
  }
}
