import type { Clock, ClockTimer } from './clock.ts';

/** What a timer calls when it fires. An object, not a closure: it is made once and armed many times. */
export interface TimerTask {
  onTimer(timer: Timer): void;
}

const BITS = 6;
const SLOTS = 1 << BITS;
const LEVELS = 5;
/** Ticks that a slot of each level spans. Divided by, not shifted: ticks outgrow 32 bits. */
const WIDTHS = Array.from({ length: LEVELS }, (_, level) => 2 ** (level * BITS));

/**
 * A hierarchical timer wheel with slots of 1 ms: arming and disarming cost a few field writes, whatever the number of
 * timers. One platform timer drives it, set for the earliest slot in use; an empty wheel costs nothing.
 */
export class TimerWheel {
  readonly #clock: Clock;
  readonly #slots: (Timer | undefined)[] = Array.from({ length: SLOTS * LEVELS });
  /** The tick (ms since `#origin`) up to which everything has fired. */
  #tick = 0;
  readonly #origin: number;
  #wake: ClockTimer | undefined;
  #wakeTick = Infinity;
  #count = 0;
  #draining = false;
  readonly #around: ((body: () => void) => void) | undefined;
  readonly #run = (): void => this.#onWake();
  readonly #advanceNow = (): void => this.advance();

  /** `around`, if given, wraps every batch of firings (the dispatcher makes a turn of it). */
  constructor(clock: Clock, around?: (body: () => void) => void) {
    this.#clock = clock;
    this.#origin = clock.monotonic();
    this.#around = around;
  }

  /** The number of armed timers. */
  get size(): number {
    return this.#count;
  }

  /** Arms `timer` to fire at `deadline` (monotonic ms), or moves it there if it is armed. */
  arm(timer: Timer, deadline: number): void {
    timer.deadline = deadline;
    const due = Math.max(Math.ceil(deadline - this.#origin), this.#tick + 1);
    if (timer.tick !== -1) {
      // Already linked at an earlier tick: leave it there; it moves on when that slot comes up.
      if (timer.tick <= due) return;
      this.#unlink(timer);
    }
    if (this.#count === 0 && !this.#draining)
      this.#tick = Math.max(this.#tick, Math.floor(this.#clock.monotonic() - this.#origin));
    this.#link(timer, Math.max(due, this.#tick + 1));
    if (timer.tick < this.#wakeTick && !this.#draining) this.#setWake(timer.tick);
  }

  /** Disarms `timer`; harmless if it isn't armed. */
  disarm(timer: Timer): void {
    timer.deadline = Infinity;
    if (timer.tick !== -1) this.#unlink(timer);
    if (this.#count === 0 && this.#wake !== undefined && !this.#draining) {
      this.#wake.cancel();
      this.#wake = undefined;
      this.#wakeTick = Infinity;
    }
  }

  /** Fires all that is due. Called by the platform timer; tests with a fake clock need not call it. */
  advance(): void {
    if (this.#draining) return;
    this.#draining = true;
    try {
      const target = Math.floor(this.#clock.monotonic() - this.#origin);
      while (this.#tick < target && this.#count > 0) {
        const next = this.#nextTick();
        if (next > target) break;
        this.#tick = next;
        this.#cascade(next);
        this.#fire(next);
      }
      if (this.#tick < target) this.#tick = target;
    } finally {
      this.#draining = false;
    }
  }

  #onWake(): void {
    this.#wake = undefined;
    this.#wakeTick = Infinity;
    if (this.#around !== undefined) this.#around(this.#advanceNow);
    else this.advance();
    if (this.#count > 0) this.#setWake(this.#nextTick());
  }

  #setWake(tick: number): void {
    this.#wake?.cancel();
    this.#wakeTick = tick;
    const delay = this.#origin + tick - this.#clock.monotonic();
    this.#wake = this.#clock.setTimer(Math.max(0, Math.ceil(delay)), this.#run);
  }

  /** The next tick at which a slot has to be looked at: one that fires, or one that cascades. */
  #nextTick(): number {
    let best = Infinity;
    for (let level = 0; level < LEVELS; level++) {
      const width = WIDTHS[level]!;
      const at = Math.floor(this.#tick / width);
      for (let ahead = 1; ahead <= SLOTS; ahead++) {
        if (this.#slots[level * SLOTS + ((at + ahead) % SLOTS)] !== undefined) {
          best = Math.min(best, (at + ahead) * width);
          break;
        }
      }
    }
    return best;
  }

  #cascade(tick: number): void {
    for (let level = LEVELS - 1; level > 0; level--) {
      const width = WIDTHS[level]!;
      if (tick % width !== 0) continue;
      const slot = level * SLOTS + ((tick / width) % SLOTS);
      let timer = this.#slots[slot];
      while (timer !== undefined) {
        const next: Timer | undefined = timer.next;
        this.#unlink(timer);
        if (timer.deadline !== Infinity) this.#link(timer, Math.max(Math.ceil(timer.deadline - this.#origin), tick));
        timer = next;
      }
    }
  }

  #fire(tick: number): void {
    const slot = tick % SLOTS;
    for (let timer = this.#slots[slot]; timer !== undefined; timer = this.#slots[slot]) {
      this.#unlink(timer);
      const due = Math.ceil(timer.deadline - this.#origin);
      if (due > tick) this.#link(timer, due);
      else {
        timer.deadline = Infinity;
        timer.task.onTimer(timer);
      }
    }
  }

  #link(timer: Timer, tick: number): void {
    let level = 0;
    while (level < LEVELS - 1 && Math.floor(tick / WIDTHS[level]!) - Math.floor(this.#tick / WIDTHS[level]!) >= SLOTS)
      level++;
    const width = WIDTHS[level]!;
    const at = Math.min(Math.floor(tick / width), Math.floor(this.#tick / width) + SLOTS - 1);
    timer.tick = level === 0 ? at : at * width;
    const slot = level * SLOTS + (at % SLOTS);
    timer.slot = slot;
    const head = this.#slots[slot];
    timer.previous = undefined;
    timer.next = head;
    if (head !== undefined) head.previous = timer;
    this.#slots[slot] = timer;
    this.#count++;
  }

  #unlink(timer: Timer): void {
    if (timer.previous !== undefined) timer.previous.next = timer.next;
    else this.#slots[timer.slot] = timer.next;
    if (timer.next !== undefined) timer.next.previous = timer.previous;
    timer.previous = undefined;
    timer.next = undefined;
    timer.tick = -1;
    this.#count--;
  }
}

/** One re-armable timer. Its fields belong to the wheel. */
export class Timer {
  readonly task: TimerTask;
  /** Monotonic ms at which it fires; `Infinity` = disarmed. */
  deadline = Infinity;
  tick = -1;
  slot = 0;
  next: Timer | undefined = undefined;
  previous: Timer | undefined = undefined;

  constructor(task: TimerTask) {
    this.task = task;
  }

  get armed(): boolean {
    return this.deadline !== Infinity;
  }
}
