import type { SocketOption } from '../../api/generated/envoy/config/core/v3/socket_option_pb.js';
import type { Listener } from '../../api/generated/envoy/config/listener/v3/listener_pb.js';
import type { FilterChainModel, KeepAliveModel, ListenerFilterModel, ListenerModel } from '../listener-model.ts';
import type { AddressModel } from '../common-model.ts';
import type { Problems } from '../problem.ts';
import { parseIpAddress } from '../../lib/ip-address.ts';
import { buildAccessLogs } from './access-log.ts';
import { durationMs } from '../../api/duration.ts';
import { buildAddress, buildMetadata } from './common.ts';
import { buildFilterChain } from './filter-chain.ts';
import { overlappingChain } from './filter-chain-overlap.ts';
import { buildFilterChainMatcher } from './filter-chain-matcher.ts';
import type { ListenerBuildContext } from './listener-context.ts';
import { buildListenerFilter, ORIGINAL_DST_FILTER, PROXY_PROTOCOL_FILTER } from './listener-filter.ts';
import { reportUnsupportedFields } from './unsupported-fields.ts';

const FIELDS = [
  'name',
  'address',
  'additional_addresses',
  'stat_prefix',
  'filter_chains',
  'filter_chain_matcher',
  'use_original_dst',
  'default_filter_chain',
  'per_connection_buffer_limit_bytes',
  'metadata',
  'deprecated_v1',
  'drain_type',
  'listener_filters',
  'listener_filters_timeout',
  'continue_on_listener_filters_timeout',
  'socket_options',
  'transparent',
  'traffic_direction',
  'udp_listener_config',
  'api_listener',
  'reuse_port',
  'enable_reuse_port',
  'access_log',
  'tcp_backlog_size',
  'bind_to_port',
  'internal_listener',
  'ignore_global_conn_limit',
  // How many connections are accepted at a time is the event loop's to say.
  'max_connections_to_accept_per_socket_event',
  // Overload does nothing to listeners but limit their connections.
  'bypass_overload_manager',
];

const MEBIBYTE = 1 << 20;
const FIFTEEN_SECONDS_MS = 15_000;
/** What Envoy asks of listen(2) where nothing is configured is the system's limit; Node's default is 511. */
const BACKLOG = 4096;
const DIRECTIONS: readonly ListenerModel['trafficDirection'][] = ['unspecified', 'inbound', 'outbound'];

const SOL_SOCKET = 1n;
const SO_KEEPALIVE = 9n;
const IPPROTO_TCP = 6n;
const TCP_KEEPIDLE = 4n;

/**
 * config.listener.v3.Listener; `problems` stands at it. The message has passed the rules of its descriptor. After an
 * error in `problems` the model must not be used.
 */
export function buildListener(message: Listener, problems: Problems, context: ListenerBuildContext): ListenerModel {
  reportUnsupportedFields(context.types, message, FIELDS, problems);
  refuseOtherKinds(message, problems);
  const chains = problems.at('filter_chains');
  const filterChains = message.filterChains.map((chain, index) => buildFilterChain(chain, chains.at(index), context));
  if (message.filterChainMatcher === undefined) checkDistinct(filterChains, chains);
  else checkNamed(message, chains);
  const ofDefault = message.defaultFilterChain;
  const address = buildIpAddress(message.address, problems.at('address'));
  return {
    name: message.name,
    address,
    additionalAddresses: message.additionalAddresses.map((additional, index) => {
      const at = problems.at('additional_addresses').at(index);
      if (additional.socketOptions !== undefined) at.unsupported('socket_options');
      return buildIpAddress(additional.address, at.at('address'));
    }),
    statPrefix: message.statPrefix,
    filterChains,
    defaultFilterChain:
      ofDefault === undefined ? undefined : buildFilterChain(ofDefault, problems.at('default_filter_chain'), context),
    filterChainMatcher:
      message.filterChainMatcher &&
      buildFilterChainMatcher(message.filterChainMatcher, problems.at('filter_chain_matcher'), context.types),
    listenerFilters: buildListenerFilters(message, problems.at('listener_filters'), context),
    listenerFiltersTimeoutMs: durationMs(message.listenerFiltersTimeout) ?? FIFTEEN_SECONDS_MS,
    continueOnListenerFiltersTimeout: message.continueOnListenerFiltersTimeout,
    perConnectionBufferLimitBytes: message.perConnectionBufferLimitBytes ?? MEBIBYTE,
    reusePort: message.enableReusePort ?? true,
    backlog: message.tcpBacklogSize ?? BACKLOG,
    bindToPort: message.bindToPort ?? message.deprecatedV1?.bindToPort ?? true,
    useOriginalDst: message.useOriginalDst ?? false,
    transparent: message.transparent ?? false,
    trafficDirection: DIRECTIONS[message.trafficDirection] ?? 'unspecified',
    accessLogs: buildAccessLogs(message.accessLog, problems.at('access_log')),
    drainType: message.drainType === 1 ? 'modify-only' : 'default',
    keepAlive: buildKeepAlive(message.socketOptions, problems.at('socket_options')),
    ignoreGlobalConnectionLimit: message.ignoreGlobalConnLimit,
    connectionSlot: 0,
    metadata: buildMetadata(message.metadata, problems.at('metadata')),
  };
}

