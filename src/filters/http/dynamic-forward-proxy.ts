import { fromBinary } from '@bufbuild/protobuf';
import {
  FilterConfigSchema,
  PerRouteConfigSchema,
  type PerRouteConfig,
} from '../../api/generated/envoy/extensions/filters/http/dynamic_forward_proxy/v3/dynamic_forward_proxy_pb.js';
import { CaresDnsResolverConfigSchema } from '../../api/generated/envoy/extensions/network/dns_resolver/cares/v3/cares_dns_resolver_pb.js';
import { ConfigError, protobufConfig } from '../config-type.ts';
import type { DnsCache, DnsCacheLoad, DnsCacheResult } from '../dns-cache.ts';
import { buildDnsCache } from '../dns-cache-config.ts';
import type { Headers } from '../headers.ts';
import { ResponseFlag } from '../response-flags.ts';
import {
  Continue,
  defineHttpFilter,
  type Awaitable,
  type HeadersVerdict,
  type HttpFilter,
  type LocalReply,
  type StreamContext,
} from './filter.ts';

/**
 * envoy.filters.http.dynamic_forward_proxy: holds requests to dynamic forward proxy clusters until the DNS cache knows
 * their authority's host.
 */
export const dynamicForwardProxy = defineHttpFilter({
  name: 'envoy.filters.http.dynamic_forward_proxy',
  config: protobufConfig(FilterConfigSchema),
  routeConfig: protobufConfig(PerRouteConfigSchema),
  create(config, { dnsCaches, unsupported = () => {} }) {
    const { case: kind, value } = config.implementationSpecifier;
    if (kind !== 'dnsCacheConfig')
      throw new ConfigError(
        kind === undefined ? 'value is required' : 'unsupported: clusters of clusters are not implemented',
        kind === undefined ? 'dns_cache_config' : 'sub_cluster_config',
      );
    if (config.saveUpstreamAddress) unsupported('save_upstream_address');
    const model = buildDnsCache(value, (bytes) => fromBinary(CaresDnsResolverConfigSchema, bytes), {
      unsupported: (field) => unsupported(`dns_cache_config.${field}`),
      error: (field, text) => {
        throw new ConfigError(text, `dns_cache_config.${field}`);
      },
    });
    const cache = dnsCaches?.cache(model);
    return (stream: StreamContext<PerRouteConfig>) =>
      cache === undefined ? undefined : new DynamicForwardProxyFilter(cache, stream);
  },
});

const EMPTY_HOST: LocalReply = { status: 400, body: 'Empty host header', details: 'empty_host_header' };
const PENDING_OVERFLOW: LocalReply = {
  status: 503,
  body: 'Dynamic forward proxy pending request overflow',
  details: 'dynamic_forward_proxy_pending_request_overflow',
};
const HOST_OVERFLOW: LocalReply = { status: 503, body: 'DNS cache overflow', details: 'dns_cache_overflow' };

class DynamicForwardProxyFilter implements HttpFilter {
  readonly #cache: DnsCache;
  readonly #stream: StreamContext<PerRouteConfig>;
  #load: DnsCacheLoad | undefined = undefined;

  constructor(cache: DnsCache, stream: StreamContext<PerRouteConfig>) {
    this.#cache = cache;
    this.#stream = stream;
  }

  onRequestHeaders(headers: Headers): Awaitable<HeadersVerdict> {
    const target = this.#stream.cluster?.dynamicForwardProxy;
    if (target === undefined) return Continue;
    this.#rewriteHost(headers);
    const authority = headers.get(':authority') ?? '';
    if (authority === '') return EMPTY_HOST;
    let resolve: ((verdict: HeadersVerdict) => void) | undefined;
    const found = this.#cache.load(authority, target.defaultPort, (result) => resolve!(this.#verdict(result)));
    if (found === 'pending-overflow') return PENDING_OVERFLOW;
    if (found === 'host-overflow') return HOST_OVERFLOW;
    if ('resolved' in found) return this.#verdict(found);
    this.#load = found;
    return new Promise((done) => {
      resolve = done;
    });
  }

  onDestroy(): void {
    this.#load?.cancel();
  }

  /** The first value of a header counts, since it comes from outside; it counts more than the literal. */
  #rewriteHost(headers: Headers): void {
    const choice = this.#stream.routeConfig?.hostRewriteSpecifier;
    if (choice?.case === 'hostRewriteLiteral' && choice.value !== '') headers.set(':authority', choice.value);
    else if (choice?.case === 'hostRewriteHeader' && choice.value !== '') {
      const value = headers.getAll(choice.value.toLowerCase())[0];
      if (value !== undefined) headers.set(':authority', value);
    }
  }

  #verdict({ resolved, details }: DnsCacheResult): HeadersVerdict {
    if (resolved) return Continue;
    this.#stream.info.setFlag(ResponseFlag.DF);
    return { status: 503, body: 'DNS resolution failure', details: `dns_resolution_failure{${details}}` };
  }
}
