import { array, assert, nat, property } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mergeInSteps, runSteps, runStepsGently, sortInSteps, type Steps } from '../../src/lib/steps.ts';

const byKey = (a: readonly [number, number], b: readonly [number, number]): number => a[0] - b[0];

describe('steps', () => {
  test('sorts stably, whatever comes', () => {
    assert(
      property(array(nat(50), { maxLength: 2000 }), (keys) => {
        const items = keys.map((key, i) => [key, i] as const);
        expect(runSteps(sortInSteps(items, byKey))).toEqual(items.toSorted(byKey));
      }),
      { numRuns: 30 },
    );
  });

  test('merges two sorted lists, the left one first among equals', () => {
    expect(
      runSteps(
        mergeInSteps(
          [
            [1, 0],
            [3, 0],
          ],
          [
            [1, 1],
            [2, 1],
          ],
          byKey,
        ),
      ),
    ).toEqual([
      [1, 0],
      [1, 1],
      [2, 1],
      [3, 0],
    ]);
  });

  test('a long sort yields often', () => {
    const items = Array.from({ length: 50_000 }, (_, i) => (i * 7919) % 50_000);
    const steps = sortInSteps(items, (a, b) => a - b);
    let yields = 0;
    while (steps.next().done !== true) yields++;
    expect(yields).toBeGreaterThan(100);
  });

  test('gives way to the event loop when its time is spent', async () => {
    let now = 0;
    const order: string[] = [];
    function* work(): Steps<string> {
      for (let i = 0; i < 3; i++) {
        order.push(`step ${i}`);
        now += 3;
        yield;
      }
      return 'done';
    }
    setImmediate(() => order.push('other work'));
    expect(await runStepsGently(work(), () => now, 4)).toBe('done');
    expect(order).toEqual(['step 0', 'step 1', 'other work', 'step 2']);
  });
});