/** Kinds of listeners, and ways to choose a filter chain, that we can't serve: to go on would mean to mis-route. */
function refuseOtherKinds(message: Listener, problems: Problems): void {
  if (message.udpListenerConfig !== undefined)
    problems.at('udp_listener_config').error('unsupported: UDP is not implemented');
  if (message.apiListener !== undefined)
    problems.at('api_listener').error('unsupported: API listeners are not implemented');
  if (message.listenerSpecifier.case === 'internalListener')
    problems.at('internal_listener').error('unsupported: internal listeners are not implemented');
  if (message.filterChains.length === 0 && message.defaultFilterChain === undefined)
    problems.at('filter_chains').error('no filter chains specified');
}

/** A listener binds to addresses, not to names. */
function buildIpAddress(message: Listener['address'], problems: Problems): AddressModel {
  if (message === undefined) {
    problems.error('address is necessary');
    return { kind: 'socket', host: '', port: 0, ipv4Compat: false };
  }
  const address = buildAddress(message, problems);
  if (address.kind === 'socket' && address.host !== '' && parseIpAddress(address.host) === undefined)
    problems.at('socket_address').at('address').error(`malformed IP address: ${address.host}`);
  return address;
}

function checkDistinct(chains: readonly FilterChainModel[], problems: Problems): void {
  const seen = new Map<string, string>();
  let isDistinct = true;
  chains.forEach(({ name, match }, index) => {
    const key = JSON.stringify(match);
    const other = seen.get(key);
    if (other !== undefined) {
      isDistinct = false;
      problems.at(index).error(`filter chain '${name}' has the same matching rules defined as '${other}'`);
    }
    seen.set(key, name);
  });
  const overlapping = isDistinct ? overlappingChain(chains) : undefined;
  if (overlapping !== undefined)
    problems.at(overlapping).error('multiple filter chains with overlapping matching rules are defined');
}

/** A matching tree names chains; their own criteria count for nothing. */
function checkNamed({ filterChains }: Listener, problems: Problems): void {
  const seen = new Set<string>();
  filterChains.forEach(({ name }, index) => {
    const at = problems.at(index);
    if (name === '') at.error('name of a filter chain is required when filter_chain_matcher is used');
    else if (seen.has(name)) at.error(`filter chain '${name}' is defined twice`);
    seen.add(name);
  });
}

function buildListenerFilters(
  message: Listener,
  problems: Problems,
  context: ListenerBuildContext,
): readonly ListenerFilterModel[] {
  const filters = message.listenerFilters
    .map((filter, index) => buildListenerFilter(filter, problems.at(index), context))
    .filter((filter) => filter !== undefined);
  if (message.useOriginalDst === true) filters.push(ORIGINAL_DST_FILTER);
  // Envoy asks the first chain only.
  const chain = message.filterChains[0] ?? message.defaultFilterChain;
  if (chain?.useProxyProto === true) filters.push(PROXY_PROTOCOL_FILTER);
  return filters;
}

/** Of the socket options those that Node can set: SO_KEEPALIVE and TCP_KEEPIDLE. */
function buildKeepAlive(messages: readonly SocketOption[], problems: Problems): KeepAliveModel | undefined {
  let on = false;
  let idleMs = 0;
  messages.forEach((message, index) => {
    const { level, name, value } = message;
    if (value.case === 'intValue' && level === SOL_SOCKET && name === SO_KEEPALIVE) on = value.value !== 0n;
    else if (value.case === 'intValue' && level === IPPROTO_TCP && name === TCP_KEEPIDLE)
      idleMs = Number(value.value) * 1000;
    else problems.at(index).unsupported('name', `socket option ${level}/${name} is not implemented`);
  });
  return on ? { idleMs } : undefined;
}
