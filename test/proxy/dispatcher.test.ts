import { describe, expect, test } from 'vitest';
import { Dispatcher } from '../../src/proxy/dispatcher.ts';
import { FakeClock } from '../support/fake-clock.ts';

describe('Dispatcher', () => {
  test('runs what was posted, then flushes, at the end of the outermost turn', () => {
    const dispatcher = new Dispatcher(new FakeClock());
    const order: string[] = [];
    dispatcher.turn(() => {
      dispatcher.markDirty({ flush: () => order.push('flush') });
      dispatcher.post(() => {
        order.push('task');
        dispatcher.markDirty({ flush: () => dispatcher.post(() => order.push('task of the flush')) });
      });
      dispatcher.turn(() => order.push('inner'));
      order.push('outer');
    });
    expect(order).toEqual(['inner', 'outer', 'task', 'flush', 'task of the flush']);
  });

  test('what fails is not tried again and holds up nothing else', async () => {
    const dispatcher = new Dispatcher(new FakeClock());
    const order: string[] = [];
    const failing = (name: string) => () => {
      order.push(name);
      throw new Error(name);
    };
    dispatcher.begin();
    dispatcher.post(failing('bad task'));
    dispatcher.post(() => order.push('task'));
    dispatcher.markDirty({ flush: () => order.push('flush') });
    expect(() => dispatcher.end()).toThrow('bad task');
    await Promise.resolve();
    expect(order).toEqual(['bad task', 'task', 'flush']);

    order.length = 0;
    dispatcher.begin();
    dispatcher.markDirty({ flush: failing('bad flush') });
    dispatcher.markDirty({ flush: () => order.push('flush') });
    expect(() => dispatcher.end()).toThrow('bad flush');
    await Promise.resolve();
    expect(order).toEqual(['bad flush', 'flush']);
    dispatcher.turn(() => {});
    expect(order).toHaveLength(2);
  });

  test('outside of a turn it makes one of its own', async () => {
    const clock = new FakeClock();
    const dispatcher = new Dispatcher(clock);
    let at = 0;
    clock.advance(5);
    dispatcher.post(() => (at = dispatcher.now));
    expect(at).toBe(0);
    await Promise.resolve();
    expect(at).toBe(clock.monotonic());
  });
});
