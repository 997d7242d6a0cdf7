import type { ListenerFilterRegistration } from './listener-registry.ts';
import type { ListenerFilterType } from './listener/filter.ts';

/** A list of filters forgets what their configs are; each is only ever given what its own schema has read. */
function erase<Config>(type: ListenerFilterType<Config>): ListenerFilterType {
  return type as unknown as ListenerFilterType;
}

const listener = (type: string): string => `envoy.extensions.filters.listener.${type}`;

/** Every listener filter that comes with Outrigger. */
export const builtinListenerFilters: readonly ListenerFilterRegistration[] = [
  {
    name: 'envoy.filters.listener.tls_inspector',
    configType: listener('tls_inspector.v3.TlsInspector'),
    load: async () => erase((await import('./listener/tls-inspector.ts')).tlsInspector),
  },
  {
    name: 'envoy.filters.listener.http_inspector',
    configType: listener('http_inspector.v3.HttpInspector'),
    load: async () => erase((await import('./listener/http-inspector.ts')).httpInspector),
  },
  {
    name: 'envoy.filters.listener.proxy_protocol',
    configType: listener('proxy_protocol.v3.ProxyProtocol'),
    load: async () => erase((await import('./listener/proxy-protocol.ts')).proxyProtocol),
  },
  {
    name: 'envoy.filters.listener.original_dst',
    configType: listener('original_dst.v3.OriginalDst'),
    load: async () => erase((await import('./listener/original-dst.ts')).originalDst),
  },
  {
    name: 'envoy.filters.listener.local_ratelimit',
    configType: listener('local_ratelimit.v3.LocalRateLimit'),
    load: async () => erase((await import('./listener/local-ratelimit.ts')).localRateLimit),
  },
];
