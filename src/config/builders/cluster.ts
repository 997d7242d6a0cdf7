import { create } from '@bufbuild/protobuf';
import type {
  Cluster,
  Cluster_TransportSocketMatch as TransportSocketMatch,
} from '../../api/generated/envoy/config/cluster/v3/cluster_pb.js';
import type { BindConfig } from '../../api/generated/envoy/config/core/v3/address_pb.js';
import type { TransportSocket } from '../../api/generated/envoy/config/core/v3/base_pb.js';
import { ConfigSourceSchema } from '../../api/generated/envoy/config/core/v3/config_source_pb.js';
import type { TypeRegistry } from '../../api/type-registry.ts';
import type {
  BindModel,
  BuiltCluster,
  ClusterModel,
  DiscoveryModel,
  OriginalDestinationModel,
  TcpKeepaliveModel,
} from '../cluster-model.ts';
import type { Problems } from '../problem.ts';
import type { TransportSocketMatchModel, UpstreamTransportSocketModel } from '../transport-socket-model.ts';
import { buildCircuitBreakers } from './circuit-breakers.ts';
import { durationMs } from '../../api/duration.ts';
import { buildMetadata } from './common.ts';
import { checkConfigSource, type ConfigSourceContext } from './config-source.ts';
import { buildDns } from './dns.ts';
import {
  DYNAMIC_FORWARD_PROXY,
  buildDynamicForwardProxy,
  isDynamicForwardProxy,
  withForwardProxyDefaults,
} from './dynamic-forward-proxy.ts';
import { HEALTH_STATUSES, buildAssignment } from './endpoint.ts';
import { LB_POLICIES, buildLoadBalancing } from './load-balancing.ts';
import { buildClusterFilters } from './cluster-filters.ts';
import { buildUpstreamTransportSocket, type TransportSocketContext } from './transport-socket.ts';
import { clusterTlsContexts, secretNames } from '../tls-contexts-of.ts';
import { reportUnsupportedFields } from './unsupported-fields.ts';
import { buildUpstreamHttp } from './upstream-http-options.ts';
import { typeNameOf } from '../../api/type-name.ts';

/** Fields that something reads, here or in the builders of the parts. All others are named when they are set. */
const SUPPORTED = [
  'name',
  'alt_stat_name',
  'type',
  'cluster_type',
  'connect_timeout',
  'per_connection_buffer_limit_bytes',
  'lb_policy',
  'load_assignment',
  'max_requests_per_connection',
  'circuit_breakers',
  'common_http_protocol_options',
  'http_protocol_options',
  'http2_protocol_options',
  'typed_extension_protocol_options',
  'dns_refresh_rate',
  'dns_failure_refresh_rate',
  'respect_dns_ttl',
  'dns_lookup_family',
  'dns_jitter',
  'dns_min_refresh_rate',
  'dns_resolvers',
  'dns_resolution_config',
  'typed_dns_resolver_config',
  'use_tcp_for_dns_lookups',
  'wait_for_warm_on_init',
  'upstream_bind_config',
  'least_request_lb_config',
  'round_robin_lb_config',
  'common_lb_config',
  'transport_socket',
  'transport_socket_matches',
  'ring_hash_lb_config',
  'maglev_lb_config',
  'original_dst_lb_config',
  'protocol_selection',
  'upstream_http_protocol_options',
  'metadata',
  'upstream_connection_options',
  'close_connections_on_host_health_failure',
  'ignore_health_on_host_removal',
  'load_balancing_policy',
  'track_timeout_budgets',
  'track_cluster_stats',
  'filters',
  'cleanup_interval',
  'eds_cluster_config',
];

const RAW_BUFFER = 'envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer';
const MEBIBYTE = 1 << 20;

type DiscoveryType = ClusterModel['discoveryType'];
/** By Cluster.DiscoveryType's numbers. */
const DISCOVERY_TYPES: readonly DiscoveryType[] = ['STATIC', 'STRICT_DNS', 'LOGICAL_DNS', 'EDS', 'ORIGINAL_DST'];
const CLUSTER_TYPES: Readonly<Record<string, DiscoveryType>> = {
  'envoy.cluster.static': 'STATIC',
  'envoy.cluster.strict_dns': 'STRICT_DNS',
  'envoy.cluster.logical_dns': 'LOGICAL_DNS',
  'envoy.cluster.original_dst': 'ORIGINAL_DST',
  'envoy.cluster.eds': 'EDS',
  [DYNAMIC_FORWARD_PROXY]: 'CUSTOM',
};
const DEFAULT_CLEANUP_INTERVAL = 5000;

