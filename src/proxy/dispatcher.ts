import type { Clock } from '../lib/clock.ts';
import { TimerWheel, type Timer } from '../lib/timer-wheel.ts';

/** Something that gathers output and writes it when the dispatcher says so. */
export interface Flushable {
  flush(): void;
  /** `flush` threw: so that the fault costs this connection, and no other. */
  flushFailed?(): void;
}

export interface DispatcherOptions {
  /**
   * Calls back once all input that is ready has been delivered (`setImmediate`): output leaves then, that of many
   * connections back to back. Absent: the output of each turn leaves at its end.
   */
  readonly afterInput?: (callback: () => void) => void;
  /** A flush or a posted task threw; the others go on. Absent: the first such error is thrown after them. */
  readonly onError?: (error: unknown) => void;
}

const nothing = (): void => {};
const NOTHING: Flushable = { flush: nothing };

/**
 * The event loop of one worker, as the data path sees it. Each entry from the platform (socket read, connect, timer,
 * settled promise) is a *turn*: `begin()` first, `end()` last. Posted tasks run at a turn's end, so that no callback
 * re-enters the code that asked for it. Output is gathered and leaves in one write per connection: at the end of the
 * turn or, with `afterInput`, after all turns that were due.
 */
export class Dispatcher {
  readonly clock: Clock;
  readonly timers: TimerWheel;
  /** Monotonic milliseconds (with fraction) at the start of this turn. */
  now: number;
  /** Wall-clock milliseconds at the start of this turn. */
  epochNow: number;

  #depth = 0;
  // The lists keep their length, since shrinking an array each turn costs more than a count beside it.
  readonly #dirty: Flushable[] = [];
  #dirtyCount = 0;
  readonly #tasks: (() => void)[] = [];
  #taskCount = 0;
  #scheduled = false;
  #flushScheduled = false;
  #error: { readonly error: unknown } | undefined = undefined;
  readonly #afterInput: DispatcherOptions['afterInput'];
  readonly #onError: (error: unknown) => void;
  readonly #epochOffset: number;
  readonly #runScheduled = (): void => {
    this.#scheduled = false;
    this.begin();
    this.end();
  };
  readonly #runFlush = (): void => {
    this.#flushScheduled = false;
    this.begin();
    this.#flushAll();
    this.end();
  };

  constructor(clock: Clock, options: DispatcherOptions = {}) {
    this.clock = clock;
    this.timers = new TimerWheel(clock, (body) => this.turn(body));
    this.#afterInput = options.afterInput;
    this.#onError = options.onError ?? ((error) => (this.#error ??= { error }));
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

  /** Ends a turn: runs what was posted, then has flushed what is dirty. */
  end(): void {
    if (this.#depth === 1) {
      if (this.#taskCount > 0) this.#runTasks();
      if (this.#dirtyCount > 0) this.#flushSoon();
    }
    this.#depth--;
    if (this.#error !== undefined && this.#depth === 0) this.#throw();
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

  /** Has `flushable.flush()` called once, after this turn. The caller sees to it that it isn't added twice. */
  markDirty(flushable: Flushable): void {
    this.#dirty[this.#dirtyCount++] = flushable;
    if (this.#depth === 0) this.#schedule();
  }

  /** Runs `task` at the end of this turn, or as a turn of its own soon. */
  post(task: () => void): void {
    this.#tasks[this.#taskCount++] = task;
    if (this.#depth === 0) this.#schedule();
  }

  /** Arms `timer` to fire `delayMs` after the start of this turn. */
  arm(timer: Timer, delayMs: number): void {
    this.timers.arm(timer, (this.#depth === 0 ? this.clock.monotonic() : this.now) + delayMs);
  }

  disarm(timer: Timer): void {
    this.timers.disarm(timer);
  }

  #flushSoon(): void {
    if (this.#afterInput === undefined) {
      // A flush may post tasks, and a task may mark connections dirty.
      while (this.#dirtyCount > 0) {
        this.#flushAll();
        if (this.#taskCount > 0) this.#runTasks();
      }
    } else if (!this.#flushScheduled) {
      this.#flushScheduled = true;
      this.#afterInput(this.#runFlush);
    }
  }

  #flushAll(): void {
    const dirty = this.#dirty;
    for (let i = 0; i < this.#dirtyCount; i++) {
      const flushable = dirty[i]!;
      dirty[i] = NOTHING;
      try {
        flushable.flush();
      } catch (error) {
        flushable.flushFailed?.();
        this.#onError(error);
      }
    }
    this.#dirtyCount = 0;
  }

  #runTasks(): void {
    const tasks = this.#tasks;
    for (let i = 0; i < this.#taskCount; i++) {
      const task = tasks[i]!;
      tasks[i] = nothing;
      try {
        task();
      } catch (error) {
        this.#onError(error);
      }
    }
    this.#taskCount = 0;
  }

  #throw(): void {
    const { error } = this.#error!;
    this.#error = undefined;
    throw error;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(this.#runScheduled);
  }
}
