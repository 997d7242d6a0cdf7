import type { Clock } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import type { StatsScope } from '../../telemetry/stats/stats.ts';
import type { ConfigType } from '../config-type.ts';
import type { FilterLogger, RuntimeReader } from '../http/filter.ts';

/**
 * What a listener filter says after it has looked: go on to the next one; wait for more bytes; drop the connection
 * (silently, as Envoy does: the filter has counted why).
 */
export type ListenerVerdict = 'continue' | 'wait' | 'close';

/**
 * One listener filter on one accepted socket (Envoy's Network::ListenerFilter), before a filter chain is chosen.
 * Filters run in order, each until it says `continue`. A peer that closes before ends the connection.
 */
export interface ListenerFilter {
  /** The first call. `wait` asks for bytes: `onData` follows. */
  onAccept(): ListenerVerdict;
  /**
   * All bytes that have come and were not consumed, at least one, from the first on; called again with more of them
   * after `wait`. Only valid during the call.
   */
  onData?(bytes: Buffer): ListenerVerdict;
  /** The last call, exactly once. */
  onDestroy?(): void;
}

/** The accepted connection, as listener filters see and change it. Addresses are those of ConnectionInfo. */
export interface ListenerConnection {
  /** Empty for a Unix socket. */
  readonly remoteIp: string;
  readonly remotePort: number;
  readonly localIp: string;
  readonly localPort: number;
  /** `raw_buffer` or `tls`; '' = no filter has said yet. */
  readonly transportProtocol: string;
  /** `raw_buffer` until a filter says otherwise. */
  setTransportProtocol(name: string): void;
  /** Lower-case. */
  setServerName(name: string): void;
  setApplicationProtocols(names: readonly string[]): void;
  /** '' = not computed. */
  setTlsFingerprints(ja3: string, ja4: string): void;
  /** Whom the connection is from and to, in place of what the socket says (PROXY protocol). */
  setAddresses(remoteIp: string, remotePort: number, localIp: string, localPort: number): void;
  /** Where it was going before it was redirected to us; `use_original_dst` and ORIGINAL_DST clusters go by it. */
  restoreLocalAddress(ip: string, port: number): void;
  /** The destination before a REDIRECT, or that of a TPROXY; undefined: there was none, or it can't be told. */
  originalDestination(): { readonly ip: string; readonly port: number } | undefined;
  /** Takes the first `bytes` away, so that nobody after this filter sees them. */
  consume(bytes: number): void;
  /** What the PROXY protocol header carried, for the log operators and for upstreams. */
  setProxyProtocolTlvs(tlvs: readonly { readonly type: number; readonly value: Uint8Array }[]): void;
  setDynamicMetadata(namespace: string, key: string, value: unknown): void;
  setFilterState(key: string, value: unknown): void;
  /** %DOWNSTREAM_TRANSPORT_FAILURE_REASON%. */
  setTransportFailureReason(reason: string): void;
}

/** What a listener filter may use while its config is compiled. */
export interface ListenerFactoryContext {
  readonly clock: Clock;
  readonly random: Random;
  /** `listener.<address>.` */
  readonly stats: StatsScope;
  readonly rootStats: StatsScope;
  readonly runtime: RuntimeReader;
  readonly log: FilterLogger;
}

export type ListenerFilterForConnection = (connection: ListenerConnection) => ListenerFilter;

/** A kind of listener filter: type -> per config -> per connection. */
export interface ListenerFilterType<Config = unknown> {
  readonly name: string;
  readonly config: ConfigType<Config>;
  /** Once a config and worker. No I/O, no timers. Throws ConfigError. */
  create(config: Config, context: ListenerFactoryContext): ListenerFilterForConnection;
}
