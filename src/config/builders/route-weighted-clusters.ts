import {
  WeightedCluster_ClusterWeightSchema,
  WeightedClusterSchema,
  type WeightedCluster,
  type WeightedCluster_ClusterWeight,
} from '../../api/generated/envoy/config/route/v3/route_components_pb.js';
import type { Problems } from '../problem.ts';
import type { ClusterWeightModel, WeightedClustersModel } from '../route-model.ts';
import { reportUnsupported } from '../unsupported.ts';
import { buildMetadata } from './common.ts';
import type { RouteBuild } from './route-context.ts';
import { buildRouteScope, ROUTE_SCOPE_FIELDS } from './route-scope.ts';

const MAX_TOTAL = 0xffff_ffff;

/** route.v3.WeightedCluster. */
export function buildWeightedClusters(
  message: WeightedCluster,
  routeName: string,
  build: RouteBuild,
  problems: Problems,
): WeightedClustersModel {
  // Envoy has stopped reading total_weight: the sum of the weights is the total.
  reportUnsupported(
    WeightedClusterSchema,
    message,
    ['clusters', 'total_weight', 'runtime_key_prefix', 'header_name'],
    problems,
  );
  const models = message.clusters.map((weight, index) =>
    buildClusterWeight(weight, build, problems.at('clusters').at(index)),
  );
  const totalWeight = models.reduce((sum, { weight }) => sum + weight, 0);
  if (totalWeight > MAX_TOTAL)
    problems.error(`The sum of weights of all weighted clusters of route ${routeName} exceeds ${MAX_TOTAL}`);
  if (totalWeight === 0) problems.error('Sum of weights in the weighted_cluster must be greater than 0.');
  return {
    clusters: models,
    totalWeight,
    runtimeKeyPrefix: message.runtimeKeyPrefix,
    headerName: message.randomValueSpecifier.value?.toLowerCase() ?? '',
  };
}

function buildClusterWeight(
  message: WeightedCluster_ClusterWeight,
  build: RouteBuild,
  problems: Problems,
): ClusterWeightModel {
  reportUnsupported(
    WeightedCluster_ClusterWeightSchema,
    message,
    [...ROUTE_SCOPE_FIELDS, 'name', 'cluster_header', 'weight', 'metadata_match', 'host_rewrite_literal'],
    problems,
  );
  const { name, clusterHeader, weight, hostRewriteSpecifier } = message;
  if (name === '' && clusterHeader === '')
    problems.error('At least one of name or cluster_header need to be specified');
  if (name !== '' && clusterHeader !== '') problems.error('Only one of name or cluster_header can be specified');
  if (weight === undefined) problems.at('weight').error('value is required');
  if (name !== '') build.addCluster(name, '', problems.at('name'));
  return {
    ...buildRouteScope(message, build.context, problems),
    name,
    clusterHeader: clusterHeader.toLowerCase(),
    weight: weight ?? 0,
    metadataMatch: buildMetadata(message.metadataMatch, problems.at('metadata_match')),
    hostRewrite: hostRewriteSpecifier.value === '' ? undefined : hostRewriteSpecifier.value,
  };
}
