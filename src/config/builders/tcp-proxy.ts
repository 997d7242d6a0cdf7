import type {
  TcpProxy,
  TcpProxy_TunnelingConfig as TunnelingConfig,
  TcpProxy_WeightedCluster_ClusterWeight as ClusterWeight,
} from '../../api/generated/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js';
import type { HashPolicy } from '../../api/generated/envoy/type/v3/hash_policy_pb.js';
import type { Metadata } from '../../filters/stream-info.ts';
import { checkFormatString } from '../../telemetry/access-log/check-format.ts';
import type { Problems } from '../problem.ts';
import type {
  TcpClusterWeightModel,
  TcpHashPolicyModel,
  TcpProxyModel,
  TcpTunnelingModel,
} from '../tcp-proxy-model.ts';
import { buildAccessLogs } from './access-log.ts';
import { durationMs } from '../../api/duration.ts';
import { buildHeaderValueOptions, buildMetadata } from './common.ts';
import type { ListenerBuildContext } from './listener-context.ts';
import { reportUnsupportedFields } from './unsupported-fields.ts';

export const TCP_PROXY = 'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy';

const FIELDS = [
  'stat_prefix',
  'cluster',
  'weighted_clusters',
  'metadata_match',
  'idle_timeout',
  'access_log',
  'max_connect_attempts',
  'hash_policy',
  'tunneling_config',
  'max_downstream_connection_duration',
  'access_log_flush_interval',
  'flush_access_log_on_connected',
  'access_log_options',
  'backoff_options',
  'proxy_protocol_tlvs',
  'max_downstream_connection_duration_jitter_percentage',
];
const HOUR_MS = 3_600_000;
/** The namespace of what load balancers match hosts with. */
const ENVOY_LB = 'envoy.lb';

/** extensions.filters.network.tcp_proxy.v3.TcpProxy; `problems` stands at it. The message has passed the rules of its descriptor. */
export function buildTcpProxy(message: TcpProxy, problems: Problems, context: ListenerBuildContext): TcpProxyModel {
  reportUnsupportedFields(context.types, message, FIELDS, problems);
  const metadataMatch = buildMetadata(message.metadataMatch, problems.at('metadata_match'));
  const clusters = buildClusters(message, metadataMatch, problems);
  const totalWeight = clusters.reduce((sum, { weight }) => sum + weight, 0);
  const log = message.accessLogOptions;
  if (log !== undefined && message.flushAccessLogOnConnected)
    problems.error('Only one of flush_access_log_on_connected or access_log_options can be specified.');
  if (log !== undefined && message.accessLogFlushInterval !== undefined)
    problems.error('Only one of access_log_flush_interval or access_log_options can be specified.');
  return {
    statPrefix: message.statPrefix,
    clusters,
    totalWeight,
    idleTimeoutMs: durationMs(message.idleTimeout) ?? HOUR_MS,
    maxDownstreamConnectionDurationMs: durationMs(message.maxDownstreamConnectionDuration) ?? 0,
    maxConnectAttempts: message.maxConnectAttempts ?? 1,
    backOff: buildBackOff(message, problems.at('backoff_options')),
    durationJitterPercent: message.maxDownstreamConnectionDurationJitterPercentage?.value ?? 0,
    proxyProtocolTlvs: message.proxyProtocolTlvs.map(({ type, value }) => ({ type, value })),
    metadataMatch,
    hashPolicies: message.hashPolicy.flatMap(buildHashPolicy),
    tunneling:
      message.tunnelingConfig === undefined
        ? undefined
        : buildTunneling(message.tunnelingConfig, problems.at('tunneling_config')),
    accessLogs: buildAccessLogs(message.accessLog, problems.at('access_log')),
    accessLogFlushIntervalMs: durationMs(log?.accessLogFlushInterval ?? message.accessLogFlushInterval) ?? 0,
    flushAccessLogOnConnected: log?.flushAccessLogOnConnected ?? message.flushAccessLogOnConnected,
  };
}

/** As in Envoy, the longest wait is ten times the shortest unless it is set. */
function buildBackOff({ backoffOptions }: TcpProxy, problems: Problems): TcpProxyModel['backOff'] {
  if (backoffOptions === undefined) return undefined;
  const baseMs = durationMs(backoffOptions.baseInterval) ?? 0;
  const maxMs = durationMs(backoffOptions.maxInterval) ?? baseMs * 10;
  if (maxMs < baseMs) problems.error('max_interval must be greater than or equal to the base_interval');
  return { baseMs, maxMs };
}

function buildClusters(
  { clusterSpecifier }: TcpProxy,
  metadataMatch: Metadata | undefined,
  problems: Problems,
): TcpClusterWeightModel[] {
  if (clusterSpecifier.case === 'weightedClusters') {
    const at = problems.at('weighted_clusters').at('clusters');
    return clusterSpecifier.value.clusters.map((entry, index) => buildWeight(entry, metadataMatch, at.at(index)));
  }
  return [{ name: clusterSpecifier.value ?? '', weight: 1, metadataMatch }];
}

/** The metadata of a weighted cluster is added to that of the filter, and wins. */
function buildWeight(message: ClusterWeight, common: Metadata | undefined, problems: Problems): TcpClusterWeightModel {
  const own = buildMetadata(message.metadataMatch, problems.at('metadata_match'));
  const metadataMatch =
    own === undefined || common === undefined
      ? (own ?? common)
      : { ...common, ...own, [ENVOY_LB]: { ...(common[ENVOY_LB] as object), ...(own[ENVOY_LB] as object) } };
  return { name: message.name, weight: message.weight, metadataMatch };
}

function buildHashPolicy({ policySpecifier: specifier }: HashPolicy): TcpHashPolicyModel[] {
  if (specifier.case === 'sourceIp') return [{ kind: 'source-ip' }];
  return specifier.case === 'filterState' ? [{ kind: 'filter-state', key: specifier.value.key }] : [];
}

function buildTunneling(message: TunnelingConfig, problems: Problems): TcpTunnelingModel {
  if (!message.usePost && message.postPath !== '') problems.error("Can't set a post path when POST method isn't used");
  checkFormatString(message.hostname, problems.at('hostname'));
  return {
    hostname: message.hostname,
    usePost: message.usePost,
    postPath: message.postPath === '' ? '/' : message.postPath,
    headersToAdd: buildHeaderValueOptions(message.headersToAdd, problems.at('headers_to_add')),
    propagateResponseHeaders: message.propagateResponseHeaders,
    propagateResponseTrailers: message.propagateResponseTrailers,
  };
}
