import { describe, expect, test, vi } from 'vitest';
import type { Clock } from '../../../src/lib/clock.ts';
import { runSteps } from '../../../src/lib/steps.ts';
import { StatsAggregator, type StatsAggregatorOptions } from '../../../src/telemetry/stats/aggregator.ts';
import { ThreadStats } from '../../../src/telemetry/stats/arena.ts';
import { DEFAULT_STATS_CONFIG } from '../../../src/telemetry/stats/stats-config.ts';
import { renderStatsText } from '../../../src/telemetry/stats/stats-text.ts';
import { defineStats } from '../../../src/telemetry/stats/stats.ts';
import { walkStats } from '../../../src/telemetry/stats/stat-walk.ts';

const FAMILY = defineStats({ counters: ['total'], gauges: ['active'], histograms: { time: 'milliseconds' } });
const ALL = { usedOnly: false, kind: 'all', matches: undefined } as const;

class ManualClock implements Clock {
  readonly timers: { delayMs: number; callback: () => void }[] = [];
  monotonic = (): number => 0;
  epoch = (): number => 0;
  setTimer(delayMs: number, callback: () => void): { cancel(): void } {
    const timer = { delayMs, callback };
    this.timers.push(timer);
    return { cancel: () => this.timers.splice(this.timers.indexOf(timer), 1) };
  }
}

const aggregate = (options: Partial<StatsAggregatorOptions> = {}): StatsAggregator =>
  new StatsAggregator({ clock: new ManualClock(), ...options });

const text = (stats: StatsAggregator, usedOnly = false): string =>
  [...renderStatsText(stats, { ...ALL, usedOnly }, 'cumulative')].join('');

describe('merging threads', () => {
  const stats = aggregate();
  const threads = [new ThreadStats(), new ThreadStats()];
  for (const [i, thread] of threads.entries()) {
    const block = thread.scope('cluster.a').block(FAMILY);
    block.add(FAMILY.at.total, 10 * (i + 1));
    block.set(FAMILY.at.active, i + 1);
    for (const value of [1, 20, 3000]) block.record(FAMILY.at.time, value);
    stats.register(i, structuredClone(thread.drainRegistrations()));
  }

  test('sums counters and gauges, live', () => {
    expect(stats.value('cluster.a.total')).toBe(30);
    expect(stats.value('cluster.a.active')).toBe(3);
    threads[0]!.block(FAMILY, 'cluster.a').inc(FAMILY.at.total);
    expect(stats.value('cluster.a.total')).toBe(31);
    expect(stats.value('cluster.a.nope')).toBeUndefined();
  });

  test('histograms are those of the last flush', () => {
    expect(text(stats)).toContain('cluster.a.time: No recorded values\n');
    stats.flushSync();
    expect(text(stats)).toMatch(/^cluster.a.time: B0.5\(0,0\) B1\(2,2\) B5\(2,2\) .* B25\(4,4\) .* B3.6e\+06\(6,6\)$/m);
    threads[1]!.block(FAMILY, 'cluster.a').record(FAMILY.at.time, 0);
    stats.flushSync();
    expect(text(stats)).toMatch(/^cluster.a.time: B0.5\(1,1\) B1\(1,3\) .* B3.6e\+06\(1,7\)$/m);
    stats.flushSync();
    expect(text(stats)).toMatch(/^cluster.a.time: B0.5\(0,1\) .* B3.6e\+06\(0,7\)$/m);
  });

  test('of a thread that died, counters and histograms stay and gauges go', () => {
    stats.retire(1);
    expect(stats.value('cluster.a.total')).toBe(31);
    expect(stats.value('cluster.a.active')).toBe(1);
    stats.flushSync();
    expect(text(stats)).toMatch(/^cluster.a.time: .* B3.6e\+06\(0,7\)$/m);
    const next = new ThreadStats();
    next.block(FAMILY, 'cluster.a').inc(FAMILY.at.total);
    stats.register(1, next.drainRegistrations());
    expect(stats.value('cluster.a.total')).toBe(32);
  });

  test('reset starts counters from zero and leaves gauges', () => {
    stats.resetCounters();
    expect(stats.value('cluster.a.total')).toBe(0);
    expect(stats.value('cluster.a.active')).toBe(1);
    threads[0]!.block(FAMILY, 'cluster.a').inc(FAMILY.at.total);
    expect(stats.value('cluster.a.total')).toBe(1);
  });
});

test('every value that a recorder can tell apart arrives in its bin', () => {
  const stats = aggregate();
  const thread = new ThreadStats();
  stats.addLocal(0, thread);
  const histogram = thread.histogram('h', 'unspecified');
  const values = [0, 1, 9, 10, 99, 100, 101, 999, 1234, 99_999, 1e6, 123_456_789, 2 ** 40, -3, NaN, 0.9, 1e30];
  for (const value of values) histogram.record(value);
  stats.flushSync();
  const seen: string[] = [];
  const detail = [...renderStatsText(stats, ALL, 'detailed')].join('');
  seen.push(.../totals=(.*)/.exec(detail)![1]!.split(', '));
  expect(seen).toEqual([
    '0,0:4',
    '1,0.1:1',
    '9,0.1:1',
    '10,1:1',
    '99,1:1',
    '100,10:2',
    '990,10:1',
    '1200,100:1',
    '99000,1000:1',
    '1e+06,100000:1',
    '1.2e+08,1e+07:1',
    '1e+12,1e+11:1',
    '9.9e+18,1e+17:1',
  ]);
});

