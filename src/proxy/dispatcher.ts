import type { Clock } from '../lib/clock.ts';
import { TimerWheel, type Timer } from '../lib/timer-wheel.ts';

/** Something that gathers output during a turn and writes it at the turn's end. */
export interface Flushable {
  flush(): void;
}

/**
 * The event loop of one worker, as the data path sees it. Each entry from the platform (socket read, connect, timer,
 * settled promise) is a *turn*: `begin()` first, `end()` last. Output gathered during a turn leaves in one write per
 * connection at its end; posted tasks run then too, so that no callback re-enters the code that asked for it.
 */
export class Dispatcher {
  readonly clock: Clock;
  readonly timers: TimerWheel;
  /** Monotonic milliseconds (with fraction) at the start of this turn. */
  now: number;
  /** Wall-clock milliseconds at the start of this turn. */
  epochNow: number;

  #depth = 0;
  readonly #dirty: Flushable[] = [];
  readonly #tasks: (() => void)[] = [];
  #scheduled = false;
  readonly #epochOffset: number;
  readonly #runScheduled = (): void => {
    this.#scheduled = false;
    this.begin();
    this.end();
  };

  constructor(clock: Clock) {
    this.clock = clock;
    this.timers = new TimerWheel(clock, (body) => this.turn(body));
    this.#epochOffset = clock.epoch() - clock.monotonic();
    this.now = clock.monotonic();
    this.epochNow = this.now + this.#epochOffset;
  }

  /** Starts a turn (they nest; only the outermost counts). */
  begin(): void {
    if (this.#depth++ === 0) {
      this.now = this.clock.monotonic();
      this.epochNow = this.now + this.#epochOffset;
    }
  }

  /** Ends a turn: runs what was posted, then flushes what is dirty. */
  end(): void {
    if (this.#depth > 1) {
      this.#depth--;
      return;
    }
    try {
      // A task may mark connections dirty, and a flush may post tasks.
      while (this.#tasks.length > 0 || this.#dirty.length > 0) {
        for (let i = 0; i < this.#tasks.length; i++) this.#tasks[i]!();
        this.#tasks.length = 0;
        for (let i = 0; i < this.#dirty.length; i++) this.#dirty[i]!.flush();
        this.#dirty.length = 0;
      }
    } finally {
      this.#depth--;
    }
  }

  /** Runs `body` as a turn. */
  turn(body: () => void): void {
    this.begin();
    try {
      body();
    } finally {
      this.end();
    }
  }

  /** Has `flushable.flush()` called once at the end of this turn. The caller sees to it that it isn't added twice. */
  markDirty(flushable: Flushable): void {
    this.#dirty.push(flushable);
    if (this.#depth === 0) this.#schedule();
  }

  /** Runs `task` at the end of this turn, or as a turn of its own soon. */
  post(task: () => void): void {
    this.#tasks.push(task);
    if (this.#depth === 0) this.#schedule();
  }

  /** Arms `timer` to fire `delayMs` after the start of this turn. */
  arm(timer: Timer, delayMs: number): void {
    this.timers.arm(timer, (this.#depth === 0 ? this.clock.monotonic() : this.now) + delayMs);
  }

  disarm(timer: Timer): void {
    this.timers.disarm(timer);
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(this.#runScheduled);
  }
}
