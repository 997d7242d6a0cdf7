import type { ClusterModel } from '../../config/cluster-model.ts';
import type { ConnectionInfo, Metadata, StreamInfo, UpstreamHostInfo } from '../../filters/stream-info.ts';
import type { StatBlock } from '../../telemetry/stats/stats.ts';
import type { HttpProtocol, StreamEvents, StreamHandle, StreamResetReason } from '../codec/codec.ts';
import type { ConnectionInput, HalfClosableOutput } from '../codec/connection-io.ts';
import type { UpstreamTransportOptions } from '../transport-socket/transport-socket.ts';

/** The clusters of this worker. */
export interface Clusters {
  get(name: string): Cluster | undefined;
}

/** One upstream cluster, as the router uses it. */
export interface Cluster {
  readonly name: string;
  readonly model: ClusterModel;
  /** `cluster.<name>.` */
  readonly stats: StatBlock;
  /** The share of requests that the control plane wants refused (`drop_overloads`), 0 to 1. */
  readonly dropOverload: number;
  /** Chooses a host; undefined: 503 UH. */
  pickHost(context: LoadBalancerContext): Host | undefined;
  /**
   * The connection pool to `host` for requests of this priority. `transport` absent: the cluster's own transport socket
   * as configured. `downstream`: what the request came with, for clusters that speak the same upstream.
   */
  pool(host: Host, priority: 'default' | 'high', transport?: UpstreamTransportOptions, downstream?: HttpProtocol): Pool;
  /** Connections that carry bytes of no particular protocol, for the TCP proxy. */
  tcpPool(host: Host, priority: 'default' | 'high', transport?: UpstreamTransportOptions): TcpPool;
  /** Limits of one priority, shared by all workers. */
  breaker(priority: 'default' | 'high'): CircuitBreaker;
  /**
   * TRACKED_STATS of cluster-stats.ts, with `track_timeout_budgets` or `request_response_sizes`; which of the two says
   * the model.
   */
  readonly trackedStats: StatBlock | undefined;
  /** Counts a response to this cluster: `upstream_rq_<code>`, `_<class>xx`, and the `internal.`/`external.`/`canary.` variants. */
  chargeResponse(status: number, internal: boolean, canary: boolean): void;
  /** Counts a request that it refused to send, for load reports; `overload`: because of `dropOverload`. */
  countDrop(overload: boolean): void;
  /** Records the time of a response in `upstream_rq_time` and the `internal.`/`external.` variant. */
  chargeResponseTime(ms: number, internal: boolean, canary: boolean): void;
}

/**
 * Admission by circuit breaker. `try*` counts when it admits; each success needs one `release*`. Requests (and pending
 * requests and connections) are admitted and released by the pool, as in Envoy: one too many fails the PoolRequest with
 * `overflow`. The router asks for retries only; `upstream_rq_retry_overflow` is counted here.
 */
export interface CircuitBreaker {
  /** Requests in flight (`max_requests`). For the pool. */
  tryRequest(): boolean;
  releaseRequest(): void;
  /** Whether one more connection is within `max_connections`. For the TCP proxy, which asks first; nothing is counted. */
  canConnect(): boolean;
  /** Retries in flight (`max_retries`, or the retry budget). */
  tryRetry(): boolean;
  releaseRetry(): void;
}

/** What the choice of a host may depend on. Implemented by the attempt, so that nothing is allocated. */
export interface LoadBalancerContext {
  /** The request's hash (hash policies), or undefined. */
  readonly hash: bigint | undefined;
  readonly metadataMatch: Metadata | undefined;
  /** For ORIGINAL_DST clusters: the stream (TCP: the connection) that goes there. Absent: nothing is known. */
  readonly streamInfo?: StreamInfo | undefined;
  /** For ORIGINAL_DST clusters that look at a header. Absent: there are none (TCP). */
  readonly requestHeaders?: { get(name: string): string | undefined } | undefined;
  /** A host that a filter asked for (`ip:port`). */
  readonly overrideHost: string | undefined;
  readonly overrideHostStrict: boolean;
  /** True: this host won't do (retry host predicates); at most `hostSelectionRetries` times in a row. */
  rejectHost(host: Host): boolean;
  readonly hostSelectionRetries: number;
}