describe('used stats', () => {
  test('what was written is used, even if it is zero again', () => {
    const stats = aggregate();
    const thread = new ThreadStats();
    stats.addLocal(0, thread);
    const block = thread.block(FAMILY, 'a');
    thread.gauge('set_to_zero').set(0);
    thread.counter('untouched');
    expect(text(stats, true)).toBe('set_to_zero: 0\n');
    block.inc(FAMILY.at.active);
    block.dec(FAMILY.at.active);
    block.inc(FAMILY.at.total);
    stats.resetCounters();
    expect(text(stats, true)).toBe('a.active: 0\na.total: 0\nset_to_zero: 0\n');
    expect(text(stats)).toContain('untouched: 0\n');
  });
});

describe('forgetting', () => {
  test('a released prefix disappears; what another thread still has stays, with what was counted', () => {
    const stats = aggregate();
    const [one, two] = [new ThreadStats(), new ThreadStats()];
    stats.addLocal(0, one);
    stats.addLocal(1, two);
    const scopes = [one, two].map((thread) => thread.scope('cluster.a'));
    for (const scope of scopes) scope.block(FAMILY).add(FAMILY.at.total, 5);
    one.textReadout('cluster.a.version_text').set('x');
    expect(text(stats)).toContain('cluster.a.version_text: "x"\ncluster.a.active: 0\ncluster.a.total: 10\n');
    scopes[0]!.release();
    expect(stats.value('cluster.a.total')).toBe(10);
    expect(stats.value('cluster.a.version_text')).toBeUndefined();
    scopes[1]!.release();
    expect(text(stats)).toBe('');
    one.scope('cluster.a').block(FAMILY).inc(FAMILY.at.total);
    expect(stats.value('cluster.a.total')).toBe(1);
    expect(text(stats)).toContain('cluster.a.total: 1\n');
  });
});

describe('order', () => {
  test('stats come by full name, however their prefixes nest; one name is one stat', () => {
    const stats = aggregate();
    const thread = new ThreadStats();
    stats.addLocal(0, thread);
    const names = defineStats({ counters: ['a', 'b.c', 'z'] });
    for (const prefix of ['x', 'x.b', 'x.y', 'xy', '', 'x.b.c']) thread.block(names, prefix).inc(0);
    thread.counter('x.a').add(5);
    const seen: string[] = [];
    const visitor = {
      text: () => {},
      histogram: () => {},
      number: (name: string, value: number) => seen.push(`${name}=${value + 0}`),
    };
    runSteps(walkStats(stats, ALL, visitor));
    const list = seen.map((line) => line.split('=')[0]!);
    expect(list).toEqual(list.toSorted());
    expect(new Set(list).size).toBe(list.length);
    expect(seen).toContain('x.a=6');
    expect(list.length).toBe(6 * 3);
  });

  test('a reader sees what came while another one was sorting', () => {
    const stats = aggregate();
    const thread = new ThreadStats();
    stats.addLocal(0, thread);
    for (let i = 0; i < 5000; i++) thread.counter(`c.${(i * 7919) % 5000}`);
    const first = stats.sortedFamilies();
    first.next();
    thread.counter('late');
    expect(runSteps(stats.sortedFamilies()).length).toBe(5001);
    runSteps(first);
    expect(runSteps(stats.sortedFamilies()).length).toBe(5001);
  });
});

describe('stats_config', () => {
  test.each([
    ['exclusion', 'cluster.a.active: 0\n'],
    ['inclusion', 'cluster.a.total: 0\n'],
    ['reject-all', ''],
  ] as const)('matcher: %s', (kind, expected) => {
    const patterns = [
      { kind: 'suffix', value: 'total', ignoreCase: false },
      { kind: 'regex', value: String.raw`.*\.time` },
    ] as const;
    const matcher = kind === 'reject-all' ? { kind } : { kind, patterns };
    const stats = aggregate({ config: { ...DEFAULT_STATS_CONFIG, matcher } });
    const thread = new ThreadStats();
    stats.addLocal(0, thread);
    thread.block(FAMILY, 'cluster.a').record(FAMILY.at.time, 1);
    stats.flushSync();
    expect(text(stats).replace(/^.*time: B.*\n/m, '')).toBe(expected);
    expect(text(stats).includes('time')).toBe(kind === 'inclusion');
  });

  test('bucket settings: the first match decides', () => {
    const settings = [
      { match: { kind: 'prefix', value: 'cluster', ignoreCase: false }, buckets: [1, 2] },
      { match: { kind: 'suffix', value: 'time', ignoreCase: false }, buckets: [3] },
    ] as const;
    const stats = aggregate({ config: { ...DEFAULT_STATS_CONFIG, histogramBuckets: settings } });
    expect(stats.bucketsOf('cluster.x.time')).toEqual([1, 2]);
    expect(stats.bucketsOf('http.x.time')).toEqual([3]);
    expect(stats.bucketsOf('http.x.other').length).toBe(19);
  });
});

describe('flushing', () => {
  test('happens at the interval, with gauges set first', async () => {
    const clock = new ManualClock();
    const thread = new ThreadStats();
    const beforeFlush = vi.fn<() => void>(() => thread.gauge('server.uptime').set(7));
    const stats = new StatsAggregator({ clock, flushIntervalMs: 1000, beforeFlush });
    stats.addLocal(0, thread);
    stats.start();
    stats.start();
    expect(clock.timers.map(({ delayMs }) => delayMs)).toEqual([1000]);
    clock.timers.shift()!.callback();
    await stats.flush();
    await Promise.resolve();
    expect(beforeFlush).toHaveBeenCalledTimes(1);
    expect(stats.value('server.uptime')).toBe(7);
    await vi.waitFor(() => expect(clock.timers.length).toBe(1));
    stats.close();
    expect(clock.timers).toEqual([]);
  });
});
