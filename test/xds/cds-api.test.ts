import { describe, expect, test } from 'vitest';
import { ClusterRig, assignmentJson, clusterBytes, edsClusterJson } from '../support/cluster-rig.ts';

const staticCluster = (name: string, fields = {}) => ({
  name,
  connect_timeout: '1s',
  load_assignment: {
    endpoints: [
      { lb_endpoints: [{ endpoint: { address: { socket_address: { address: '10.0.0.1', port_value: 80 } } } }] },
    ],
    cluster_name: name,
  },
  ...fields,
});

const manager = (rig: ClusterRig, ...names: string[]) =>
  names.map((name) => rig.stats.value(`cluster_manager.${name}`) ?? 0);

describe('CdsApi', () => {
  test('adds, replaces and removes clusters, and counts', async () => {
    const rig = await ClusterRig.start();
    expect(rig.initialized).toBe(false);
    expect(await rig.deliverClusters('1', { a: staticCluster('a'), b: staticCluster('b') })).toBe('');
    expect([rig.initialized, rig.held]).toEqual([true, { a: ['10.0.0.1:80'], b: ['10.0.0.1:80'] }]);
    expect(await rig.deliverClusters('2', { a: staticCluster('a', { connect_timeout: '7s' }) }, ['b'])).toBe('');
    expect(Object.keys(rig.held)).toEqual(['a']);
    expect(rig.clusters.get('a')!.connectTimeoutMs).toBe(7000);
    expect(manager(rig, 'cluster_added', 'cluster_modified', 'cluster_removed', 'active_clusters')).toEqual([
      2, 1, 1, 1,
    ]);
    expect(manager(rig, 'cds.update_success', 'cds.update_rejected')).toEqual([2, 0]);
  });

  test('what comes again unchanged is nothing at all', async () => {
    const rig = await ClusterRig.start();
    await rig.deliverClusters('1', { a: staticCluster('a'), b: staticCluster('b') });
    const [first] = [...rig.cds.describe()];
    rig.clock.advance(1000);
    const { length } = rig.deltas;
    await rig.deliverClusters('2', { a: staticCluster('a'), b: staticCluster('b') });
    expect(rig.deltas.length).toBe(length);
    expect([...rig.cds.describe()][0]).toEqual(first);
    expect(rig.cds.versionInfo).toBe('1');
    expect(manager(rig, 'cluster_modified', 'cds.update_success')).toEqual([0, 2]);
  });

  test('names every cluster it refuses, and uses the others', async () => {
    const rig = await ClusterRig.start();
    await rig.deliverClusters('1', { x: staticCluster('x') });
    const error = await rig.deliverClusters('2', {
      good: staticCluster('good'),
      bad: { ...edsClusterJson('bad'), eds_cluster_config: {} },
      x: staticCluster('x', { lb_policy: 'CLUSTER_PROVIDED' }),
    });
    expect(error).toBe(
      'Error adding/updating cluster(s) bad: eds_cluster_config: cannot create an EDS cluster without an EDS config, ' +
        "x: lb_policy: cluster provided LB specified but cluster 'x' did not provide one. Check cluster documentation.",
    );
    expect(Object.keys(rig.held)).toEqual(['good', 'x']);
    expect(rig.clusters.get('x')!.loadBalancer.policy).toBe('round-robin');
    expect(rig.cds.failures.get('bad')).toMatchObject({ versionInfo: '2', message: { name: 'bad' } });
    const x = [...rig.cds.describe()].find(({ name }) => name === 'x')!;
    expect([x.versionInfo, x.state, x.error?.details]).toEqual(['1', 'active', rig.cds.failures.get('x')!.details]);
    expect(manager(rig, 'cds.update_rejected')).toEqual([1]);
    await rig.deliverClusters('3', { x: staticCluster('x') });
    expect(rig.cds.failures.size).toBe(0);
  });

  test('a response that breaks the rules of its messages is refused as a whole', async () => {
    const rig = await ClusterRig.start();
    const error = await rig.deliverClusters('1', {
      good: staticCluster('good'),
      bad: staticCluster('bad', { connect_timeout: '-1s' }),
      worse: { name: 'worse', cluster_type: { name: '' } },
    });
    expect(error).toMatch(/bad: .*connect_timeout: expected a positive duration/);
    expect(error).toMatch(/worse: /);
    expect([rig.held, rig.initialized]).toEqual([{}, true]);
  });

  test('refuses bytes that are no cluster, and a cluster that comes twice', async () => {
    const rig = await ClusterRig.start();
    const garbled = { name: 'g', version: '', value: new Uint8Array([0x0a, 0x7f]) };
    expect(await rig.deliver('cds', { version: '1', set: [garbled], removed: [] })).toBe(
      'Unable to parse the Cluster g',
    );
    const twice = { name: 'a', version: '', value: clusterBytes(staticCluster('a')) };
    expect(await rig.deliver('cds', { version: '1', set: [twice, twice], removed: [] })).toBe(
      'Error adding/updating cluster(s) a: duplicate cluster a found',
    );
    expect(Object.keys(rig.held)).toEqual(['a']);
  });

  test('leaves the clusters of the bootstrap alone', async () => {
    const rig = await ClusterRig.start();
    const own = await ClusterRig.start();
    await own.deliverClusters('1', { boot: staticCluster('boot') });
    rig.registry.set(own.registry.find('boot').active!, false);
    expect(await rig.deliverClusters('1', { boot: staticCluster('boot', { connect_timeout: '9s' }) })).toBe('');
    await rig.deliverClusters('2', {}, ['boot']);
    expect(rig.clusters.get('boot')!.connectTimeoutMs).toBe(1000);
    expect([...rig.cds.describe()]).toEqual([]);
  });

  test('shows an old version as active while the new one warms', async () => {
    const rig = await ClusterRig.start();
    await rig.deliverClusters('1', { a: edsClusterJson('a') });
    const states = () => [...rig.cds.describe()].map(({ state, versionInfo }) => `${state} ${versionInfo}`);
    expect(states()).toEqual(['warming 1']);
    await rig.deliverEndpoints('1', assignmentJson('a', ['10.0.0.1:80']));
    expect(states()).toEqual(['active 1']);
    await rig.deliverClusters('2', { a: edsClusterJson('a', { connect_timeout: '2s' }) });
    await rig.deliverClusters('3', { a: edsClusterJson('a', { connect_timeout: '3s' }) });
    expect(states()).toEqual(['active 1', 'warming 3']);
    await rig.deliverEndpoints('2', assignmentJson('a', ['10.0.0.2:80']));
    expect(states()).toEqual(['active 3']);
  });

  test('names what it lacks in the log, not in a refusal', async () => {
    const rig = await ClusterRig.start();
    const outlier = staticCluster('a', { outlier_detection: {} });
    expect(await rig.deliverClusters('1', { a: outlier })).toBe('');
    expect(rig.logged.join('\n')).toMatch(/cluster 'a': unsupported: outlier_detection/);
  });
});