/** One upstream host. The same object lives as long as the address stays in its cluster. */
export interface Host extends UpstreamHostInfo {
  readonly canary: boolean;
  readonly weight: number;
  readonly priority: number;
  /** Counts a request (`rq_total`, `rq_active`). The pool calls it, when it gives a request its stream; the router doesn't. */
  requestStarted(): void;
  /** `rq_active` goes down. The pool calls it, when the stream is over; the router doesn't. */
  streamEnded(): void;
  /**
   * `rq_success` or `rq_error`: the router calls it once for each attempt, when response headers have come (`success`:
   * not 5xx) or the attempt was reset.
   */
  requestEnded(success: boolean): void;
  /** `rq_timeout`; the router calls it. */
  requestTimedOut(): void;
  /** `x-envoy-immediate-health-check-fail` from this host. */
  failHealthCheck(): void;
}

/**
 * A pool of connections to one host. It counts `upstream_cx_*`, `upstream_rq_total`, `upstream_rq_active`,
 * `upstream_rq_pending_*`, `upstream_rq_active_overflow` and `upstream_rq_cancelled`; all other `upstream_rq_*` are the
 * router's.
 */
export interface Pool {
  /**
   * A stream at once, if a connection is free; else undefined, and `request.onPoolReady` or `onPoolFailure` is called
   * later, never from inside this call. Events of the stream go to `request`.
   */
  newStream(request: PoolRequest): UpstreamStream | undefined;
  /** Takes a waiting request out of the queue. Harmless if it isn't there. */
  cancel(request: PoolRequest): void;
}

export type PoolFailureReason = Extract<
  StreamResetReason,
  'local connection failure' | 'remote connection failure' | 'connection timeout' | 'overflow'
>;

/** Who wants a stream. */
export interface PoolRequest extends StreamEvents {
  onPoolReady(stream: UpstreamStream): void;
  /**
   * `transportFailure`: text for %UPSTREAM_TRANSPORT_FAILURE_REASON%, '' if there is none. `host`: whom it is put down
   * to (%UPSTREAM_HOST%, `rq_error`); undefined when there were too many pending requests.
   */
  onPoolFailure(reason: PoolFailureReason, transportFailure: string, host?: Host): void;
}

/** A stream on an upstream connection. */
export interface UpstreamStream extends StreamHandle {
  readonly host: Host;
  readonly connection: ConnectionInfo;
  /** '' = none: a connection that carries the payload of a CONNECT as it is. */
  readonly protocol: HttpProtocol | '';
  readonly wireBytesSent: number;
  readonly wireBytesReceived: number;
  /** The part of them that header sections took; absent: not counted. */
  readonly headerBytesSent?: number;
  readonly headerBytesReceived?: number;
}

/** Connections to one host, each used for one downstream connection. It counts `upstream_cx_*` and `upstream_rq_*` as Envoy's TCP pool. */
export interface TcpPool {
  /** `onPoolReady` or `onPoolFailure` is called later, never from inside this call. */
  newConnection(request: TcpPoolRequest): void;
  /** Takes a waiting request out of the queue. Harmless if it isn't there. */
  cancel(request: TcpPoolRequest): void;
}

/** Who wants a connection. */
export interface TcpPoolRequest {
  onPoolReady(connection: UpstreamConnection): void;
  /** See PoolRequest. */
  onPoolFailure(reason: PoolFailureReason, transportFailure: string, host?: Host): void;
}

/** An upstream connection that is its user's alone, until it is closed. */
export interface UpstreamConnection extends HalfClosableOutput {
  readonly host: Host;
  readonly info: ConnectionInfo;
  /** Where its bytes go to; to be set inside `onPoolReady`. Its `onClose` is the end. */
  input: ConnectionInput | undefined;
  /** Bytes written that the system hasn't taken yet. */
  readonly bufferedBytes: number;
  /** The peer ended it with a RST; valid inside `onClose`. */
  readonly wasReset: boolean;
  /** `reset`: now, with a RST where the system lets us. `abort` and `reset` also cut a flush short. */
  close(how: 'flush' | 'flush-no-delay' | 'abort' | 'reset'): void;
}
