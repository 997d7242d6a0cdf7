import { describe, expect, test } from 'vitest';
import { Dispatcher, type Flushable } from '../../src/proxy/dispatcher.ts';
import { FakeClock } from '../support/fake-clock.ts';

/** A dispatcher that defers, with what it has deferred, and a log. */
function deferring() {
  const deferred: (() => void)[] = [];
  const errors: unknown[] = [];
  const log: string[] = [];
  const dispatcher = new Dispatcher(new FakeClock(), {
    afterInput: (callback) => void deferred.push(callback),
    onError: (error) => void errors.push(error),
  });
  const output = (name: string): Flushable => ({
    flush: () => void log.push(name),
    flushFailed: () => void log.push(`${name} failed`),
  });
  return { dispatcher, deferred, errors, log, output };
}

describe('without afterInput', () => {
  test('tasks run and output leaves at the end of the outermost turn', () => {
    const log: string[] = [];
    const dispatcher = new Dispatcher(new FakeClock());
    dispatcher.turn(() => {
      dispatcher.turn(() => dispatcher.markDirty({ flush: () => void log.push('flush') }));
      dispatcher.post(() => log.push('task'));
      log.push('body');
    });
    expect(log).toEqual(['body', 'task', 'flush']);
  });

  test('what a flush posts, and what that marks, belongs to the same turn', () => {
    const log: string[] = [];
    const dispatcher = new Dispatcher(new FakeClock());
    const second: Flushable = { flush: () => void log.push('second') };
    const first: Flushable = { flush: () => dispatcher.post(() => dispatcher.markDirty(second)) };
    dispatcher.turn(() => dispatcher.markDirty(first));
    expect(log).toEqual(['second']);
  });

  test('an error is thrown, after the others had their turn', () => {
    const log: string[] = [];
    const dispatcher = new Dispatcher(new FakeClock());
    const broken: Flushable = {
      flush() {
        throw new Error('broken');
      },
    };
    const run = (): void =>
      dispatcher.turn(() => {
        dispatcher.markDirty(broken);
        dispatcher.markDirty({ flush: () => void log.push('fine') });
      });
    expect(run).toThrow('broken');
    expect(log).toEqual(['fine']);
    dispatcher.turn(() => {});
    expect(log).toEqual(['fine']);
  });
});

describe('with afterInput', () => {
  test('the output of several turns leaves together, their tasks do not wait', () => {
    const { dispatcher, deferred, log, output } = deferring();
    for (const name of ['a', 'b'])
      dispatcher.turn(() => {
        dispatcher.markDirty(output(name));
        dispatcher.post(() => log.push(`task ${name}`));
      });
    expect(log).toEqual(['task a', 'task b']);
    expect(deferred).toHaveLength(1);
    deferred.shift()!();
    expect(log).toEqual(['task a', 'task b', 'a', 'b']);
    dispatcher.turn(() => dispatcher.markDirty(output('c')));
    expect(deferred).toHaveLength(1);
  });

  test('a flush that fails costs only its own connection', () => {
    const { dispatcher, deferred, errors, log, output } = deferring();
    const broken = {
      ...output('broken'),
      flush() {
        throw new Error('broken');
      },
    };
    dispatcher.turn(() => {
      dispatcher.markDirty(broken);
      dispatcher.markDirty(output('fine'));
    });
    deferred.shift()!();
    expect(log).toEqual(['broken failed', 'fine']);
    expect(errors).toEqual([new Error('broken')]);
  });

  test('what is marked outside of a turn is flushed too', async () => {
    const { dispatcher, deferred, log, output } = deferring();
    dispatcher.markDirty(output('late'));
    await Promise.resolve();
    deferred.shift()!();
    expect(log).toEqual(['late']);
  });
});
