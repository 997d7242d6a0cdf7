import { describe, expect, test } from 'vitest';
import { hash64 } from '../../src/lib/hash64.ts';
import { ThreadStats } from '../../src/telemetry/stats/arena.ts';
import { SUBSCRIPTION_STATS } from '../../src/telemetry/stats/subscription-stats.ts';
import { RESOURCE_TYPES } from '../../src/xds/resource-type.ts';
import type { ResourceWatcher, Verdict } from '../../src/xds/resource-update.ts';
import { Subscription, type SubscriptionTransport } from '../../src/xds/subscription.ts';
import { FakeClock } from '../support/fake-clock.ts';

const UPDATE = { version: 'v7', set: [], removed: [] };

function started(transport: SubscriptionTransport, initialFetchTimeoutMs = 15_000) {
  const clock = new FakeClock();
  const stats = new ThreadStats();
  const told: string[] = [];
  let watcher!: ResourceWatcher;
  let verdict: Verdict = '';
  const subscription = new Subscription(
    {
      typeUrl: RESOURCE_TYPES.cds,
      names: ['a'],
      stats: stats.scope('cluster_manager.cds.'),
      onUpdate: () => verdict,
      onFetchTimeout: () => void told.push('timeout'),
      onRejected: (error) => void told.push(`rejected: ${error}`),
    },
    {
      clock,
      transport,
      initialFetchTimeoutMs,
      source: {
        watch: (_type, names, given) => {
          watcher = given;
          told.push(`watch ${names?.join()}`);
          return { setNames: (next) => void told.push(`names ${next.join()}`), close: () => void told.push('unwatch') };
        },
        close: () => void told.push('close'),
      },
    },
  );
  const block = stats.block(SUBSCRIPTION_STATS, 'cluster_manager.cds.');
  return {
    clock,
    subscription,
    watcher,
    told,
    answer: (next: Verdict) => (verdict = next),
    version: () => stats.textReadout('cluster_manager.cds.version_text').value,
    counts: () =>
      Object.fromEntries(
        SUBSCRIPTION_STATS.names
          .filter((name) => name.startsWith('update_') || name === 'init_fetch_timeout')
          .filter((name) => !['update_time', 'update_duration'].includes(name))
          .map((name) => [name, block.get(SUBSCRIPTION_STATS.at[name]) + 0] as const)
          .filter(([, count]) => count !== 0),
      ),
    stat: (name: keyof typeof SUBSCRIPTION_STATS.at) => block.get(SUBSCRIPTION_STATS.at[name]),
  };
}

describe('Subscription', () => {
  test('keeps the version of the last accepted update', () => {
    const { watcher, answer, version, stat, clock } = started('stream');
    clock.advance(1000);
    expect(watcher.onUpdate(UPDATE)).toBe('');
    expect(version()).toBe('v7');
    expect(stat('version')).toBe(Number(hash64('v7')));
    expect(stat('update_time')).toBe(Math.floor(clock.epoch()));
    answer('no good');
    expect(watcher.onUpdate({ ...UPDATE, version: 'v8' })).toBe('no good');
    expect(version()).toBe('v7');
  });

  test('waits for a verdict', async () => {
    const { watcher, answer, version, counts } = started('stream');
    const { promise, resolve } = Promise.withResolvers<string>();
    answer(promise);
    const verdict = watcher.onUpdate(UPDATE);
    expect(version()).toBe('');
    resolve('');
    expect(await verdict).toBe('');
    expect(version()).toBe('v7');
    expect(counts()).toEqual({ update_attempt: 2, update_success: 1 });
  });

  // What Envoy's subscriptions of each kind count: see its GrpcSubscription, HttpSubscription, FilesystemSubscription.
  const script = (transport: SubscriptionTransport) => {
    const rig = started(transport);
    const { watcher, subscription, clock, counts } = rig;
    const seen = [counts()];
    watcher.onAttempt?.();
    watcher.onUpdate(UPDATE);
    seen.push(counts());
    watcher.onConnectionFailure?.();
    seen.push(counts());
    rig.answer('bad');
    watcher.onUpdate(UPDATE);
    watcher.onRejected?.('bad');
    seen.push(counts());
    subscription.setNames(['b']);
    seen.push(counts());
    clock.advance(20_000);
    return { attempts: seen.map(({ update_attempt = 0 }) => update_attempt), last: counts() };
  };

  test('counts as Envoy does on a state-of-the-world stream', () => {
    expect(script('stream')).toMatchObject({
      attempts: [1, 3, 4, 5, 6],
      last: { update_success: 1, update_failure: 1, update_rejected: 1 },
    });
  });

  test('counts as Envoy does on an incremental stream', () => {
    expect(script('delta').attempts).toEqual([1, 3, 4, 6, 7]);
  });

  test('counts as Envoy does when it polls', () => {
    expect(script('polled').attempts).toEqual([0, 1, 1, 1, 1]);
  });

  test('counts as Envoy does with a file', () => {
    expect(script('file').attempts).toEqual([0, 1, 1, 1, 2]);
  });

  test('a first fetch that takes too long is told once', () => {
    const { clock, told, counts, watcher } = started('stream');
    clock.advance(14_999);
    expect(told).toEqual(['watch a']);
    clock.advance(1);
    expect(told).toEqual(['watch a', 'timeout']);
    expect(counts()).toEqual({ init_fetch_timeout: 1, update_attempt: 2 });
    watcher.onUpdate(UPDATE);
    clock.advance(60_000);
    expect(told).toHaveLength(2);
  });

  test.each<[string, (watcher: ResourceWatcher) => void]>([
    ['an update', (watcher) => void watcher.onUpdate(UPDATE)],
    ['a rejection', (watcher) => watcher.onRejected?.('bad')],
  ])('%s ends the wait', (_what, happen) => {
    const { clock, watcher, told } = started('stream');
    happen(watcher);
    expect(clock.pending).toBe(0);
    expect(told).not.toContain('timeout');
  });

  test('a lost connection does not end the wait', () => {
    const { clock, watcher, told } = started('stream');
    watcher.onConnectionFailure?.();
    clock.advance(15_000);
    expect(told).toContain('timeout');
  });

  test('0 waits for ever', () => {
    const { clock } = started('stream', 0);
    expect(clock.pending).toBe(0);
  });

  test('a file that can not be read ends the wait as a failure', () => {
    const { watcher, told, counts } = started('file', 0);
    watcher.onAttempt?.();
    watcher.onUnreadable?.('no such file');
    expect(told).toContain('rejected: no such file');
    expect(counts()).toEqual({ update_attempt: 1, update_failure: 1 });
  });

  test('closes its source, once, and hears nothing more', () => {
    const { subscription, told, clock, watcher, counts } = started('stream');
    subscription.close();
    subscription.close();
    subscription.setNames(['b']);
    expect(told).toEqual(['watch a', 'unwatch', 'close']);
    expect(clock.pending).toBe(0);
    watcher.onRejected?.('late');
    expect(counts()).toEqual({ update_attempt: 1 });
  });
});
