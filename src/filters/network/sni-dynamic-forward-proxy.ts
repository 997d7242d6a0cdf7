import { fromBinary } from '@bufbuild/protobuf';
import {
  FilterConfigSchema,
  type FilterConfig,
} from '../../api/generated/envoy/extensions/filters/network/sni_dynamic_forward_proxy/v3/sni_dynamic_forward_proxy_pb.js';
import { CaresDnsResolverConfigSchema } from '../../api/generated/envoy/extensions/network/dns_resolver/cares/v3/cares_dns_resolver_pb.js';
import { ConfigError, protobufConfig } from '../config-type.ts';
import { DYNAMIC_HOST, DYNAMIC_PORT, dynamicPort, type DnsCache, type DnsCacheLoad } from '../dns-cache.ts';
import { buildDnsCache } from '../dns-cache-config.ts';
import {
  ContinueChain,
  StopIteration,
  type NetworkConnection,
  type NetworkFilter,
  type NetworkFilterType,
  type NetworkVerdict,
} from './filter.ts';

/**
 * envoy.filters.network.sni_dynamic_forward_proxy: holds a connection until the DNS cache knows the host that its SNI
 * names; the TCP proxy behind it goes there.
 */
export const sniDynamicForwardProxy: NetworkFilterType<FilterConfig> = {
  name: 'envoy.filters.network.sni_dynamic_forward_proxy',
  config: protobufConfig(FilterConfigSchema),
  create({ dnsCacheConfig, portSpecifier }, { dnsCaches, unsupported }) {
    if (dnsCacheConfig === undefined) throw new ConfigError('value is required', 'dns_cache_config');
    const model = buildDnsCache(dnsCacheConfig, (bytes) => fromBinary(CaresDnsResolverConfigSchema, bytes), {
      unsupported: (field) => unsupported(`dns_cache_config.${field}`),
      error: (field, text) => {
        throw new ConfigError(text, `dns_cache_config.${field}`);
      },
    });
    const cache = dnsCaches?.cache(model);
    const port = portSpecifier.case === 'portValue' ? portSpecifier.value : 0;
    return (connection) =>
      cache === undefined ? undefined : new SniDynamicForwardProxyFilter(cache, port, connection);
  },
};

class SniDynamicForwardProxyFilter implements NetworkFilter {
  readonly #cache: DnsCache;
  readonly #port: number;
  readonly #connection: NetworkConnection;
  #load: DnsCacheLoad | undefined = undefined;

  constructor(cache: DnsCache, port: number, connection: NetworkConnection) {
    this.#cache = cache;
    this.#port = port;
    this.#connection = connection;
  }

  onConnection(): NetworkVerdict {
    const { info } = this.#connection;
    const dynamic = info.filterState.get(DYNAMIC_HOST);
    const host = typeof dynamic === 'string' ? dynamic : info.connection.requestedServerName;
    if (host === '') return ContinueChain;
    let port = dynamicPort(info.filterState);
    if (port === undefined) {
      port = this.#port;
      info.filterState.set(DYNAMIC_PORT, port);
    }
    // Whether it has an address or not: the cluster finds no host then.
    const found = this.#cache.load(host, port, () => this.#connection.continueReading());
    if (found === 'pending-overflow' || found === 'host-overflow') {
      this.#connection.close('abort', '');
      return StopIteration;
    }
    if ('resolved' in found) return ContinueChain;
    this.#load = found;
    return StopIteration;
  }

  onDestroy(): void {
    this.#load?.cancel();
  }
}
