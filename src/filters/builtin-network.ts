import type { NetworkFilterRegistration } from './network-registry.ts';
import type { NetworkFilterType } from './network/filter.ts';

/** A list of filters forgets what their configs are; each is only ever given what its own schema has read. */
function erase<Config>(type: NetworkFilterType<Config>): NetworkFilterType {
  return type as unknown as NetworkFilterType;
}

/** Istio's network filter by which sidecars tell each other who they are. */
export const METADATA_EXCHANGE = 'envoy.tcp.metadataexchange.config.MetadataExchange';

const network = (type: string): string => `envoy.extensions.filters.network.${type}`;

/** Every network filter that comes with Outrigger, without the two that the data path itself knows (HTTP, tcp_proxy). */
export const builtinNetworkFilters: readonly NetworkFilterRegistration[] = [
  {
    name: 'envoy.filters.network.echo',
    configType: network('echo.v3.Echo'),
    isTerminal: true,
    load: async () => erase((await import('./network/echo.ts')).echo),
  },
  {
    name: 'envoy.filters.network.direct_response',
    configType: network('direct_response.v3.Config'),
    isTerminal: true,
    load: async () => erase((await import('./network/direct-response.ts')).directResponse),
  },
  {
    name: 'envoy.filters.network.sni_cluster',
    configType: network('sni_cluster.v3.SniCluster'),
    isTerminal: false,
    load: async () => erase((await import('./network/sni-cluster.ts')).sniCluster),
  },
  {
    name: 'envoy.filters.network.sni_dynamic_forward_proxy',
    configType: network('sni_dynamic_forward_proxy.v3.FilterConfig'),
    isTerminal: false,
    load: async () => erase((await import('./network/sni-dynamic-forward-proxy.ts')).sniDynamicForwardProxy),
  },
  {
    name: 'envoy.filters.network.rbac',
    configType: network('rbac.v3.RBAC'),
    isTerminal: false,
    load: async () => erase((await import('./network/rbac.ts')).rbac),
  },
  {
    name: 'envoy.filters.network.connection_limit',
    configType: network('connection_limit.v3.ConnectionLimit'),
    isTerminal: false,
    counts: true,
    load: async () => erase((await import('./network/connection-limit.ts')).connectionLimit),
  },
  {
    name: 'envoy.filters.network.local_ratelimit',
    configType: network('local_ratelimit.v3.LocalRateLimit'),
    isTerminal: false,
    load: async () => erase((await import('./network/local-ratelimit.ts')).localRateLimit),
  },
  {
    name: 'envoy.filters.network.set_filter_state',
    configType: network('set_filter_state.v3.Config'),
    isTerminal: false,
    load: async () => erase((await import('./network/set-filter-state.ts')).setFilterState),
  },
  {
    name: 'istio.metadata_exchange',
    configType: METADATA_EXCHANGE,
    isTerminal: false,
    load: async () => erase((await import('./istio/metadata-exchange.ts')).istioMetadataExchange),
  },
  {
    name: 'istio.stats',
    configType: 'stats.PluginConfig',
    isTerminal: false,
    load: async () => erase((await import('./istio/stats.ts')).istioNetworkStats),
  },
];
