import { beforeEach, describe, expect, test } from 'vitest';
import { SeededRandom } from '../../../src/lib/random.ts';
import { SharedCells } from '../../../src/lib/shared-cells.ts';
import { SharedCircuitBreaker, readBreaker } from '../../../src/proxy/upstream/circuit-breaker.ts';
import { ClusterRegistry, type ClusterDelta } from '../../../src/proxy/upstream/cluster-registry.ts';
import { CLUSTER_STATS } from '../../../src/proxy/upstream/cluster-stats.ts';
import type { DnsAnswer } from '../../../src/proxy/upstream/discovery/dns-resolver.ts';
import { UpstreamHost } from '../../../src/proxy/upstream/host.ts';
import type { BuiltCluster } from '../../../src/config/cluster-model.ts';
import { ThreadStats } from '../../../src/telemetry/stats/arena.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { assignment, clusterModel, endpoint, staticCluster, thresholds } from '../../support/upstream-models.ts';

let clock: FakeClock;
let cells: SharedCells;
let stats: ThreadStats;
let registry: ClusterRegistry;
let deltas: ClusterDelta[];
let answers: PromiseWithResolvers<DnsAnswer>[];

beforeEach(() => {
  clock = new FakeClock();
  cells = new SharedCells([], 2);
  stats = new ThreadStats();
  deltas = [];
  answers = [];
  registry = new ClusterRegistry({
    clock,
    random: new SeededRandom(1),
    cells,
    stats,
    resolver: () => ({
      resolve: () => {
        const answer = Promise.withResolvers<DnsAnswer>();
        answers.push(answer);
        return answer.promise;
      },
    }),
    onDelta: (delta) => deltas.push(delta),
  });
});

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const found = (...addresses: string[]): DnsAnswer => ({
  kind: 'found',
  records: addresses.map((address) => ({ address, ttlMs: undefined })),
});
const one = assignment([endpoint('10.0.0.1:80')]);

function dnsCluster(kind: 'strict-dns' | 'logical-dns', waitForWarmOnInit = true): BuiltCluster {
  return {
    model: clusterModel({ name: 'names', discoveryType: kind === 'strict-dns' ? 'STRICT_DNS' : 'LOGICAL_DNS' }),
    discovery: {
      kind,
      assignment: assignment([endpoint('a.test:80')]),
      dns: {
        lookupFamily: 'V4_ONLY',
        refreshRateMs: 5000,
        minRefreshRateMs: 0,
        jitterMs: 0,
        failureRefresh: undefined,
        respectTtl: false,
        resolvers: [],
      },
    },
    waitForWarmOnInit,
    ignoreHealthOnHostRemoval: false,
    secrets: [],
  };
}

const manager = (...names: string[]): (number | undefined)[] =>
  names.map((name) => stats.value(`cluster_manager.${name}`));
const members = (cluster: string): (number | undefined)[] =>
  ['total', 'healthy', 'degraded', 'change'].map((name) => stats.value(`cluster.${cluster}.membership_${name}`));

