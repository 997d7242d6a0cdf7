import { describe, expect, test } from 'vitest';
import type { HostModel, LoadBalancerModel } from '../../../../src/config/cluster-model.ts';
import { SeededRandom } from '../../../../src/lib/random.ts';
import { SharedCells } from '../../../../src/lib/shared-cells.ts';
import { hostCellCount } from '../../../../src/proxy/upstream/host-cells.ts';
import { UpstreamHost } from '../../../../src/proxy/upstream/host.ts';
import { EdfScheduler } from '../../../../src/proxy/upstream/load-balancer/edf-scheduler.ts';
import { buildHostPicker, type HostPicker } from '../../../../src/proxy/upstream/load-balancer/host-picker.ts';
import { endpoint } from '../../../support/upstream-models.ts';

const cells = new SharedCells();

function hosts(...weights: number[]): UpstreamHost[] {
  return weights.map((weight, index) => {
    const model: HostModel = {
      ...endpoint(`10.0.0.${index + 1}:80`, { weight }),
      sharedSlot: cells.allocate(hostCellCount(1)),
    };
    return new UpstreamHost(model, undefined, cells, 0);
  });
}

function picks(picker: HostPicker, count: number, list: readonly UpstreamHost[]): number[] {
  const counts = list.map(() => 0);
  for (let i = 0; i < count; i++) counts[list.indexOf(picker.pick())]!++;
  return counts;
}

const leastRequest = (overrides: Partial<Extract<LoadBalancerModel, { policy: 'least-request' }>> = {}) =>
  ({
    policy: 'least-request',
    choiceCount: 2,
    activeRequestBias: 1,
    activeRequestBiasKey: '',
    fullScan: false,
    ...overrides,
  }) as const;

describe('EdfScheduler', () => {
  test('spreads picks evenly in proportion to the weights', () => {
    const edf = new EdfScheduler(['a', 'b', 'c'], (name) => ({ a: 1, b: 2, c: 4 })[name]!);
    const order = Array.from({ length: 14 }, () => edf.pick()).join('');
    expect(order.slice(0, 7).split('').sort().join('')).toBe('abbcccc');
    expect(order).not.toContain('cccc');
  });

  test('equal weights are plain rotation, and nothing is picked of nothing', () => {
    const edf = new EdfScheduler([1, 2, 3], () => 5);
    expect(Array.from({ length: 6 }, () => edf.pick())).toEqual([1, 2, 3, 1, 2, 3]);
    expect(new EdfScheduler([], () => 1).pick()).toBeUndefined();
  });
});

describe('load balancing policies', () => {
  test('round robin rotates from where it is seeded', () => {
    const list = hosts(1, 1, 1);
    const picker = buildHostPicker({ policy: 'round-robin' }, list, new SeededRandom(1), 4);
    const order = Array.from({ length: 4 }, () => list.indexOf(picker.pick()));
    expect(order).toEqual([1, 2, 0, 1]);
  });

  test('weighted round robin keeps exactly to the weights', () => {
    const list = hosts(1, 3, 6);
    const picker = buildHostPicker({ policy: 'round-robin' }, list, new SeededRandom(1), 7);
    expect(picks(picker, 1000, list)).toEqual([100, 300, 600]);
  });

  test('random is uniform, whatever the weights', () => {
    const list = hosts(1, 100, 1, 1);
    const counts = picks(buildHostPicker({ policy: 'random' }, list, new SeededRandom(7), 0), 8000, list);
    for (const count of counts) expect(Math.abs(count - 2000)).toBeLessThan(150);
  });

  test('least request prefers the less busy of two choices', () => {
    const list = hosts(1, 1);
    for (let i = 0; i < 5; i++) list[0]!.requestStarted();
    const picker = buildHostPicker(leastRequest(), list, new SeededRandom(3), 0);
    const counts = picks(picker, 4000, list);
    // The busy host is taken only if both choices fall on it.
    expect(counts[0]! / 4000).toBeGreaterThan(0.22);
    expect(counts[0]! / 4000).toBeLessThan(0.28);
  });

  test('least request over all hosts takes the least busy, ties at random', () => {
    const list = hosts(1, 1, 1, 1);
    list[0]!.requestStarted();
    list[2]!.requestStarted();
    const counts = picks(buildHostPicker(leastRequest({ fullScan: true }), list, new SeededRandom(5), 0), 2000, list);
    expect(counts[0]).toBe(0);
    expect(counts[2]).toBe(0);
    expect(Math.abs(counts[1]! - 1000)).toBeLessThan(100);
  });

  test('weighted least request divides the weight by the requests in flight', () => {
    const list = hosts(1, 2);
    const idle = buildHostPicker(leastRequest(), list, new SeededRandom(1), 0);
    expect(picks(idle, 300, list)).toEqual([100, 200]);
    // Three more requests in flight make the heavy host half as heavy as the light one.
    for (let i = 0; i < 3; i++) list[1]!.requestStarted();
    const busy = buildHostPicker(leastRequest(), list, new SeededRandom(1), 0);
    expect(picks(busy, 300, list)).toEqual([200, 100]);
    const unbiased = buildHostPicker(leastRequest({ activeRequestBias: 0 }), list, new SeededRandom(1), 0);
    expect(picks(unbiased, 300, list)).toEqual([100, 200]);
  });
});
