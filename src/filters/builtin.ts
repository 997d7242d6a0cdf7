import type { HttpFilterType } from './http/filter.ts';
import type { HttpFilterRegistration } from './registry.ts';

/** The last filter of every chain: not one of these, but the router itself. */
export const ROUTER_FILTER = {
  name: 'envoy.filters.http.router',
  configType: 'envoy.extensions.filters.http.router.v3.Router',
} as const;

/** Forgets the config types, which only the filter itself knows. */
function erase<Config, RouteConfig, ParsedRouteConfig>(
  type: HttpFilterType<Config, RouteConfig, ParsedRouteConfig>,
): HttpFilterType {
  return type as unknown as HttpFilterType;
}

/** Every HTTP filter that comes with Outrigger, without the router. */
export const builtinHttpFilters: readonly HttpFilterRegistration[] = [
  {
    name: 'envoy.filters.http.fault',
    configType: 'envoy.extensions.filters.http.fault.v3.HTTPFault',
    routeConfigTypes: ['envoy.extensions.filters.http.fault.v3.HTTPFault'],
    load: async () => erase((await import('./http/fault.ts')).fault),
  },
  {
    name: 'envoy.filters.http.buffer',
    configType: 'envoy.extensions.filters.http.buffer.v3.Buffer',
    routeConfigTypes: ['envoy.extensions.filters.http.buffer.v3.BufferPerRoute'],
    load: async () => erase((await import('./http/buffer.ts')).buffer),
  },
  {
    name: 'envoy.filters.http.compressor',
    configType: 'envoy.extensions.filters.http.compressor.v3.Compressor',
    routeConfigTypes: ['envoy.extensions.filters.http.compressor.v3.CompressorPerRoute'],
    load: async () => erase((await import('./http/compressor.ts')).compressor),
  },
  {
    name: 'envoy.filters.http.decompressor',
    configType: 'envoy.extensions.filters.http.decompressor.v3.Decompressor',
    routeConfigTypes: [],
    load: async () => erase((await import('./http/decompressor.ts')).decompressor),
  },
  {
    name: 'envoy.filters.http.header_mutation',
    configType: 'envoy.extensions.filters.http.header_mutation.v3.HeaderMutation',
    routeConfigTypes: ['envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute'],
    load: async () => erase((await import('./http/header-mutation.ts')).headerMutation),
  },
  {
    name: 'envoy.filters.http.rbac',
    configType: 'envoy.extensions.filters.http.rbac.v3.RBAC',
    routeConfigTypes: ['envoy.extensions.filters.http.rbac.v3.RBACPerRoute'],
    load: async () => erase((await import('./http/rbac.ts')).rbac),
  },
  {
    name: 'envoy.filters.http.cors',
    configType: 'envoy.extensions.filters.http.cors.v3.Cors',
    routeConfigTypes: ['envoy.extensions.filters.http.cors.v3.CorsPolicy'],
    load: async () => erase((await import('./http/cors.ts')).cors),
  },
  {
    name: 'envoy.filters.http.local_ratelimit',
    configType: 'envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit',
    routeConfigTypes: ['envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit'],
    load: async () => erase((await import('./http/local-ratelimit.ts')).localRateLimit),
  },
  {
    name: 'envoy.filters.http.grpc_web',
    configType: 'envoy.extensions.filters.http.grpc_web.v3.GrpcWeb',
    routeConfigTypes: [],
    load: async () => erase((await import('./http/grpc-web.ts')).grpcWeb),
  },
  {
    name: 'envoy.filters.http.grpc_stats',
    configType: 'envoy.extensions.filters.http.grpc_stats.v3.FilterConfig',
    routeConfigTypes: [],
    load: async () => erase((await import('./http/grpc-stats.ts')).grpcStats),
  },
  {
    name: 'envoy.filters.http.grpc_http1_bridge',
    configType: 'envoy.extensions.filters.http.grpc_http1_bridge.v3.Config',
    routeConfigTypes: [],
    load: async () => erase((await import('./http/grpc-http1-bridge.ts')).grpcHttp1Bridge),
  },
  {
    name: 'envoy.filters.http.grpc_http1_reverse_bridge',
    configType: 'envoy.extensions.filters.http.grpc_http1_reverse_bridge.v3.FilterConfig',
    routeConfigTypes: ['envoy.extensions.filters.http.grpc_http1_reverse_bridge.v3.FilterConfigPerRoute'],
    load: async () => erase((await import('./http/grpc-http1-reverse-bridge.ts')).grpcHttp1ReverseBridge),
  },
  {
    name: 'envoy.filters.http.grpc_json_transcoder',
    configType: 'envoy.extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder',
    routeConfigTypes: ['envoy.extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder'],
    load: async () => erase((await import('./http/grpc-json-transcoder.ts')).createGrpcJsonTranscoder()),
  },
  {
    name: 'envoy.filters.http.dynamic_forward_proxy',
    configType: 'envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig',
    routeConfigTypes: ['envoy.extensions.filters.http.dynamic_forward_proxy.v3.PerRouteConfig'],
    load: async () => erase((await import('./http/dynamic-forward-proxy.ts')).dynamicForwardProxy),
  },
  {
    name: 'istio.alpn',
    configType: 'istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig',
    routeConfigTypes: [],
    load: async () => erase((await import('./istio/alpn.ts')).istioAlpn),
  },
  {
    name: 'istio.peer_metadata',
    configType: 'io.istio.http.peer_metadata.Config',
    routeConfigTypes: [],
    load: async () => erase((await import('./istio/peer-metadata.ts')).istioPeerMetadata),
  },
  {
    name: 'istio.stats',
    configType: 'stats.PluginConfig',
    routeConfigTypes: [],
    load: async () => erase((await import('./istio/stats.ts')).istioStats),
  },
  {
    name: 'outrigger.filters.http.typescript',
    configType: 'outrigger.filters.http.typescript.v3.TypeScriptFilter',
    routeConfigTypes: ['outrigger.filters.http.typescript.v3.TypeScriptFilterPerRoute'],
    load: async () => erase((await import('./http/typescript.ts')).createTypescriptFilter()),
  },
];
