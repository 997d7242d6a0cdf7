import type { AccessLogModel, AddressModel, TypedConfigModel } from './common-model.ts';
import type { MatcherModel } from './matcher-model.ts';
import type { NetworkFilterModel } from './network-filter-model.ts';
import type { DownstreamTransportSocketModel } from './transport-socket-model.ts';
import type { Metadata } from '../filters/stream-info.ts';

/** What a builder makes of envoy.config.listener.v3.Listener. Filled in by builders/listener.ts. */
export interface ListenerModel {
  readonly name: string;
  readonly address: AddressModel;
  /** Further addresses of the same listener, opened beside `address`. */
  readonly additionalAddresses: readonly AddressModel[];
  /** Replaces the address in `listener.<address>.` stat names; '' = use the address. */
  readonly statPrefix: string;
  readonly filterChains: readonly FilterChainModel[];
  /** Takes the connections that no chain matches. */
  readonly defaultFilterChain: FilterChainModel | undefined;
  /** Chooses a filter chain by its name, in place of the chains' own criteria. */
  readonly filterChainMatcher: MatcherModel<string> | undefined;
  /** In order. */
  readonly listenerFilters: readonly ListenerFilterModel[];
  readonly listenerFiltersTimeoutMs: number;
  readonly continueOnListenerFiltersTimeout: boolean;
  /** Soft limit of each direction's buffer of a connection. Default 1 MiB. */
  readonly perConnectionBufferLimitBytes: number;
  /** Each worker has a socket of its own. Default true. */
  readonly reusePort: boolean;
  readonly backlog: number;
  /** False: the listener gets its connections only from another one with `useOriginalDst`. */
  readonly bindToPort: boolean;
  /** Connections go on to the listener whose address is their original destination, where there is one. */
  readonly useOriginalDst: boolean;
  /** Bound with IP_TRANSPARENT, so that connections to any address can be handed to it (TPROXY). */
  readonly transparent: boolean;
  readonly trafficDirection: 'unspecified' | 'inbound' | 'outbound';
  /** Connections that end before a filter chain took them, and TCP ones. */
  readonly accessLogs: readonly AccessLogModel[];
  readonly drainType: 'default' | 'modify-only';
  readonly keepAlive: KeepAliveModel | undefined;
  /** Does not count against the process's limit of downstream connections. */
  readonly ignoreGlobalConnectionLimit: boolean;
  /** First of the shared cells that count its connections; the control side fills it in. */
  readonly connectionSlot: number;
  readonly metadata: Metadata | undefined;
}

/** One entry of `listener_filters`; its config is decoded by the listener filter registry. */
export interface ListenerFilterModel {
  readonly name: string;
  readonly config: TypedConfigModel;
  /** Connections that the filter is skipped for (`filter_disabled`); undefined: none. */
  readonly disabled: ListenerFilterPredicateModel | undefined;
}

/** config.listener.v3.ListenerFilterChainMatchPredicate. */
export type ListenerFilterPredicateModel =
  | { readonly kind: 'any' }
  | { readonly kind: 'not'; readonly rule: ListenerFilterPredicateModel }
  | { readonly kind: 'and' | 'or'; readonly rules: readonly ListenerFilterPredicateModel[] }
  /** start <= port < end, of the local address. */
  | { readonly kind: 'destination-port'; readonly start: number; readonly end: number };

/** The TCP keepalive that socket options ask for (SO_KEEPALIVE, TCP_KEEPIDLE). */
export interface KeepAliveModel {
  readonly idleMs: number;
}

/** envoy.config.listener.v3.FilterChain. */
export interface FilterChainModel {
  /** '' = unnamed. */
  readonly name: string;
  readonly match: FilterChainMatchModel;
  /** In order; the last one is terminal. */
  readonly networkFilters: readonly NetworkFilterModel[];
  /** Undefined: raw buffer. */
  readonly transportSocket: DownstreamTransportSocketModel | undefined;
  /** Until a transport socket (TLS handshake) is ready; undefined = no limit. */
  readonly transportSocketConnectTimeoutMs: number | undefined;
  readonly metadata: Metadata | undefined;
}

/** Criteria that a connection must all fulfil; an empty list (or undefined) matches everything. */
export interface FilterChainMatchModel {
  readonly destinationPort: number | undefined;
  /** CIDR ranges, `address/length`. */
  readonly prefixRanges: readonly string[];
  readonly serverNames: readonly string[];
  readonly transportProtocol: string;
  readonly applicationProtocols: readonly string[];
  readonly directSourcePrefixRanges: readonly string[];
  readonly sourceType: 'any' | 'same-ip-or-loopback' | 'external';
  readonly sourcePrefixRanges: readonly string[];
  readonly sourcePorts: readonly number[];
}
