import type { Cluster } from '../../api/generated/envoy/config/cluster/v3/cluster_pb.js';
import type { ClusterConfig } from '../../api/generated/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster_pb.js';
import type { CaresDnsResolverConfig } from '../../api/generated/envoy/extensions/network/dns_resolver/cares/v3/cares_dns_resolver_pb.js';
import { unpackAny } from '../../api/any.ts';
import type { TypeRegistry } from '../../api/type-registry.ts';
import { buildDnsCache } from '../../filters/dns-cache-config.ts';
import type { DynamicForwardProxyModel } from '../cluster-model.ts';
import type { Problems } from '../problem.ts';
import type { UpstreamTransportSocketModel } from '../transport-socket-model.ts';
import type { UpstreamHttpModel } from './upstream-http-options.ts';

/** The cluster type's name. */
export const DYNAMIC_FORWARD_PROXY = 'envoy.clusters.dynamic_forward_proxy';
const CONFIG = 'envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig';
const HTTP_OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

export function isDynamicForwardProxy({ clusterDiscoveryType: choice }: Cluster): boolean {
  return choice.case === 'clusterType' && choice.value.name === DYNAMIC_FORWARD_PROXY;
}

/** SNI and names of the certificate follow the authority, unless the cluster says something of its HTTP options. */
export function withForwardProxyDefaults(message: Cluster, http: UpstreamHttpModel): UpstreamHttpModel {
  const configured =
    message.upstreamHttpProtocolOptions !== undefined || HTTP_OPTIONS in message.typedExtensionProtocolOptions;
  return configured || !isDynamicForwardProxy(message)
    ? http
    : { ...http, autoSni: { overrideHeader: '' }, autoSanValidation: true };
}

/** Of a cluster of that type; undefined: it is none, or can't be one. */
export function buildDynamicForwardProxy(
  message: Cluster,
  transportSocket: UpstreamTransportSocketModel,
  http: UpstreamHttpModel,
  types: TypeRegistry,
  problems: Problems,
): DynamicForwardProxyModel | undefined {
  const { clusterDiscoveryType: choice } = message;
  if (choice.case !== 'clusterType' || choice.value.name !== DYNAMIC_FORWARD_PROXY) return undefined;
  const at = problems.at('cluster_type').at('typed_config');
  const unpacked = choice.value.typedConfig === undefined ? undefined : unpackAny(types, choice.value.typedConfig);
  for (const problem of unpacked?.problems ?? []) at.at(problem.path).error(problem.message);
  if (unpacked?.message === undefined || unpacked.typeName !== CONFIG) {
    at.error(`is not a ${CONFIG}`);
    return undefined;
  }
  const config = unpacked.message as ClusterConfig;
  if (!config.allowInsecureClusterOptions && (http.autoSni === undefined || !http.autoSanValidation))
    problems.error(
      'dynamic_forward_proxy cluster must have auto_sni and auto_san_validation true unless ' +
        'allow_insecure_cluster_options is set.',
    );
  if (config.allowCoalescedConnections) at.unsupported('allow_coalesced_connections');
  const { case: kind, value } = config.clusterImplementationSpecifier;
  if (kind !== 'dnsCacheConfig') {
    if (kind === undefined) at.at('dns_cache_config').error('value is required');
    else at.at('sub_clusters_config').error('unsupported: clusters of clusters are not implemented');
    return undefined;
  }
  const cacheAt = at.at('dns_cache_config');
  const cache = buildDnsCache(
    value,
    () => {
      const typed = value.typedDnsResolverConfig!.typedConfig!;
      return unpackAny(types, typed).message as CaresDnsResolverConfig | undefined;
    },
    {
      unsupported: (field) => cacheAt.unsupported(field),
      error: (field, text) => cacheAt.at(field).error(text),
    },
  );
  return { cache, defaultPort: isSecure(transportSocket) ? 443 : 80 };
}

function isSecure(socket: UpstreamTransportSocketModel): boolean {
  return socket.kind === 'tls' || (socket.kind === 'proxy-protocol' && isSecure(socket.inner));
}
