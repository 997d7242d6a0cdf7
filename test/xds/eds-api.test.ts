import { describe, expect, test } from 'vitest';
import { ClusterRig, assignmentJson, edsClusterJson, lbEndpointJson } from '../support/cluster-rig.ts';

const stat = (rig: ClusterRig, cluster: string, ...names: string[]) =>
  names.map((name) => rig.stats.value(`cluster.${cluster}.${name}`));
const warming = (rig: ClusterRig) => rig.registry.warmingNames;

describe('clusters of type EDS', () => {
  test('asks for endpoints while the clusters are being taken over, and warms until they come', async () => {
    const rig = await ClusterRig.start();
    await rig.deliverClusters('1', {
      a: edsClusterJson('a'),
      b: edsClusterJson('b', { eds_cluster_config: { eds_config: { ads: {} }, service_name: 'service' } }),
    });
    expect(rig.watched('eds')).toEqual(['a', 'service']);
    expect([warming(rig), rig.held, stat(rig, 'a', 'warming_state')]).toEqual([['a', 'b'], {}, [1]]);
    await rig.deliverEndpoints('1', assignmentJson('service', ['10.0.0.1:80', '10.0.0.2:80']));
    expect([warming(rig), rig.held]).toEqual([['a'], { b: ['10.0.0.1:80', '10.0.0.2:80'] }]);
    await rig.deliverEndpoints('2', assignmentJson('a', []));
    expect([warming(rig), rig.held['a'], stat(rig, 'a', 'warming_state')]).toEqual([[], [], [0]]);
    expect(stat(rig, 'b', 'update_success', 'update_rejected', 'membership_total')).toEqual([1, 0, 2]);
  });

  test('adds, drains, re-weights and moves endpoints; those that stay keep their cells', async () => {
    const rig = await ClusterRig.start();
    await rig.deliverClusters('1', { a: edsClusterJson('a') });
    await rig.deliverEndpoints('1', assignmentJson('a', ['10.0.0.1:80', '10.0.0.2:80']));
    const [first] = rig.hosts.get('a')!.hosts;
    const deltas = rig.deltas.length;
    await rig.deliverEndpoints('2', assignmentJson('a', ['10.0.0.1:80', '10.0.0.2:80']));
    expect(rig.deltas.length).toBe(deltas);
    await rig.deliverEndpoints('3', {
      cluster_name: 'a',
      endpoints: [
        {
          locality: { region: 'r', zone: 'z' },
          priority: 1,
          load_balancing_weight: 4,
          lb_endpoints: [
            lbEndpointJson('10.0.0.3:80', { health_status: 'DRAINING' }),
            lbEndpointJson('10.0.0.1:80', { load_balancing_weight: 5 }),
          ],
        },
      ],
      policy: { overprovisioning_factor: 200, weighted_priority_health: true },
    });
    const { hosts, localities, overprovisioningFactor, weightedPriorityHealth } = rig.hosts.get('a')!;
    expect(hosts).toMatchObject([
      { healthStatus: 'draining', priority: 1 },
      { weight: 5, priority: 1, sharedSlot: first!.sharedSlot },
    ]);
    expect(localities).toMatchObject([{ region: 'r', zone: 'z', weight: 4, priority: 1 }]);
    expect([overprovisioningFactor, weightedPriorityHealth]).toEqual([2, true]);
    expect(stat(rig, 'a', 'membership_total', 'membership_healthy', 'membership_change')).toEqual([2, 1, 2]);
    expect(stat(rig, 'a', 'update_success', 'update_no_rebuild')).toEqual([3, 1]);
  });

  test('bad endpoints are refused, and the last good ones stay', async () => {
    const rig = await ClusterRig.start();
    await rig.deliverClusters('1', { a: edsClusterJson('a'), b: edsClusterJson('b') });
    await rig.deliverEndpoints('1', assignmentJson('a', ['10.0.0.1:80']), assignmentJson('b', ['10.0.0.1:80']));
    const error = await rig.deliverEndpoints(
      '2',
      assignmentJson('a', ['nowhere:80']),
      assignmentJson('b', ['10.0.0.2:80']),
    );
    expect(error).toMatch(/^a: .*malformed IP address: nowhere/);
    expect(rig.held).toEqual({ a: ['10.0.0.1:80'], b: ['10.0.0.2:80'] });
    expect(stat(rig, 'a', 'update_success', 'update_rejected')).toEqual([1, 1]);
    const twoDrops = { policy: { drop_overloads: [{ category: 'x' }, { category: 'y' }] } };
    expect(await rig.deliverEndpoints('3', assignmentJson('a', [], twoDrops))).toMatch(
      /Cluster drop_overloads config has 2 categories. Envoy only support one./,
    );
  });

  test('says which share of requests to refuse', async () => {
    const rig = await ClusterRig.start();
    await rig.deliverClusters('1', { a: edsClusterJson('a') });
    const drop = {
      drop_overloads: [{ category: 'x', drop_percentage: { numerator: 25, denominator: 'TEN_THOUSAND' } }],
    };
    await rig.deliverEndpoints('1', assignmentJson('a', ['10.0.0.1:80'], { policy: drop }));
    expect(rig.hosts.get('a')!.dropOverload).toBe(0.0025);
    await rig.deliverEndpoints('2', assignmentJson('a', ['10.0.0.1:80']));
    expect(rig.hosts.get('a')!.dropOverload).toBe(0);
  });

  test('without endpoints in time, a new cluster goes on without', async () => {
    const rig = await ClusterRig.start();
    const quick = { eds_cluster_config: { eds_config: { ads: {}, initial_fetch_timeout: '0.5s' } } };
    const never = { eds_cluster_config: { eds_config: { ads: {}, initial_fetch_timeout: '0s' } } };
    await rig.deliverClusters('1', { a: edsClusterJson('a', quick), b: edsClusterJson('b', never) });
    rig.clock.advance(500);
    await rig.settle();
    expect([warming(rig), rig.held]).toEqual([['b'], { a: [] }]);
    expect(stat(rig, 'a', 'init_fetch_timeout', 'assignment_use_cached')).toEqual([1, 0]);
    rig.clock.advance(3_600_000);
    expect(warming(rig)).toEqual(['b']);
    await rig.deliverEndpoints('1', assignmentJson('a', ['10.0.0.1:80']));
    expect(rig.held).toEqual({ a: ['10.0.0.1:80'] });
  });

  test('a refused first answer ends the wait', async () => {
    const rig = await ClusterRig.start();
    await rig.deliverClusters('1', { a: edsClusterJson('a') });
    await rig.deliverEndpoints('1', assignmentJson('a', ['nowhere:80']));
    expect([warming(rig), rig.held]).toEqual([[], { a: [] }]);
  });

  test('a removed resource leaves the hosts alone, and ends a wait', async () => {
    const rig = await ClusterRig.start();
    await rig.deliverClusters('1', { a: edsClusterJson('a'), b: edsClusterJson('b') });
    await rig.deliverEndpoints('1', assignmentJson('a', ['10.0.0.1:80']));
    await rig.deliver('eds', { version: '2', set: [], removed: ['a', 'b'] });
    expect(rig.held).toEqual({ a: ['10.0.0.1:80'], b: [] });
    expect(stat(rig, 'b', 'update_empty')).toEqual([1]);
  });

  test('endpoints become stale when no others come in time', async () => {
    const rig = await ClusterRig.start();
    await rig.deliverClusters('1', { a: edsClusterJson('a') });
    const list = assignmentJson('a', ['10.0.0.1:80'], { policy: { endpoint_stale_after: '10s' } });
    await rig.deliverEndpoints('1', list);
    rig.clock.advance(9_000);
    await rig.deliverEndpoints('2', list);
    rig.clock.advance(9_000);
    await rig.settle();
    expect(rig.held).toEqual({ a: ['10.0.0.1:80'] });
    rig.clock.advance(1_000);
    await rig.settle();
    expect(rig.held).toEqual({ a: [] });
    expect(stat(rig, 'a', 'assignment_stale', 'assignment_timeout_received')).toEqual([1, 2]);
    await rig.deliverEndpoints('3', list);
    expect(rig.held).toEqual({ a: ['10.0.0.1:80'] });
  });

  describe('a changed cluster', () => {
    const started = async () => {
      const rig = await ClusterRig.start();
      await rig.deliverClusters('1', { a: edsClusterJson('a') });
      await rig.deliverEndpoints('1', assignmentJson('a', ['10.0.0.1:80']));
      return rig;
    };
    const changed = (seconds: number) => edsClusterJson('a', { connect_timeout: `${seconds}s` });

    test('serves when its endpoints have come anew; the former one serves until then', async () => {
      const rig = await started();
      await rig.deliverClusters('2', { a: changed(2) });
      expect([warming(rig), rig.clusters.get('a')!.connectTimeoutMs]).toEqual([['a'], 1000]);
      await rig.deliverEndpoints('2', assignmentJson('a', ['10.0.0.1:80']));
      expect([warming(rig), rig.clusters.get('a')!.connectTimeoutMs]).toEqual([[], 2000]);
      expect(rig.watched('eds')).toEqual(['a']);
    });

    test('takes over what the former one was told when nothing comes in time', async () => {
      const rig = await started();
      await rig.deliverClusters('2', { a: changed(2) });
      rig.clock.advance(15_000);
      await rig.settle();
      expect(rig.clusters.get('a')!.connectTimeoutMs).toBe(2000);
      expect(rig.held).toEqual({ a: ['10.0.0.1:80'] });
      expect(stat(rig, 'a', 'assignment_use_cached')).toEqual([1]);
    });

    test('takes over nothing from one with other endpoints', async () => {
      const rig = await started();
      const other = { eds_cluster_config: { eds_config: { ads: {} }, service_name: 'other' } };
      await rig.deliverClusters('2', { a: edsClusterJson('a', other) });
      rig.clock.advance(15_000);
      await rig.settle();
      expect(rig.held).toEqual({ a: [] });
    });

    test('that changes again while it warms is replaced; the former one still serves', async () => {
      const rig = await started();
      await rig.deliverClusters('2', { a: changed(2) });
      await rig.deliverClusters('3', { a: changed(3) });
      expect([warming(rig), rig.clusters.get('a')!.connectTimeoutMs]).toEqual([['a'], 1000]);
      await rig.deliverEndpoints('2', assignmentJson('a', ['10.0.0.2:80']));
      expect(rig.clusters.get('a')!.connectTimeoutMs).toBe(3000);
      expect(rig.held).toEqual({ a: ['10.0.0.2:80'] });
      expect(stat(rig, 'a', 'warming_state')).toEqual([0]);
    });

    test('that is removed while it warms is gone with its watches', async () => {
      const rig = await started();
      await rig.deliverClusters('2', { a: changed(2) });
      await rig.deliverClusters('3', {}, ['a']);
      expect([rig.held, warming(rig), rig.watched('eds')]).toEqual([{}, [], []]);
      rig.clock.advance(60_000);
      await rig.settle();
      expect(rig.held).toEqual({});
      expect(stat(rig, 'a', 'membership_total')).toEqual([undefined]);
    });
  });

  test('a cluster waits for its secrets as well, whichever comes first', async () => {
    const waits: { names: readonly string[]; ready: () => void; given: boolean }[] = [];
    const secrets = {
      wait(names: readonly string[], ready: () => void) {
        const entry = { names, ready, given: false };
        waits.push(entry);
        return () => (entry.given = true);
      },
    };
    const rig = await ClusterRig.start({ secrets });
    const built = async (name: string, names: readonly string[]) => {
      const scratch = await ClusterRig.start();
      await scratch.deliverClusters('1', { [name]: edsClusterJson(name) });
      rig.registry.set({ ...scratch.registry.find(name).warming!, secrets: names }, true);
    };
    await built('first', ['cert']);
    await built('second', ['cert', 'ca']);
    await built('third', ['cert']);
    expect(waits.map(({ names }) => names)).toEqual([['cert'], ['cert', 'ca'], ['cert']]);
    waits[0]!.ready();
    expect(warming(rig)).toEqual(['first', 'second', 'third']);
    await rig.deliverEndpoints('1', assignmentJson('first', []), assignmentJson('second', []));
    expect(warming(rig)).toEqual(['second', 'third']);
    waits[1]!.ready();
    expect(warming(rig)).toEqual(['third']);
    rig.registry.remove('third');
    expect(waits[2]!.given).toBe(true);
  });

  test('tells what was delivered, each resource once', async () => {
    const rig = await ClusterRig.start();
    const shared = { eds_cluster_config: { eds_config: { ads: {} }, service_name: 's' } };
    await rig.deliverClusters('1', { a: edsClusterJson('a', shared), b: edsClusterJson('b', shared) });
    await rig.deliverEndpoints('4', assignmentJson('s', ['10.0.0.1:80']));
    expect([...rig.eds.delivered()]).toMatchObject([
      { serviceName: 's', versionInfo: '4', message: { clusterName: 's', endpoints: [{}] } },
    ]);
  });
});
