import { describe, expect, test, vi } from 'vitest';
import { ThreadStats } from '../../../src/telemetry/stats/arena.ts';
import { defineStats } from '../../../src/telemetry/stats/stats.ts';

const FAMILY = defineStats({ counters: ['rq_total'], gauges: ['rq_active'], histograms: { rq_time: 'milliseconds' } });

describe('ThreadStats', () => {
  test('a block counts in one run of shared memory', () => {
    const stats = new ThreadStats();
    const block = stats.scope('cluster.a').block(FAMILY);
    block.inc(FAMILY.at.rq_total);
    block.add(FAMILY.at.rq_total, 2);
    block.set(FAMILY.at.rq_active, 5);
    block.dec(FAMILY.at.rq_active);
    expect(block.prefix).toBe('cluster.a.');
    expect([block.cells[block.base], block.cells[block.base + 1]]).toEqual([3, 4]);
    expect(stats.value('cluster.a.rq_total')).toBe(3);
    expect(stats.value('cluster.a.rq_active')).toBe(4);
    expect(stats.value('cluster.a.rq_time')).toBeUndefined();
  });

  test('the same name is the same stat, however it is reached', () => {
    const stats = new ThreadStats();
    expect(stats.block(FAMILY, 'cluster.a')).toBe(stats.scope('cluster').scope('a.').block(FAMILY));
    stats.scope('http.x').counter('rq').inc();
    stats.counter('http.x.rq').inc();
    expect(stats.value('http.x.rq')).toBe(2);
    expect(stats.histogram('h', 'bytes')).toBe(stats.histogram('h', 'bytes'));
  });

  test('another thread is told where everything lies, in one batch and in order', () => {
    const onRegistration = vi.fn<() => void>();
    const stats = new ThreadStats(onRegistration);
    const block = stats.block(FAMILY, 'cluster.a');
    stats.gauge('server.live').set(1);
    block.record(FAMILY.at.rq_time, 12);
    const batch = structuredClone(stats.drainRegistrations());
    expect(batch.map(({ op }) => op)).toEqual(['chunk', 'schema', 'block', 'cell', 'recorder']);
    expect(onRegistration).toHaveBeenCalledTimes(1);
    const chunk = batch.find(({ op }) => op === 'chunk');
    const cell = batch.find(({ op }) => op === 'cell');
    if (chunk?.op !== 'chunk' || cell?.op !== 'cell') throw new Error('missing');
    expect(new Float64Array(chunk.memory)[cell.address]).toBe(1);
    expect(stats.drainRegistrations()).toEqual([]);
    stats.counter('x');
    expect(onRegistration).toHaveBeenCalledTimes(2);
  });

  test('release with the last claim forgets everything below; holders count into the void', () => {
    const stats = new ThreadStats();
    const scope = stats.scope('cluster.a');
    const again = stats.scope('cluster.a');
    const block = scope.block(FAMILY);
    const counter = scope.counter('external.upstream_rq_200');
    block.inc(FAMILY.at.rq_total);
    block.record(FAMILY.at.rq_time, 3);
    stats.block(FAMILY, 'cluster.ab').inc(FAMILY.at.rq_total);
    scope.release();
    scope.release();
    expect(stats.value('cluster.a.rq_total')).toBe(1);
    again.release();
    expect(stats.value('cluster.a.rq_total')).toBeUndefined();
    expect(stats.value('cluster.ab.rq_total')).toBe(1);
    const released = stats.drainRegistrations().find(({ op }) => op === 'release');
    expect(released?.op === 'release' && released.ids.length).toBe(2);

    const fresh = stats.block(FAMILY, 'cluster.b');
    block.inc(FAMILY.at.rq_total);
    block.record(FAMILY.at.rq_time, 3);
    counter.inc();
    expect(fresh.get(FAMILY.at.rq_total)).toBe(0);
  });

  test('freed memory is used again, zeroed, but not before readers were told', () => {
    const stats = new ThreadStats();
    const addressOf = (name: string): number => {
      stats.block(FAMILY, name).inc(FAMILY.at.rq_total);
      const block = stats.drainRegistrations().find(({ op }) => op === 'block');
      return block?.op === 'block' ? block.address : NaN;
    };
    const scope = stats.scope('a');
    const first = addressOf('a');
    scope.release();
    const early = stats.block(FAMILY, 'b');
    expect(early.base).not.toBe(first);
    stats.drainRegistrations();
    const reused = stats.block(FAMILY, 'c');
    expect(reused.base).toBe(first);
    expect(reused.get(FAMILY.at.rq_total)).toBe(0);
  });
});
