import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { ClusterSchema } from '../../src/api/generated/envoy/config/cluster/v3/cluster_pb.js';
import { Problems } from '../../src/config/problem.ts';
import { reportUnsupported } from '../../src/config/unsupported.ts';

test('names each set field that is not in the list, once', () => {
  const cluster = create(ClusterSchema, {
    name: 'a',
    altStatName: 'b',
    lbSubsetConfig: {},
    filters: [{ name: 'x' }],
    respectDnsTtl: false,
    connectTimeout: { seconds: 1n },
    clusterDiscoveryType: { case: 'type', value: 0 },
  });
  const problems = new Problems('clusters[3]');
  reportUnsupported(ClusterSchema, cluster, ['name', 'connect_timeout'], problems);
  expect(problems.list.map((problem) => `${problem.severity} ${problem.path}`)).toEqual([
    'unsupported clusters[3].alt_stat_name',
    'unsupported clusters[3].type',
    'unsupported clusters[3].lb_subset_config',
    'unsupported clusters[3].filters',
  ]);
});
