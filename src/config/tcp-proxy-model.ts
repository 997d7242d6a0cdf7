import type { AccessLogModel, HeaderValueOptionModel } from './common-model.ts';
import type { Metadata } from '../filters/stream-info.ts';

/** What a builder makes of extensions.filters.network.tcp_proxy.v3.TcpProxy. Filled in by builders/tcp-proxy.ts. */
export interface TcpProxyModel {
  /** Of `tcp.<stat_prefix>.` */
  readonly statPrefix: string;
  /** Weights as configured; one entry for `cluster`. */
  readonly clusters: readonly TcpClusterWeightModel[];
  readonly totalWeight: number;
  /** 1 h by default; 0 = none. */
  readonly idleTimeoutMs: number;
  /** 0 = none. */
  readonly maxDownstreamConnectionDurationMs: number;
  /** Up to so much is added to it at random. */
  readonly durationJitterPercent: number;
  readonly maxConnectAttempts: number;
  /** Between connect attempts; undefined: none. */
  readonly backOff: { readonly baseMs: number; readonly maxMs: number } | undefined;
  readonly metadataMatch: Metadata | undefined;
  readonly hashPolicies: readonly TcpHashPolicyModel[];
  readonly tunneling: TcpTunnelingModel | undefined;
  readonly accessLogs: readonly AccessLogModel[];
  /** For the PROXY protocol header to the upstream, where the downstream came without one. */
  readonly proxyProtocolTlvs: readonly { readonly type: number; readonly value: Uint8Array }[];
  readonly accessLogFlushIntervalMs: number;
  readonly flushAccessLogOnConnected: boolean;
}

export interface TcpClusterWeightModel {
  readonly name: string;
  readonly weight: number;
  readonly metadataMatch: Metadata | undefined;
}

export type TcpHashPolicyModel =
  { readonly kind: 'source-ip' } | { readonly kind: 'filter-state'; readonly key: string };

/** TcpProxy.TunnelingConfig: the bytes go inside of a CONNECT (or POST) to the upstream. */
export interface TcpTunnelingModel {
  /** A format string: the `:authority`. */
  readonly hostname: string;
  readonly usePost: boolean;
  readonly postPath: string;
  readonly headersToAdd: readonly HeaderValueOptionModel[];
  readonly propagateResponseHeaders: boolean;
  readonly propagateResponseTrailers: boolean;
}