/**
 * config.cluster.v3.Cluster. `types` has to have loaded what the message's Anys hold. The model's `sharedSlot` is
 * assigned when the cluster is taken into use (see ClusterRegistry).
 */
export function buildCluster(
  message: Cluster,
  problems: Problems,
  types: TypeRegistry,
  secrets: Omit<TransportSocketContext, 'types'> = {},
): BuiltCluster {
  const context: TransportSocketContext = { types, ...secrets };
  reportUnsupportedFields(types, message, SUPPORTED, problems);
  const discoveryType = buildDiscoveryType(message, problems);
  const edsConfig = message.edsClusterConfig?.edsConfig;
  if (discoveryType === 'EDS' && edsConfig !== undefined && context.discovery !== undefined)
    checkConfigSource(
      edsConfig,
      'eds',
      context.discovery,
      problems.at('eds_cluster_config').at('eds_config'),
      message.edsClusterConfig?.serviceName,
    );
  const common = message.commonLbConfig;
  if (common !== undefined)
    reportUnsupportedFields(
      types,
      common,
      [
        'healthy_panic_threshold',
        'zone_aware_lb_config',
        'locality_weighted_lb_config',
        'close_connections_on_host_set_change',
        'override_host_status',
        'consistent_hashing_lb_config',
        // Changes are taken over one by one, so there is nothing to merge; nor are there health checks to wait for.
        'update_merge_window',
        'ignore_new_hosts_until_first_hc',
      ],
      problems.at('common_lb_config'),
    );
  const transportSocket = buildTransportSocket(message.transportSocket, context, problems.at('transport_socket'));
  const transportSocketMatches = message.transportSocketMatches.map((match, index) =>
    buildTransportSocketMatch(match, context, problems.at('transport_socket_matches').at(index)),
  );
  const http = withForwardProxyDefaults(message, buildUpstreamHttp(message, types, problems));
  if (http.httpVersion === 'auto')
    checkAlpn(message.name, [transportSocket, ...transportSocketMatches.map(({ socket }) => socket)], problems);
  const track = message.trackClusterStats;
  if (track?.perEndpointStats === true) problems.at('track_cluster_stats').unsupported('per_endpoint_stats');
  const limit = message.perConnectionBufferLimitBytes;
  const loadBalancing = buildLoadBalancing(message, types, problems);
  checkHostnameHashing(message, discoveryType, problems);
  checkClusterProvided(message, discoveryType, loadBalancing.loadBalancer.policy, problems);
  const model: ClusterModel = {
    name: message.name,
    altStatName: message.altStatName === '' ? message.name : message.altStatName,
    metadata: buildMetadata(message.metadata, problems.at('metadata')),
    sharedSlot: 0,
    discoveryType,
    connectTimeoutMs: durationMs(message.connectTimeout) ?? 5000,
    perConnectionBufferLimitBytes: limit ?? MEBIBYTE,
    ...loadBalancing,
    originalDestination:
      discoveryType === 'ORIGINAL_DST' ? buildOriginalDestination(message, types, problems) : undefined,
    dynamicForwardProxy: buildDynamicForwardProxy(message, transportSocket, http, types, problems),
    healthyPanicThresholdPercent: Math.round(common?.healthyPanicThreshold?.value ?? 50),
    closeConnectionsOnHostSetChange: common?.closeConnectionsOnHostSetChange ?? false,
    closeConnectionsOnHostHealthFailure: message.closeConnectionsOnHostHealthFailure,
    ...buildCircuitBreakers(message.circuitBreakers, types, problems.at('circuit_breakers')),
    tcpKeepalive: buildKeepalive(message, types, problems.at('upstream_connection_options')),
    bind: buildBind(message.upstreamBindConfig, types, problems.at('upstream_bind_config')),
    networkFilters: buildClusterFilters(message.filters, types, problems.at('filters')),
    transportSocket,
    transportSocketMatches,
    ...http,
    trackTimeoutBudgets: message.trackTimeoutBudgets || track?.timeoutBudgets === true,
    trackRequestResponseSizes: track?.requestResponseSizes ?? false,
    overrideHostStatuses: (common?.overrideHostStatus?.statuses ?? [0, 1, 5]).map(
      (status) => HEALTH_STATUSES[status] ?? 'unknown',
    ),
  };
  return {
    model,
    discovery: buildDiscovery(message, discoveryType, types, problems, context.discovery),
    waitForWarmOnInit: message.waitForWarmOnInit ?? true,
    ignoreHealthOnHostRemoval: message.ignoreHealthOnHostRemoval,
    secrets: secretNames(clusterTlsContexts(model)),
  };
}

