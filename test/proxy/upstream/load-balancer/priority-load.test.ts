import { array, assert, nat, property, record } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { computePriorityLoad, type LevelHealth } from '../../../../src/proxy/upstream/load-balancer/priority-load.ts';

/** A level of 100 hosts. */
const level = (healthy: number, degraded = 0, hosts = 100): LevelHealth => ({
  hosts,
  allHosts: hosts,
  healthy,
  degraded,
  totalWeight: hosts,
  healthyWeight: healthy,
  degradedWeight: degraded,
});

describe('computePriorityLoad', () => {
  // Envoy's documentation, "Priority levels".
  test.each([
    [
      [100, 100],
      [100, 0],
    ],
    [
      [72, 100],
      [100, 0],
    ],
    [
      [71, 100],
      [99, 1],
    ],
    [
      [50, 100],
      [70, 30],
    ],
    [
      [25, 100],
      [35, 65],
    ],
    [
      [0, 100],
      [0, 100],
    ],
    [
      [100, 100, 100],
      [100, 0, 0],
    ],
    [
      [72, 72, 100],
      [100, 0, 0],
    ],
    [
      [71, 71, 100],
      [99, 1, 0],
    ],
    [
      [50, 50, 100],
      [70, 30, 0],
    ],
    [
      [25, 100, 100],
      [35, 65, 0],
    ],
    [
      [25, 25, 100],
      [35, 35, 30],
    ],
  ])('healthy %j percent gives %j', (healthy, expected) => {
    const load = computePriorityLoad(
      healthy.map((value) => level(value)),
      1.4,
      50,
    );
    expect(load.healthy).toEqual(expected);
    expect(load.panic).toEqual(healthy.map(() => false));
  });

  test.each([
    [
      [20, 20, 10],
      [40, 40, 20],
    ],
    [
      [25, 25, 20],
      [37, 35, 28],
    ],
  ])('availability below 100 is scaled up: %j gives %j', (healthy, expected) => {
    expect(
      computePriorityLoad(
        healthy.map((value) => level(value)),
        1.4,
        0,
      ).healthy,
    ).toEqual(expected);
  });

  test('degraded hosts get what the healthy ones of all levels leave', () => {
    const load = computePriorityLoad([level(50, 50), level(0, 0)], 1.4, 50);
    expect(load.healthy).toEqual([70, 0]);
    expect(load.degraded).toEqual([30, 0]);
    const spilled = computePriorityLoad([level(0, 100), level(50, 0)], 1.4, 50);
    expect(spilled.healthy).toEqual([0, 70]);
    expect(spilled.degraded).toEqual([30, 0]);
  });

  test('a level panics only while the levels together are not available enough', () => {
    expect(computePriorityLoad([level(25), level(100)], 1.4, 50).panic).toEqual([false, false]);
    const load = computePriorityLoad([level(50), level(0)], 1.4, 50);
    expect(load.panic).toEqual([false, true]);
    expect(load.healthy).toEqual([100, 0]);
  });

  test('when every level panics the load follows the number of hosts', () => {
    const load = computePriorityLoad([level(1, 0, 10), level(0, 0, 20)], 1.4, 50);
    expect(load.panic).toEqual([true, true]);
    expect(load.healthy).toEqual([34, 66]);
  });

  test('no host at all, or none healthy with panic off: everything goes to level 0', () => {
    expect(computePriorityLoad([level(0, 0, 0)], 1.4, 50).healthy).toEqual([100]);
    const off = computePriorityLoad([level(0), level(0)], 1.4, 0);
    expect(off.healthy).toEqual([100, 0]);
    expect(off.panic).toEqual([false, false]);
  });

  test('the load adds up to 100, whatever the health', () => {
    const anyLevel = record({ hosts: nat(40), healthy: nat(40), degraded: nat(40) })
      .filter(({ hosts, healthy, degraded }) => healthy + degraded <= hosts)
      .map(({ hosts, healthy, degraded }) => level(healthy, degraded, hosts));
    assert(
      property(array(anyLevel, { minLength: 1, maxLength: 5 }), nat(100), (levels, threshold) => {
        const load = computePriorityLoad(levels, 1.4, threshold);
        const sum = [...load.healthy, ...load.degraded].reduce((a, b) => a + b, 0);
        expect(sum).toBe(100);
      }),
    );
  });
});
