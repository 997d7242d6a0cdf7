import type { Duration } from '@bufbuild/protobuf/wkt';
import type { Address } from '../../api/generated/envoy/config/core/v3/address_pb.js';
import type { Cluster } from '../../api/generated/envoy/config/cluster/v3/cluster_pb.js';
import type { CaresDnsResolverConfig } from '../../api/generated/envoy/extensions/network/dns_resolver/cares/v3/cares_dns_resolver_pb.js';
import { unpackAny } from '../../api/any.ts';
import type { TypeRegistry } from '../../api/type-registry.ts';
import type { DnsModel } from '../cluster-model.ts';
import type { Problems } from '../problem.ts';
import { durationMs } from '../../api/duration.ts';
import { buildAddress } from './common.ts';
import { reportUnsupportedFields } from './unsupported-fields.ts';

/** By Cluster.DnsLookupFamily's numbers. */
const FAMILIES: readonly DnsModel['lookupFamily'][] = ['AUTO', 'V4_ONLY', 'V6_ONLY', 'V4_PREFERRED', 'ALL'];
const CARES = 'envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig';
const SYSTEM = 'envoy.extensions.network.dns_resolver.getaddrinfo.v3.GetAddrInfoDnsResolverConfig';

/** The `dns_*` fields of a cluster. */
export function buildDns(message: Cluster, types: TypeRegistry, problems: Problems): DnsModel {
  const refreshRateMs = durationMs(message.dnsRefreshRate) ?? 5000;
  const failure = message.dnsFailureRefreshRate;
  const baseMs = durationMs(failure?.baseInterval) ?? 0;
  const maxMs = durationMs(failure?.maxInterval) ?? baseMs * 10;
  if (failure !== undefined && maxMs < baseMs)
    problems
      .at('dns_failure_refresh_rate')
      .error('dns_failure_refresh_rate must have max_interval greater than or equal to the base_interval');
  // Fields newer than the API we are generated from come through where they are there.
  const newer = message as { dnsJitter?: Duration; dnsMinRefreshRate?: Duration };
  return {
    lookupFamily: FAMILIES[message.dnsLookupFamily] ?? 'AUTO',
    refreshRateMs,
    minRefreshRateMs: durationMs(newer.dnsMinRefreshRate) ?? 0,
    jitterMs: durationMs(newer.dnsJitter) ?? 0,
    failureRefresh: failure === undefined ? undefined : { baseMs, maxMs },
    respectTtl: message.respectDnsTtl,
    resolvers: buildResolvers(message, types, problems),
  };
}

/** The servers to ask: the typed resolver config first, then the two forms that it replaced. */
function buildResolvers(message: Cluster, types: TypeRegistry, problems: Problems): string[] {
  const typed = message.typedDnsResolverConfig;
  if (typed?.typedConfig !== undefined) {
    const at = problems.at('typed_dns_resolver_config').at('typed_config');
    const unpacked = unpackAny(types, typed.typedConfig);
    if (unpacked.typeName === SYSTEM) return [];
    if (unpacked.typeName === CARES && unpacked.message !== undefined) {
      const config = unpacked.message as CaresDnsResolverConfig;
      // `udp_max_queries`: after how many questions another socket is used; nothing that can be seen depends on it.
      reportUnsupportedFields(types, config, ['resolvers', 'dns_resolver_options', 'udp_max_queries'], at);
      reportOptions(config.dnsResolverOptions, at);
      return addresses(config.resolvers, at.at('resolvers'));
    }
    problems.at('typed_dns_resolver_config').error(`unsupported: the DNS resolver '${typed.name}' is not implemented`);
    return [];
  }
  if (message.dnsResolutionConfig !== undefined) {
    const at = problems.at('dns_resolution_config');
    reportOptions(message.dnsResolutionConfig.dnsResolverOptions, at);
    return addresses(message.dnsResolutionConfig.resolvers, at.at('resolvers'));
  }
  if (message.useTcpForDnsLookups) problems.unsupported('use_tcp_for_dns_lookups');
  return addresses(message.dnsResolvers, problems.at('dns_resolvers'));
}

function reportOptions(
  options: { readonly useTcpForDnsLookups: boolean; readonly noDefaultSearchDomain: boolean } | undefined,
  problems: Problems,
): void {
  // Names are never completed with search domains here, so `no_default_search_domain` is always met.
  if (options?.useTcpForDnsLookups === true) problems.at('dns_resolver_options').unsupported('use_tcp_for_dns_lookups');
}

function addresses(messages: readonly Address[], problems: Problems): string[] {
  const list: string[] = [];
  messages.forEach((message, index) => {
    const address = buildAddress(message, problems.at(index));
    if (address.kind === 'pipe') problems.at(index).error('a DNS server needs a socket address');
    else
      list.push(address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`);
  });
  return list;
}