function buildDiscoveryType(message: Cluster, problems: Problems): DiscoveryType {
  const choice = message.clusterDiscoveryType;
  if (choice.case === 'clusterType') {
    const type = CLUSTER_TYPES[choice.value.name];
    if (type !== undefined) return type;
    const { name, typedConfig } = choice.value;
    const what = typedConfig === undefined ? name : `${name} (${typeNameOf(typedConfig.typeUrl)})`;
    problems.at('cluster_type').error(`unsupported: the cluster type ${what} is not implemented`);
    return 'CUSTOM';
  }
  const type = DISCOVERY_TYPES[choice.value ?? 0] ?? 'STATIC';
  return type;
}

function buildDiscovery(
  message: Cluster,
  type: DiscoveryType,
  types: TypeRegistry,
  problems: Problems,
  discovery: ConfigSourceContext | undefined,
): DiscoveryModel {
  const at = problems.at('load_assignment');
  if (type === 'EDS') return buildEds(message, types, problems, discovery);
  if (message.edsClusterConfig !== undefined)
    problems.at('eds_cluster_config').error('eds_cluster_config set in a non-EDS cluster');
  const dns = type === 'STRICT_DNS' || type === 'LOGICAL_DNS';
  const assignment = buildAssignment(message.loadAssignment, dns, types, at);
  if (!dns) return { kind: 'static', assignment };
  if (type === 'LOGICAL_DNS' && (assignment.localities.length !== 1 || assignment.endpoints.length !== 1))
    at.error('LOGICAL_DNS clusters must have a single locality_lb_endpoint and a single lb_endpoint');
  if (type === 'STRICT_DNS' && new Set(assignment.localities.map((locality) => locality.priority)).size === 0)
    at.error('a STRICT_DNS cluster needs endpoints');
  return {
    kind: type === 'LOGICAL_DNS' ? 'logical-dns' : 'strict-dns',
    assignment,
    dns: buildDns(message, types, problems),
  };
}

function buildEds(
  message: Cluster,
  types: TypeRegistry,
  problems: Problems,
  discovery: ConfigSourceContext | undefined,
): DiscoveryModel {
  const config = message.edsClusterConfig;
  const at = problems.at('eds_cluster_config');
  const hasAuthority = discovery?.hasAuthority?.(config?.serviceName ?? '') === true;
  if (config === undefined || (config.edsConfig === undefined && !hasAuthority)) {
    at.error('cannot create an EDS cluster without an EDS config');
    return { kind: 'static', assignment: buildAssignment(undefined, false, types, at) };
  }
  reportUnsupportedFields(types, config, ['eds_config', 'service_name'], at);
  const { serviceName, edsConfig = create(ConfigSourceSchema) } = config;
  return {
    kind: 'eds',
    serviceName: serviceName === '' ? message.name : serviceName,
    configuredServiceName: serviceName,
    source: edsConfig,
  };
}

function buildTransportSocket(
  message: TransportSocket | undefined,
  context: TransportSocketContext,
  problems: Problems,
): UpstreamTransportSocketModel {
  const config = message?.configType;
  const typeName = config?.case === 'typedConfig' ? typeNameOf(config.value.typeUrl) : '';
  if (message === undefined || typeName === RAW_BUFFER) return { kind: 'raw-buffer' };
  return buildUpstreamTransportSocket(message, problems, context);
}

function buildTransportSocketMatch(
  message: TransportSocketMatch,
  context: TransportSocketContext,
  problems: Problems,
): TransportSocketMatchModel {
  if (message.transportSocket === undefined) problems.at('transport_socket').error('value is required');
  return {
    name: message.name,
    match: message.match ?? {},
    socket: buildTransportSocket(message.transportSocket, context, problems.at('transport_socket')),
  };
}

/** `auto_config` asks ALPN, which only TLS has. */
function checkAlpn(name: string, sockets: readonly UpstreamTransportSocketModel[], problems: Problems): void {
  const hasAlpn = (socket: UpstreamTransportSocketModel): boolean =>
    socket.kind === 'tls' || (socket.kind === 'proxy-protocol' && hasAlpn(socket.inner));
  if (sockets.every(hasAlpn)) return;
  problems
    .at('typed_extension_protocol_options')
    .error(`ALPN configured for cluster ${name} which has a non-ALPN transport socket`);
}

