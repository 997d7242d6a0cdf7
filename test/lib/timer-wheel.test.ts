import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Timer, TimerWheel } from '../../src/lib/timer-wheel.ts';
import { FakeClock } from '../support/fake-clock.ts';

const setup = () => {
  const clock = new FakeClock(0);
  const wheel = new TimerWheel(clock);
  const fired: [name: string, at: number][] = [];
  const timer = (name: string): Timer => new Timer({ onTimer: () => fired.push([name, clock.monotonic()]) });
  return { clock, wheel, fired, timer };
};

describe('TimerWheel', () => {
  test('fires at the deadline, in order, once', () => {
    const { clock, wheel, fired, timer } = setup();
    wheel.arm(timer('b'), 50);
    wheel.arm(timer('a'), 5);
    wheel.arm(timer('c'), 15_000);
    clock.advance(20_000);
    expect(fired).toEqual([
      ['a', 5],
      ['b', 50],
      ['c', 15_000],
    ]);
    expect(clock.pending).toBe(0);
  });

  test('a timer that is moved later fires at the later time only', () => {
    const { clock, wheel, fired, timer } = setup();
    const idle = timer('idle');
    wheel.arm(idle, 100);
    clock.advance(60);
    wheel.arm(idle, 160);
    clock.advance(99);
    expect(fired).toEqual([]);
    clock.advance(1);
    expect(fired).toEqual([['idle', 160]]);
  });

  test('a timer that is moved earlier fires earlier', () => {
    const { clock, wheel, fired, timer } = setup();
    const t = timer('t');
    wheel.arm(t, 10_000);
    wheel.arm(t, 10);
    clock.advance(20_000);
    expect(fired).toEqual([['t', 10]]);
  });

  test('a disarmed timer does not fire and leaves no platform timer', () => {
    const { clock, wheel, fired, timer } = setup();
    const t = timer('t');
    wheel.arm(t, 10);
    wheel.disarm(t);
    wheel.disarm(t);
    expect(clock.pending).toBe(0);
    clock.advance(100);
    expect(fired).toEqual([]);
    expect(wheel.size).toBe(0);
  });

  test('a timer may arm itself and others from its callback', () => {
    const { clock, wheel } = setup();
    const at: number[] = [];
    const timer: Timer = new Timer({
      onTimer: () => {
        at.push(clock.monotonic());
        if (at.length < 4) wheel.arm(timer, clock.monotonic() + 300);
      },
    });
    wheel.arm(timer, 300);
    clock.advance(5_000);
    expect(at).toEqual([300, 600, 900, 1_200]);
  });

  test('wakes the platform only a few times for a far deadline', () => {
    const clock = new FakeClock(0);
    let wakes = 0;
    const wheel = new TimerWheel(clock, (body) => {
      wakes++;
      body();
    });
    let fired = false;
    wheel.arm(new Timer({ onTimer: () => (fired = true) }), 3_600_000);
    clock.advance(3_600_000);
    expect(fired).toBe(true);
    expect(wakes).toBeLessThan(10);
  });

  test('any schedule of arms and disarms fires each timer exactly at its last deadline', () => {
    const step = fc.record({
      timer: fc.nat(5),
      action: fc.constantFrom('arm', 'disarm', 'wait'),
      delay: fc.oneof(fc.nat(80), fc.nat(5_000), fc.nat(400_000)),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const clock = new FakeClock(0);
        const wheel = new TimerWheel(clock);
        const deadlines: (number | undefined)[] = Array.from({ length: 6 }, () => undefined);
        const timers = deadlines.map(
          (_, index) =>
            new Timer({
              onTimer: () => {
                expect(deadlines[index]).toBe(clock.monotonic());
                deadlines[index] = undefined;
              },
            }),
        );
        for (const { timer, action, delay } of steps) {
          if (action === 'wait') clock.advance(delay);
          else if (action === 'arm') {
            deadlines[timer] = clock.monotonic() + delay + 1;
            wheel.arm(timers[timer]!, deadlines[timer]);
          } else {
            deadlines[timer] = undefined;
            wheel.disarm(timers[timer]!);
          }
          for (const deadline of deadlines)
            if (deadline !== undefined) expect(deadline).toBeGreaterThanOrEqual(clock.monotonic());
        }
        clock.advance(1_000_000);
        expect(deadlines.every((deadline) => deadline === undefined)).toBe(true);
        expect(wheel.size).toBe(0);
      }),
    );
  });
});
