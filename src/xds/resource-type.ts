const PREFIX = 'type.googleapis.com/';

/** The kinds of resources that a control plane serves, by the short names that Envoy's docs use. */
export const RESOURCE_TYPES = {
  lds: `${PREFIX}envoy.config.listener.v3.Listener`,
  rds: `${PREFIX}envoy.config.route.v3.RouteConfiguration`,
  srds: `${PREFIX}envoy.config.route.v3.ScopedRouteConfiguration`,
  vhds: `${PREFIX}envoy.config.route.v3.VirtualHost`,
  cds: `${PREFIX}envoy.config.cluster.v3.Cluster`,
  eds: `${PREFIX}envoy.config.endpoint.v3.ClusterLoadAssignment`,
  sds: `${PREFIX}envoy.extensions.transport_sockets.tls.v3.Secret`,
  rtds: `${PREFIX}envoy.service.runtime.v3.Runtime`,
  ecds: `${PREFIX}envoy.config.core.v3.TypedExtensionConfig`,
} as const;

export type ResourceKind = keyof typeof RESOURCE_TYPES;

/** Of these a state-of-the-world response holds everything: what it leaves out has been removed. */
export function isWholeState(typeUrl: string): boolean {
  return typeUrl === RESOURCE_TYPES.lds || typeUrl === RESOURCE_TYPES.cds || typeUrl === RESOURCE_TYPES.srds;
}

/** How a source that serves one type only is asked for it. */
export interface DiscoveryMethods {
  /** Full gRPC method paths. */
  readonly stream: string;
  readonly delta: string;
  /** POST path of REST polling. */
  readonly rest: string;
}

const methods = (service: string, stream: string, delta: string, rest: string): DiscoveryMethods => ({
  stream: `/envoy.service.${service}/${stream}`,
  delta: `/envoy.service.${service}/${delta}`,
  rest: `/v3/discovery:${rest}`,
});

/** By kind, for sources that are not aggregated. */
export const DISCOVERY_METHODS: Readonly<Record<ResourceKind, DiscoveryMethods>> = {
  lds: methods('listener.v3.ListenerDiscoveryService', 'StreamListeners', 'DeltaListeners', 'listeners'),
  rds: methods('route.v3.RouteDiscoveryService', 'StreamRoutes', 'DeltaRoutes', 'routes'),
  srds: methods('route.v3.ScopedRoutesDiscoveryService', 'StreamScopedRoutes', 'DeltaScopedRoutes', 'scoped-routes'),
  vhds: methods('route.v3.VirtualHostDiscoveryService', '', 'DeltaVirtualHosts', ''),
  cds: methods('cluster.v3.ClusterDiscoveryService', 'StreamClusters', 'DeltaClusters', 'clusters'),
  eds: methods('endpoint.v3.EndpointDiscoveryService', 'StreamEndpoints', 'DeltaEndpoints', 'endpoints'),
  sds: methods('secret.v3.SecretDiscoveryService', 'StreamSecrets', 'DeltaSecrets', 'secrets'),
  rtds: methods('runtime.v3.RuntimeDiscoveryService', 'StreamRuntime', 'DeltaRuntime', 'runtime'),
  ecds: methods(
    'extension.v3.ExtensionConfigDiscoveryService',
    'StreamExtensionConfigs',
    'DeltaExtensionConfigs',
    'extension_configs',
  ),
};

export const AGGREGATED_STREAM = '/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources';
export const AGGREGATED_DELTA = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';

export function kindOf(typeUrl: string): ResourceKind | undefined {
  for (const [kind, url] of Object.entries(RESOURCE_TYPES)) if (url === typeUrl) return kind as ResourceKind;
  return undefined;
}
