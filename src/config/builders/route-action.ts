import { ProxyProtocolConfigSchema } from '../../api/generated/envoy/config/core/v3/proxy_protocol_pb.js';
import {
  RouteActionSchema,
  type RouteAction,
  type RouteAction_UpgradeConfig,
  type RouteAction_UpgradeConfig_ConnectConfig as ConnectConfig,
} from '../../api/generated/envoy/config/route/v3/route_components_pb.js';
import type { Problems } from '../problem.ts';
import type {
  ClusterSpecifierModel,
  ConnectModel,
  RouteActionModel,
  RouteMatchModel,
  UpgradeModel,
} from '../route-model.ts';
import { reportUnsupported } from '../unsupported.ts';
import { buildMetadata } from './common.ts';
import { buildRateLimits } from './rate-limits.ts';
import type { RouteBuild } from './route-context.ts';
import { buildHashPolicies } from './route-hash-policy.ts';
import { buildHedge, buildInternalRedirect, buildMirrors, type InheritedPolicies } from './route-policies.ts';
import { buildRetryPolicy, wholeMs } from './route-retry-policy.ts';
import { buildHostRewrite, buildPathRewrite } from './route-rewrite.ts';
import { buildWeightedClusters } from './route-weighted-clusters.ts';

const FIELDS = [
  'cluster',
  'cluster_header',
  'weighted_clusters',
  'cluster_specifier_plugin',
  'inline_cluster_specifier_plugin',
  'cluster_not_found_response_code',
  'metadata_match',
  'prefix_rewrite',
  'regex_rewrite',
  'path_rewrite_policy',
  'host_rewrite_literal',
  'auto_host_rewrite',
  'host_rewrite_header',
  'host_rewrite_path_regex',
  'append_x_forwarded_host',
  'timeout',
  'idle_timeout',
  'retry_policy',
  'request_mirror_policies',
  'priority',
  'upgrade_configs',
  'internal_redirect_policy',
  'internal_redirect_action',
  'max_internal_redirects',
  'hedge_policy',
  'max_stream_duration',
  'max_grpc_timeout',
  'grpc_timeout_offset',
  'hash_policy',
  'rate_limits',
  'include_vh_rate_limits',
];

const DEFAULT_TIMEOUT_MS = 15_000;
/** By ClusterNotFoundResponseCode's numbers. */
const NOT_FOUND_STATUSES = [503, 404, 500] as const;

/** What a route action may depend on besides its message. */
export interface RouteActionContext {
  readonly routeName: string;
  readonly match: RouteMatchModel;
  readonly build: RouteBuild;
  readonly inherited: InheritedPolicies;
  /** The route's per_request_buffer_limit_bytes. */
  readonly bufferLimitBytes: number | undefined;
}

