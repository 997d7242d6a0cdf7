import { beforeEach, describe, expect, test } from 'vitest';
import type { ClusterModel, EndpointModel, HostSetModel, LocalityModel } from '../../../src/config/cluster-model.ts';
import { SeededRandom } from '../../../src/lib/random.ts';
import { SharedCells } from '../../../src/lib/shared-cells.ts';
import { CLUSTER_GENERATION_CELL, clusterCellCount } from '../../../src/proxy/upstream/circuit-breaker.ts';
import { Dispatcher } from '../../../src/proxy/dispatcher.ts';
import type { DrainablePool, DrainableTcpPool } from '../../../src/proxy/upstream/cluster.ts';
import { ClusterSet } from '../../../src/proxy/upstream/cluster-set.ts';
import { HOST_CELLS, HostHealthFlag, hostCellCount } from '../../../src/proxy/upstream/host-cells.ts';
import { ThreadStats } from '../../../src/telemetry/stats/arena.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { PlainContext, clusterModel, endpoint, hostSet, locality } from '../../support/upstream-models.ts';

let shared: SharedCells;
let stats: ThreadStats;
let clusters: ClusterSet;
let slots: Map<string, number>;
let drained: string[];

beforeEach(() => {
  shared = new SharedCells([], 1);
  stats = new ThreadStats();
  slots = new Map();
  drained = [];
  clusters = new ClusterSet({
    shared,
    lane: 0,
    random: new SeededRandom(11),
    stats,
    dispatcher: new Dispatcher(new FakeClock()),
    pools: {
      createPool: ({ host }): DrainablePool => ({
        newStream: () => undefined,
        cancel: () => {},
        drain: () => drained.push(host.address),
      }),
      createTcpPool: ({ host }): DrainableTcpPool => ({
        newConnection: () => {},
        cancel: () => {},
        drain: () => drained.push(`tcp ${host.address}`),
        closeConnections: () => drained.push(`closed ${host.address}`),
      }),
    },
  });
});

/** Every address keeps its cells, as the control thread sees to. */
function hostsOf(endpoints: readonly EndpointModel[], localities?: readonly LocalityModel[]): HostSetModel {
  const hosts = endpoints.map((model) => {
    const key = JSON.stringify(model.address);
    if (!slots.has(key)) slots.set(key, shared.allocate(hostCellCount(1)));
    return { ...model, sharedSlot: slots.get(key)! };
  });
  return hostSet('backend', hosts, localities);
}

function apply(model: Partial<ClusterModel>, hosts: HostSetModel): ClusterModel {
  const complete = clusterModel({ sharedSlot: shared.allocate(clusterCellCount(1)), ...model });
  clusters.apply({ clusters: { set: [complete], remove: [] }, hosts: [hosts] });
  return complete;
}

const cluster = () => clusters.get('backend')!;
const pick = (context = new PlainContext()): string | undefined => cluster().pickHost(context)?.address;
const setHealth = (address: string, flags: number, model: ClusterModel): void => {
  const host = [...clusters.values()][0]!.hosts.find((one) => one.address === address)!;
  shared.store(host.sharedSlot + HOST_CELLS.health, flags);
  shared.add(model.sharedSlot + CLUSTER_GENERATION_CELL, 1);
};
const distribution = (count: number): Record<string, number> => {
  const found: Record<string, number> = {};
  for (let i = 0; i < count; i++) {
    const address = pick() ?? 'none';
    found[address] = (found[address] ?? 0) + 1;
  }
  return found;
};