describe('ClusterRegistry', () => {
  test('static clusters of one job of the event loop leave in one delta, with their hosts', async () => {
    registry.set(staticCluster({ name: 'a' }, one), false);
    registry.set(staticCluster({ name: 'b' }, one), true);
    expect(deltas).toEqual([]);
    await registry.initialized();
    await settle();
    expect(deltas.length).toBe(1);
    const [delta] = deltas;
    expect(delta!.clusters!.set.map(({ name }) => name)).toEqual(['a', 'b']);
    expect(delta!.hosts!.map(({ cluster, hosts }) => [cluster, hosts.length])).toEqual([
      ['a', 1],
      ['b', 1],
    ]);
    const slots = [
      ...delta!.clusters!.set.map(({ sharedSlot }) => sharedSlot),
      ...delta!.hosts!.flatMap(({ hosts }) => hosts.map(({ sharedSlot }) => sharedSlot)),
    ];
    expect(new Set(slots).size).toBe(4);
    expect(manager('cluster_added', 'active_clusters', 'warming_clusters')).toEqual([2, 2, 0]);
    expect(members('a')).toEqual([1, 1, 0, 1]);
    expect([...registry.statuses()].map(({ name, addedViaApi }) => [name, addedViaApi])).toEqual([
      ['a', false],
      ['b', true],
    ]);
  });

  test('a cluster warms until its name is resolved', async () => {
    registry.set(dnsCluster('strict-dns'), false);
    let ready = false;
    void registry.initialized().then(() => (ready = true));
    await settle();
    expect([ready, deltas.length, registry.warmingNames]).toEqual([false, 0, ['names']]);
    expect(manager('active_clusters', 'warming_clusters')).toEqual([0, 1]);
    answers[0]!.resolve(found('10.0.0.1', '10.0.0.2', '10.0.0.1'));
    await settle();
    expect(ready).toBe(true);
    expect(deltas[0]!.hosts![0]!.hosts.length).toBe(2);
    expect(members('names')).toEqual([2, 2, 0, 1]);
    expect(stats.value('cluster.names.max_host_weight')).toBe(1);
  });

  test('a cluster that need not warm is there at once, without hosts', async () => {
    registry.set(dnsCluster('strict-dns', false), false);
    await settle();
    expect(deltas[0]!.hosts![0]!.hosts).toEqual([]);
    answers[0]!.resolve(found('10.0.0.1'));
    await settle();
    expect(deltas[1]).toMatchObject({ clusters: { set: [], remove: [] } });
    expect(deltas[1]!.hosts![0]!.hosts.length).toBe(1);
  });

  test('a host keeps its cells as long as its address stays; an unchanged list is no change', async () => {
    registry.set(dnsCluster('strict-dns'), false);
    answers[0]!.resolve(found('10.0.0.1', '10.0.0.2'));
    await settle();
    const [first, second] = deltas[0]!.hosts![0]!.hosts;
    clock.advance(5000);
    answers[1]!.resolve(found('10.0.0.1', '10.0.0.2'));
    await settle();
    expect(deltas.length).toBe(1);
    expect(stats.value('cluster.names.update_no_rebuild')).toBe(1);
    clock.advance(5000);
    answers[2]!.resolve(found('10.0.0.2', '10.0.0.3'));
    await settle();
    const hosts = deltas[1]!.hosts![0]!.hosts;
    expect(hosts[0]!.sharedSlot).toBe(second!.sharedSlot);
    expect(hosts[1]!.sharedSlot).not.toBe(first!.sharedSlot);
    expect(members('names')).toEqual([2, 2, 0, 2]);
    expect(manager('cluster_updated')).toEqual([1]);
  });

  test('the host of a logical DNS cluster keeps its cells at a new address', async () => {
    registry.set(dnsCluster('logical-dns'), false);
    answers[0]!.resolve(found('10.0.0.1'));
    await settle();
    clock.advance(5000);
    answers[1]!.resolve(found('10.0.0.9'));
    await settle();
    expect(deltas[1]!.hosts![0]!.hosts[0]!.sharedSlot).toBe(deltas[0]!.hosts![0]!.hosts[0]!.sharedSlot);
    expect(members('names')).toEqual([1, 1, 0, 1]);
  });

  test('the same cluster again is nothing; a changed one replaces it when it is warm', async () => {
    expect(registry.set(staticCluster({ name: 'a' }, one), true)).toBe(true);
    await settle();
    expect(registry.set(staticCluster({ name: 'a' }, one), true)).toBe(false);
    expect(registry.set(staticCluster({ name: 'a', connectTimeoutMs: 7 }, one), true)).toBe(true);
    await settle();
    expect(deltas.length).toBe(2);
    expect(deltas[1]!.clusters!.set[0]).toMatchObject({ name: 'a', connectTimeoutMs: 7 });
    expect(manager('cluster_added', 'cluster_modified', 'active_clusters')).toEqual([1, 1, 1]);
  });

  test('while the new one warms, the old one serves', async () => {
    registry.set(staticCluster({ name: 'names' }, one), true);
    await settle();
    registry.set(dnsCluster('strict-dns'), true);
    await settle();
    expect([registry.activeNames, registry.warmingNames, deltas.length]).toEqual([['names'], ['names'], 1]);
    answers[0]!.resolve(found('10.0.0.5'));
    await settle();
    expect(deltas[1]!.clusters!.set[0]!.discoveryType).toBe('STRICT_DNS');
  });

  test('a removed cluster leaves, with its stats', async () => {
    registry.set(staticCluster({ name: 'a' }, one), true);
    await settle();
    expect([registry.remove('a'), registry.remove('a'), registry.has('a')]).toEqual([true, false, false]);
    await settle();
    expect(deltas[1]!.clusters!.remove).toEqual(['a']);
    expect(stats.value('cluster.a.membership_total')).toBeUndefined();
    expect(manager('cluster_removed', 'active_clusters')).toEqual([1, 0]);
  });

  test('a new worker starts with everything', async () => {
    registry.set(staticCluster({ name: 'a' }, one), false);
    registry.set(staticCluster({ name: 'b' }, one), false);
    expect(registry.snapshot().clusters!.set.length).toBe(2);
    registry.takeDelta();
    await settle();
    expect(deltas).toEqual([]);
    expect(registry.snapshot().hosts!.length).toBe(2);
  });

  test('health statuses become flags, numbers and what /clusters shows', async () => {
    const list = assignment([
      endpoint('10.0.0.1:80', { healthStatus: 'healthy' }),
      endpoint('10.0.0.2:80', { healthStatus: 'degraded' }),
      endpoint('10.0.0.3:80', { healthStatus: 'draining' }),
      endpoint('10.0.0.4:80', { healthStatus: 'timeout' }),
    ]);
    registry.set(staticCluster({ name: 'a' }, list), false);
    expect(members('a')).toEqual([4, 1, 1, 1]);
    const [status] = [...registry.statuses()];
    expect(status!.hosts.map(({ health }) => health.eds)).toEqual(['HEALTHY', 'DEGRADED', 'DRAINING', 'UNHEALTHY']);
  });

  test('breaker gauges follow from what all workers hold; a dead worker holds nothing', async () => {
    const model = {
      name: 'a',
      thresholds: { default: thresholds({ maxRequests: 2, trackRemaining: true }), high: thresholds() },
    };
    registry.set(staticCluster(model, one), false);
    const { clusters, hosts } = registry.snapshot();
    const { sharedSlot } = clusters!.set[0]!;
    const block = stats.block(CLUSTER_STATS, 'unused.');
    const breakers = [0, 1].map(
      (lane) => new SharedCircuitBreaker(model.thresholds.default, 'default', sharedSlot, lane, cells, block),
    );
    const host = new UpstreamHost(hosts![0]!.hosts[0]!, undefined, cells, 1);
    for (const breaker of breakers) breaker.tryRequest();
    host.requestStarted();
    registry.refreshStats();
    const gauge = (name: string): number | undefined => stats.value(`cluster.a.circuit_breakers.default.${name}`);
    expect([gauge('rq_open'), gauge('remaining_rq'), gauge('cx_open'), gauge('remaining_cx')]).toEqual([1, 0, 0, 1024]);
    registry.settleLane(1);
    registry.refreshStats();
    expect([gauge('rq_open'), gauge('remaining_rq')]).toEqual([0, 1]);
    expect(readBreaker(cells, sharedSlot, 'default').requests).toBe(1);
    const [status] = [...registry.statuses()];
    expect(status!.hosts[0]!.stats).toMatchObject({ rqActive: 0, rqTotal: 1 });
  });

  test('cells of what is gone are used again after a time, unless something is still in flight', async () => {
    registry.set(staticCluster({ name: 'a' }, one), true);
    const { clusters, hosts } = registry.snapshot();
    const slot = hosts![0]!.hosts[0]!.sharedSlot;
    const host = new UpstreamHost(hosts![0]!.hosts[0]!, undefined, cells, 0);
    host.connectionStarted();
    registry.remove('a');
    clock.advance(61_000);
    registry.set(staticCluster({ name: 'b' }, one), true);
    expect(registry.snapshot().clusters!.set[0]!.sharedSlot).toBe(clusters!.set[0]!.sharedSlot);
    expect(registry.snapshot().hosts![0]!.hosts[0]!.sharedSlot).not.toBe(slot);
    host.connectionEnded();
    clock.advance(61_000);
    registry.set(staticCluster({ name: 'c' }, one), true);
    expect(registry.snapshot().hosts![1]!.hosts[0]!.sharedSlot).toBe(slot);
  });

  test('after close nothing is said any more', async () => {
    registry.set(dnsCluster('strict-dns'), false);
    const waiting = registry.initialized();
    registry.close();
    await waiting;
    answers[0]!.resolve(found('10.0.0.1'));
    await settle();
    expect(deltas).toEqual([]);
    expect(clock.pending).toBe(0);
  });
});
