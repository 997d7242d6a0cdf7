import type { AccessLogModel, AddressModel, TypedConfigModel } from './common-model.ts';
import type { HcmModel } from './hcm-model.ts';
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
  /** In order. Empty until listener filters exist: a listener that needs one is refused. */
  readonly listenerFilters: readonly TypedConfigModel[];
  readonly listenerFiltersTimeoutMs: number;
  readonly continueOnListenerFiltersTimeout: boolean;
  /** Soft limit of each direction's buffer of a connection. Default 1 MiB. */
  readonly perConnectionBufferLimitBytes: number;
  /** Each worker has a socket of its own. Default true. */
  readonly reusePort: boolean;
  readonly backlog: number;
  readonly bindToPort: boolean;
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

export type NetworkFilterModel = HcmFilterModel;

/** envoy.filters.network.http_connection_manager. */
export interface HcmFilterModel {
  readonly kind: 'http-connection-manager';
  readonly name: string;
  readonly hcm: HcmModel;
}