describe('ClusterSet', () => {
  test('a cluster without hosts has none to pick, and counts it', () => {
    apply({}, hostsOf([]));
    expect(pick()).toBeUndefined();
    expect(stats.value('cluster.backend.upstream_cx_none_healthy')).toBe(1);
    expect(clusters.get('other')).toBeUndefined();
  });

  test('hosts that stay keep their object and pools; those that go drain', () => {
    apply({}, hostsOf([endpoint('10.0.0.1:80'), endpoint('10.0.0.2:80')]));
    const hosts = [...clusters.values()][0]!.hosts;
    const pool = cluster().pool(hosts[0]!, 'default');
    cluster().pool(hosts[1]!, 'high');
    clusters.apply({ hosts: [hostsOf([endpoint('10.0.0.1:80', { weight: 5 }), endpoint('10.0.0.3:80')])] });
    const next = [...clusters.values()][0]!.hosts;
    expect(next[0]).toBe(hosts[0]);
    expect(next[0]!.weight).toBe(5);
    expect(cluster().pool(next[0]!, 'default')).toBe(pool);
    expect(drained).toEqual(['10.0.0.2:80']);
  });

  test('a host that keeps its cells at another address keeps its connections (logical DNS)', () => {
    apply({}, hostsOf([endpoint('10.0.0.1:80')]));
    const host = [...clusters.values()][0]!.hosts[0]!;
    cluster().pool(host, 'default');
    clusters.apply({
      hosts: [hostSet('backend', [{ ...endpoint('10.0.0.9:80'), sharedSlot: host.sharedSlot }])],
    });
    expect(pick()).toBe('10.0.0.9:80');
    expect(drained).toEqual([]);
  });

  test('a replaced cluster and a removed one drain, and stats go with the last', () => {
    apply({}, hostsOf([endpoint('10.0.0.1:80')]));
    const before = cluster();
    cluster().pool([...clusters.values()][0]!.hosts[0]!, 'default');
    apply({ connectTimeoutMs: 1 }, hostsOf([endpoint('10.0.0.1:80')]));
    expect(cluster()).not.toBe(before);
    expect(drained).toEqual(['10.0.0.1:80']);
    expect(stats.value('cluster.backend.upstream_rq_total')).toBe(0);
    clusters.apply({ clusters: { set: [], remove: ['backend', 'unknown'] } });
    expect(clusters.get('backend')).toBeUndefined();
    expect(stats.value('cluster.backend.upstream_rq_total')).toBeUndefined();
  });

  test('a change of health flags is noticed at the next pick', () => {
    const model = apply({}, hostsOf([1, 2, 3].map((last) => endpoint(`10.0.0.${last}:80`))));
    setHealth('10.0.0.2:80', HostHealthFlag.failedActiveHc, model);
    expect(distribution(100)).toEqual({ '10.0.0.1:80': 50, '10.0.0.3:80': 50 });
    // Two of three unhealthy: below the panic threshold, so all are used.
    setHealth('10.0.0.1:80', HostHealthFlag.failedEdsHealth, model);
    expect(Object.keys(distribution(99)).length).toBe(3);
    expect(stats.value('cluster.backend.lb_healthy_panic')).toBe(99);
  });

  test('panic without traffic, when the cluster asks for that', () => {
    const model = apply({ failTrafficOnPanic: true }, hostsOf([endpoint('10.0.0.1:80')]));
    setHealth('10.0.0.1:80', HostHealthFlag.failedOutlierCheck, model);
    expect(pick()).toBeUndefined();
  });

  test('traffic spills over to the next priority as the first loses health', () => {
    const model = apply(
      {},
      hostsOf([...[1, 2, 3, 4].map((last) => endpoint(`10.0.0.${last}:80`)), endpoint('10.0.1.1:80', { priority: 1 })]),
    );
    expect(distribution(50)['10.0.1.1:80']).toBeUndefined();
    setHealth('10.0.0.1:80', HostHealthFlag.failedActiveHc, model);
    setHealth('10.0.0.2:80', HostHealthFlag.failedActiveHc, model);
    const second = distribution(2000)['10.0.1.1:80']!;
    expect(Math.abs(second - 600)).toBeLessThan(80);
  });

  test('localities share by weight, shrunk by their health', () => {
    const localities = [locality({ zone: 'a', weight: 3 }), locality({ zone: 'b', weight: 1 })];
    const model = apply(
      { localityWeighted: true },
      hostsOf(
        [
          endpoint('10.0.0.1:80'),
          endpoint('10.0.0.2:80'),
          endpoint('10.0.1.1:80', { locality: 1 }),
          endpoint('10.0.1.2:80', { locality: 1 }),
        ],
        localities,
      ),
    );
    expect(distribution(800)).toEqual({
      '10.0.0.1:80': 300,
      '10.0.0.2:80': 300,
      '10.0.1.1:80': 100,
      '10.0.1.2:80': 100,
    });
    // 3 * min(1, 1.4 * 1/2) = 2.1 to 1.
    setHealth('10.0.0.1:80', HostHealthFlag.failedActiveHc, model);
    const counts = distribution(3100);
    expect(Math.abs(counts['10.0.0.2:80']! - 2100)).toBeLessThan(5);
    expect([...clusters.values()][0]!.hosts[2]!.zone).toBe('b');
  });

  test('an override host is taken if its health allows, strictly or not', () => {
    const model = apply({}, hostsOf([endpoint('10.0.0.1:80'), endpoint('10.0.0.2:80'), endpoint('10.0.0.3:80')]));
    const context = new PlainContext();
    context.overrideHost = '10.0.0.2:80';
    expect([pick(context), pick(context)]).toEqual(['10.0.0.2:80', '10.0.0.2:80']);
    setHealth('10.0.0.2:80', HostHealthFlag.failedActiveHc, model);
    expect(pick(context)).not.toBe('10.0.0.2:80');
    context.overrideHostStrict = true;
    expect(pick(context)).toBeUndefined();
  });

  test('a rejected host is tried again so many times, then taken after all', () => {
    apply({}, hostsOf([endpoint('10.0.0.1:80'), endpoint('10.0.0.2:80')]));
    const context = new PlainContext();
    context.rejected.add('10.0.0.1:80');
    expect(new Set([pick(context), pick(context), pick(context)])).toEqual(new Set(['10.0.0.2:80']));
    context.rejected.add('10.0.0.2:80');
    expect(pick(context)).toBeDefined();
  });

  test('responses are counted by code, class and origin', () => {
    apply({}, hostsOf([]));
    cluster().chargeResponse(200, false, false);
    cluster().chargeResponse(503, true, true);
    const values = [
      'upstream_rq_completed',
      'upstream_rq_200',
      'upstream_rq_2xx',
      'external.upstream_rq_200',
      'external.upstream_rq_completed',
      'internal.upstream_rq_5xx',
      'canary.upstream_rq_503',
    ].map((name) => stats.value(`cluster.backend.${name}`));
    expect(values).toEqual([2, 1, 1, 1, 1, 1, 1]);
    expect(stats.value('cluster.backend.canary.upstream_rq_200')).toBeUndefined();
  });
});
