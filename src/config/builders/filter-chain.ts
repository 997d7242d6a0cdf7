import type {
  FilterChain,
  FilterChainMatch,
} from '../../api/generated/envoy/config/listener/v3/listener_components_pb.js';
import type { FilterChainMatchModel, FilterChainModel } from '../listener-model.ts';
import type { Problems } from '../problem.ts';
import { buildCidrRanges } from './cidr-ranges.ts';
import { durationMs } from '../../api/duration.ts';
import { buildMetadata } from './common.ts';
import type { ListenerBuildContext } from './listener-context.ts';
import { buildNetworkFilter } from './network-filter.ts';
import { buildDownstreamTransportSocket } from './transport-socket.ts';
import { reportUnsupportedFields } from './unsupported-fields.ts';

const FIELDS = [
  'name',
  'filter_chain_match',
  'filters',
  'use_proxy_proto',
  'metadata',
  'transport_socket',
  'transport_socket_connect_timeout',
];
const SOURCE_TYPES: readonly FilterChainMatchModel['sourceType'][] = ['any', 'same-ip-or-loopback', 'external'];

/** config.listener.v3.FilterChain; `problems` stands at it. */
export function buildFilterChain(
  message: FilterChain,
  problems: Problems,
  context: ListenerBuildContext,
): FilterChainModel {
  reportUnsupportedFields(context.types, message, FIELDS, problems);
  const filters = problems.at('filters');
  const last = message.filters.length - 1;
  return {
    name: message.name,
    match: buildMatch(message.filterChainMatch, message.name, problems.at('filter_chain_match')),
    networkFilters: message.filters
      .map((filter, index) => buildNetworkFilter(filter, index === last, filters.at(index), context))
      .filter((filter) => filter !== undefined),
    transportSocket: buildDownstreamTransportSocket(message.transportSocket, problems.at('transport_socket'), context),
    transportSocketConnectTimeoutMs: durationMs(message.transportSocketConnectTimeout),
    metadata: buildMetadata(message.metadata, problems.at('metadata')),
  };
}

function buildMatch(
  message: FilterChainMatch | undefined,
  chainName: string,
  problems: Problems,
): FilterChainMatchModel {
  if (message !== undefined && (message.addressSuffix !== '' || message.suffixLen !== undefined))
    problems.error(`filter chain '${chainName}' contains unimplemented fields`);
  message?.serverNames.forEach((name, index) => {
    if (name.includes('*') && !name.startsWith('*.'))
      problems.at('server_names').at(index).error('partial wildcards are not supported in "server_names"');
  });
  const ranges = (field: 'prefixRanges' | 'sourcePrefixRanges' | 'directSourcePrefixRanges', name: string) =>
    buildCidrRanges(message?.[field] ?? [], problems.at(name));
  return {
    destinationPort: message?.destinationPort,
    prefixRanges: ranges('prefixRanges', 'prefix_ranges'),
    serverNames: (message?.serverNames ?? []).map((name) => name.toLowerCase()),
    transportProtocol: message?.transportProtocol ?? '',
    applicationProtocols: message?.applicationProtocols ?? [],
    directSourcePrefixRanges: ranges('directSourcePrefixRanges', 'direct_source_prefix_ranges'),
    sourceType: SOURCE_TYPES[message?.sourceType ?? 0] ?? 'any',
    sourcePrefixRanges: ranges('sourcePrefixRanges', 'source_prefix_ranges'),
    sourcePorts: message?.sourcePorts ?? [],
  };
}
