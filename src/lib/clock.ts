/** Time as the proxy sees it. Injected everywhere, so that tests run without waiting. */
export interface Clock {
  /** Monotonic time in milliseconds, with a fraction. Its zero is arbitrary. */
  monotonic(): number;
  /** Wall-clock time in milliseconds since the Unix epoch, with a fraction where the platform gives one. */
  epoch(): number;
  /** Runs `callback` once after `delayMs`. The handle's `cancel` is idempotent. Does not keep the process alive. */
  setTimer(delayMs: number, callback: () => void): ClockTimer;
}

export interface ClockTimer {
  cancel(): void;
}

export const systemClock: Clock = {
  monotonic: () => performance.now(),
  epoch: () => performance.timeOrigin + performance.now(),
  setTimer(delayMs, callback) {
    const timer = setTimeout(callback, Math.min(delayMs, 0x7fffffff));
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};
