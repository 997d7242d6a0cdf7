import { durationMs } from '../api/duration.ts';
import type { Address } from '../api/generated/envoy/config/core/v3/address_pb.js';
import type { DnsCacheConfig } from '../api/generated/envoy/extensions/common/dynamic_forward_proxy/v3/dns_cache_pb.js';
import type { CaresDnsResolverConfig } from '../api/generated/envoy/extensions/network/dns_resolver/cares/v3/cares_dns_resolver_pb.js';
import type { DnsCacheModel } from './dns-cache.ts';
import { typeNameOf } from '../api/type-name.ts';

const CARES = 'envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig';
const SYSTEM = 'envoy.extensions.network.dns_resolver.getaddrinfo.v3.GetAddrInfoDnsResolverConfig';
/** By Cluster.DnsLookupFamily's numbers. */
const FAMILIES: readonly DnsCacheModel['lookupFamily'][] = ['AUTO', 'V4_ONLY', 'V6_ONLY', 'V4_PREFERRED', 'ALL'];

/** Who hears what is wrong with a DnsCacheConfig; paths are relative to it. */
export interface DnsCacheProblems {
  unsupported(field: string): void;
  error(field: string, message: string): void;
}

/** `readCares`: decodes that message. */
export function buildDnsCache(
  message: DnsCacheConfig,
  readCares: (value: Uint8Array) => CaresDnsResolverConfig | undefined,
  problems: DnsCacheProblems,
): DnsCacheModel {
  if (message.keyValueConfig !== undefined) problems.unsupported('key_value_config');
  if (message.useTcpForDnsLookups) problems.unsupported('use_tcp_for_dns_lookups');
  const failure = message.dnsFailureRefreshRate;
  const baseMs = durationMs(failure?.baseInterval) ?? 0;
  const maxMs = Math.max(baseMs, durationMs(failure?.maxInterval) ?? baseMs * 10);
  return {
    name: message.name,
    lookupFamily: FAMILIES[message.dnsLookupFamily] ?? 'AUTO',
    refreshRateMs: durationMs(message.dnsRefreshRate) ?? 60_000,
    minRefreshRateMs: durationMs(message.dnsMinRefreshRate) ?? 5000,
    failureRefresh: failure === undefined ? undefined : { baseMs, maxMs },
    hostTtlMs: durationMs(message.hostTtl) ?? 300_000,
    maxHosts: message.maxHosts ?? 1024,
    maxPendingRequests: message.dnsCacheCircuitBreaker?.maxPendingRequests ?? 1024,
    queryTimeoutMs: durationMs(message.dnsQueryTimeout) ?? 5000,
    preresolve: message.preresolveHostnames.map(({ address, portSpecifier }) => ({
      host: address,
      port: portSpecifier.case === 'portValue' ? portSpecifier.value : 0,
    })),
    resolvers: buildResolvers(message, readCares, problems),
  };
}

function buildResolvers(
  message: DnsCacheConfig,
  readCares: (value: Uint8Array) => CaresDnsResolverConfig | undefined,
  problems: DnsCacheProblems,
): string[] {
  const typed = message.typedDnsResolverConfig;
  const config = typed?.typedConfig;
  if (typed !== undefined && config !== undefined) {
    const typeName = typeNameOf(config.typeUrl);
    if (typeName === SYSTEM) return [];
    if (typeName === CARES) {
      const cares = readCares(config.value);
      if (cares?.dnsResolverOptions?.useTcpForDnsLookups === true)
        problems.unsupported('typed_dns_resolver_config.typed_config.dns_resolver_options.use_tcp_for_dns_lookups');
      return servers(cares?.resolvers ?? []);
    }
    problems.error('typed_dns_resolver_config', `unsupported: the DNS resolver '${typed.name}' is not implemented`);
    return [];
  }
  const resolution = message.dnsResolutionConfig;
  if (resolution?.dnsResolverOptions?.useTcpForDnsLookups === true)
    problems.unsupported('dns_resolution_config.dns_resolver_options.use_tcp_for_dns_lookups');
  return servers(resolution?.resolvers ?? []);
}

/** Those that are sockets; there are no others for DNS. */
function servers(addresses: readonly Address[]): string[] {
  return addresses.flatMap(({ address }) => {
    if (address.case !== 'socketAddress') return [];
    const { address: host, portSpecifier } = address.value;
    const port = portSpecifier.case === 'portValue' ? portSpecifier.value : 53;
    return [host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`];
  });
}