/** Only where names are resolved one by one do hosts have names of their own, says Envoy; of `common_lb_config` alone. */
function checkHostnameHashing(message: Cluster, type: DiscoveryType, problems: Problems): void {
  const hashing = message.commonLbConfig?.consistentHashingLbConfig;
  if (hashing?.useHostnameForHashing !== true || type === 'STRICT_DNS') return;
  const name = Object.entries(CLUSTER_TYPES).find(([, other]) => other === type)?.[0] ?? 'envoy.cluster.eds';
  problems
    .at('common_lb_config')
    .at('consistent_hashing_lb_config')
    .error(`Cannot use hostname for consistent hashing loadbalancing for cluster of type: '${name}'`);
}

/** The policy that only some cluster types bring with them, and ORIGINAL_DST must have. */
function checkClusterProvided(message: Cluster, type: DiscoveryType, policy: string, problems: Problems): void {
  if (isDynamicForwardProxy(message)) {
    if (policy !== 'cluster-provided')
      problems
        .at('lb_policy')
        .error(
          `cluster provided LB not specified but cluster '${message.name}' provided one. Check cluster documentation.`,
        );
    return;
  }
  if (type !== 'ORIGINAL_DST') {
    if (policy === 'cluster-provided')
      problems
        .at('lb_policy')
        .error(
          `cluster provided LB specified but cluster '${message.name}' did not provide one. Check cluster documentation.`,
        );
    return;
  }
  if (policy !== 'cluster-provided')
    problems
      .at('lb_policy')
      .error(
        `LB policy ${LB_POLICIES[message.lbPolicy] ?? message.lbPolicy} is not valid for Cluster type ORIGINAL_DST. ` +
          `Only 'CLUSTER_PROVIDED' is allowed with cluster type 'ORIGINAL_DST'`,
      );
  if (message.loadAssignment !== undefined)
    problems.at('load_assignment').error('ORIGINAL_DST clusters must have no load assignment configured');
}

function buildOriginalDestination(message: Cluster, types: TypeRegistry, problems: Problems): OriginalDestinationModel {
  const config = message.lbConfig.case === 'originalDstLbConfig' ? message.lbConfig.value : undefined;
  const at = problems.at('original_dst_lb_config');
  if (config !== undefined)
    reportUnsupportedFields(
      types,
      config,
      ['use_http_header', 'http_header_name', 'upstream_port_override', 'metadata_key'],
      at,
    );
  const { useHttpHeader = false, httpHeaderName = '', metadataKey, upstreamPortOverride } = config ?? {};
  if (!useHttpHeader && httpHeaderName !== '')
    at.error(
      `ORIGINAL_DST cluster: invalid config http_header_name=${httpHeaderName} and use_http_header is false. ` +
        'Set use_http_header to true if http_header_name is desired.',
    );
  return {
    headerName: useHttpHeader ? (httpHeaderName || 'x-envoy-original-dst-host').toLowerCase() : undefined,
    metadataKey:
      metadataKey === undefined
        ? undefined
        : { filter: metadataKey.key, path: metadataKey.path.map(({ segment }) => segment.value ?? '') },
    portOverride: upstreamPortOverride,
    cleanupIntervalMs: durationMs(message.cleanupInterval) ?? DEFAULT_CLEANUP_INTERVAL,
  };
}

function buildKeepalive(message: Cluster, types: TypeRegistry, problems: Problems): TcpKeepaliveModel | undefined {
  const options = message.upstreamConnectionOptions;
  if (options === undefined) return undefined;
  reportUnsupportedFields(types, options, ['tcp_keepalive'], problems);
  const keepalive = options.tcpKeepalive;
  if (keepalive === undefined) return undefined;
  const seconds = (value: number | undefined): number | undefined => (value === undefined ? undefined : value * 1000);
  return {
    probes: keepalive.keepaliveProbes,
    timeMs: seconds(keepalive.keepaliveTime),
    intervalMs: seconds(keepalive.keepaliveInterval),
  };
}

function buildBind(message: BindConfig | undefined, types: TypeRegistry, problems: Problems): BindModel | undefined {
  if (message === undefined) return undefined;
  reportUnsupportedFields(types, message, ['source_address'], problems);
  const source = message.sourceAddress;
  if (source === undefined) return undefined;
  return { address: source.address, port: source.portSpecifier.case === 'portValue' ? source.portSpecifier.value : 0 };
}