/** route.v3.RouteAction; `problems` stands at the route's `route`. */
export function buildRouteAction(
  message: RouteAction,
  context: RouteActionContext,
  problems: Problems,
): RouteActionModel {
  reportUnsupported(RouteActionSchema, message, FIELDS, problems);
  const { inherited } = context;
  const duration = message.maxStreamDuration;
  return {
    kind: 'route',
    cluster: buildClusterSpecifier(message, context, problems),
    clusterNotFoundStatus: NOT_FOUND_STATUSES[message.clusterNotFoundResponseCode] ?? 503,
    pathRewrite: buildPathRewrite(message, context.match, problems),
    hostRewrite: buildHostRewrite(message, problems),
    appendXForwardedHost: message.appendXForwardedHost,
    priority: message.priority === 1 ? 'high' : 'default',
    timeoutMs: wholeMs(message.timeout) ?? DEFAULT_TIMEOUT_MS,
    idleTimeoutMs: wholeMs(message.idleTimeout),
    maxStreamDurationMs: wholeMs(duration?.maxStreamDuration),
    grpcTimeoutHeaderMaxMs: wholeMs(duration?.grpcTimeoutHeaderMax),
    grpcTimeoutHeaderOffsetMs: wholeMs(duration?.grpcTimeoutHeaderOffset),
    maxGrpcTimeoutMs: wholeMs(message.maxGrpcTimeout),
    grpcTimeoutOffsetMs: wholeMs(message.grpcTimeoutOffset),
    retry: message.retryPolicy ? buildRetryPolicy(message.retryPolicy, problems.at('retry_policy')) : inherited.retry,
    hedgeOnPerTryTimeout: message.hedgePolicy
      ? buildHedge(message.hedgePolicy, problems.at('hedge_policy'))
      : inherited.hedgeOnPerTryTimeout,
    requestBufferLimitBytes: context.bufferLimitBytes ?? inherited.bufferLimitBytes,
    mirrors:
      message.requestMirrorPolicies.length > 0
        ? buildMirrors(message.requestMirrorPolicies, context.build, problems.at('request_mirror_policies'))
        : inherited.mirrors,
    internalRedirect: buildInternalRedirect(message, problems),
    upgrades: buildUpgrades(message.upgradeConfigs, problems.at('upgrade_configs')),
    metadataMatch: buildMetadata(message.metadataMatch, problems.at('metadata_match')),
    hashPolicies: buildHashPolicies(message.hashPolicy),
    rateLimits: buildRateLimits(message.rateLimits, problems.at('rate_limits')),
    includeVirtualHostRateLimits: message.includeVhRateLimits ?? false,
  };
}

function buildClusterSpecifier(
  { clusterSpecifier: specifier }: RouteAction,
  { routeName, build }: RouteActionContext,
  problems: Problems,
): ClusterSpecifierModel {
  switch (specifier.case) {
    case 'cluster':
      build.addCluster(specifier.value, '', problems.at('cluster'));
      return { kind: 'cluster', name: specifier.value };
    case 'clusterHeader':
      return { kind: 'header', name: specifier.value.toLowerCase() };
    case 'weightedClusters': {
      const below = problems.at('weighted_clusters');
      return { kind: 'weighted', weighted: buildWeightedClusters(specifier.value, routeName, build, below) };
    }
    case 'clusterSpecifierPlugin':
      problems.at('cluster_specifier_plugin').error('unsupported: cluster specifier plugins are not implemented');
      break;
    case 'inlineClusterSpecifierPlugin':
      problems
        .at('inline_cluster_specifier_plugin')
        .error('unsupported: cluster specifier plugins are not implemented');
      break;
    case undefined:
      problems.error('a cluster specifier is required');
  }
  return { kind: 'cluster', name: '' };
}

function buildUpgrades(messages: readonly RouteAction_UpgradeConfig[], problems: Problems): UpgradeModel[] {
  const seen = new Set<string>();
  return messages.map((message, index) => {
    const below = problems.at(index);
    const type = message.upgradeType.toLowerCase();
    if (seen.has(type)) below.at('upgrade_type').error(`Duplicate upgrade ${message.upgradeType}`);
    seen.add(type);
    const { connectConfig } = message;
    if (type === 'connect-udp') below.at('upgrade_type').error('unsupported: CONNECT-UDP is not implemented');
    else if (connectConfig !== undefined && type !== 'connect')
      below.at('connect_config').error(`Non-CONNECT upgrade type ${message.upgradeType} has ConnectConfig`);
    return {
      type,
      enabled: message.enabled ?? true,
      connect: connectConfig && buildConnect(connectConfig, below.at('connect_config')),
    };
  });
}

function buildConnect(message: ConnectConfig, problems: Problems): ConnectModel {
  const proxyProtocol = message.proxyProtocolConfig;
  if (proxyProtocol !== undefined)
    reportUnsupported(ProxyProtocolConfigSchema, proxyProtocol, ['version'], problems.at('proxy_protocol_config'));
  return {
    allowPost: message.allowPost,
    // By ProxyProtocolConfig.Version's numbers.
    proxyProtocol: proxyProtocol && (proxyProtocol.version === 1 ? 'v2' : 'v1'),
  };
}
