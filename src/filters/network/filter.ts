import type { Clock } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import type { StatsScope } from '../../telemetry/stats/stats.ts';
import type { ConfigType } from '../config-type.ts';
import type { DnsCaches } from '../dns-cache.ts';
import type { FilterLogger, LocalNode, RuntimeReader } from '../http/filter.ts';
import type { StreamInfo } from '../stream-info.ts';

/** Go on to the next filter. */
export const ContinueChain = 'continue' as const;
/**
 * Hold this (the connection's start, or the bytes) until the filter calls `connection.continueReading()`. What comes
 * meanwhile is held too, and the connection is read no further.
 */
export const StopIteration = 'stop' as const;

/** Go on, and show this filter nothing more of this direction of the connection. */
export const DetachChain = 'detach' as const;

/** Filter state: the cluster that the TCP proxy goes to, in place of its own. */
export const TCP_PROXY_CLUSTER = 'envoy.tcp_proxy.cluster';

export type NetworkVerdict = typeof ContinueChain | typeof StopIteration;
/** A `Buffer` goes on in the chunk's place; an empty one swallows it. */
export type NetworkDataVerdict = NetworkVerdict | typeof DetachChain | Buffer;
export type NetworkWriteVerdict = NetworkVerdict | typeof DetachChain;

/**
 * One network filter on one downstream connection (Envoy's Network::Filter). Every hook is optional; an absent one
 * costs nothing. Chunks are borrowed: copy what is kept past the call, unless it was held back by `stop`, which the
 * chain copies itself. A hook that throws ends its connection, and nothing else.
 */
export interface NetworkFilter {
  /** The connection is there (its handshake may not be); before any byte. */
  onConnection?(): NetworkVerdict;
  /** Bytes from the downstream; `endStream`: it has half-closed (the chunk may be empty then). The last filter's verdict doesn't count. */
  onData?(chunk: Buffer, endStream: boolean): NetworkDataVerdict;
  /** Bytes towards the downstream, seen in reverse order of the filters. What the filter itself writes here goes before them. */
  onWrite?(chunk: Buffer, endStream: boolean): NetworkWriteVerdict;
  /** The transport socket's handshake is done (at once after `onConnection` without one). */
  onHandshakeDone?(): void;
  /** The last call, exactly once, when the connection is gone. */
  onDestroy?(): void;
}

/** The stream info of a connection, as its network filters see it and write to it. */
export interface ConnectionStreamInfo extends StreamInfo {
  responseCodeDetails: string;
  connectionTerminationDetails: string;
}

/** What a network filter may know of, and do to, the connection it is on (Envoy's ReadFilterCallbacks). */
export interface NetworkConnection {
  /** Of the connection: `info.connection`, its dynamic metadata and filter state, response flags, byte counts. */
  readonly info: ConnectionStreamInfo;
  /** Goes on after `stop`. Harmless otherwise. */
  continueReading(): void;
  /** Sends bytes to the downstream; `endStream` half-closes. */
  write(chunk: Buffer, endStream: boolean): void;
  /** Stops and restarts reading from the downstream; counted. */
  pauseRead(): void;
  resumeRead(): void;
  /**
   * `details`: %CONNECTION_TERMINATION_DETAILS%. `flush`: once everything is written; `abort`: now, without a reset;
   * `reset`: with a TCP RST where the system lets us.
   */
  close(how: 'flush' | 'abort' | 'reset', details: string): void;
  readonly isClosed: boolean;
}

/** What a network filter may use while its config is compiled. */
export interface NetworkFactoryContext {
  readonly clock: Clock;
  readonly random: Random;
  /** The root scope; filters count under their own `<filter>.<stat_prefix>.`. */
  readonly rootStats: StatsScope;
  readonly runtime: RuntimeReader;
  readonly log: FilterLogger;
  /** Something that filters of this worker share under a name, made by the first that asks. */
  shared<Value>(key: string, make: () => Value): Value;
  /** Absent: there is nobody to resolve names. */
  readonly dnsCaches?: DnsCaches;
  /** `upstream`: a filter of a cluster, whose peer is a host: it reads what the host sends, and stops nothing. */
  readonly direction: 'downstream' | 'upstream';
  /** Who this proxy is. */
  readonly node: LocalNode;
  /** A count of this filter of this chain. */
  readonly sharedCount: SharedCount;
  /** Names a field of the config that is set and not implemented; heard when the config is checked. */
  unsupported(field: string): void;
  /** Calls back after `delayMs` on the worker's timer wheel, in a turn of its own; the result takes it back. */
  setTimer(delayMs: number, callback: () => void): () => void;
}

/** Counts things in flight; each `acquire` that said yes needs one `release`. */
export interface SharedCount {
  /** Adds one, unless there are `limit` already. */
  acquire(limit: number): boolean;
  release(): void;
}

export type NetworkFilterForConnection = (connection: NetworkConnection) => NetworkFilter | undefined;

/**
 * A kind of network filter: type -> per config -> per connection. Whether it ends its chain is said where it is
 * registered.
 */
export interface NetworkFilterType<Config = unknown> {
  readonly name: string;
  readonly config: ConfigType<Config>;
  /** Once a config and worker: compiles, resolves stats. No I/O, no timers. Throws ConfigError. */
  create(config: Config, context: NetworkFactoryContext): NetworkFilterForConnection;
}
