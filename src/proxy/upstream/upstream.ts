import type { ClusterModel } from '../../config/cluster-model.ts';
import type { ConnectionInfo, Metadata, UpstreamHostInfo } from '../../filters/stream-info.ts';
import type { StatBlock } from '../../telemetry/stats/stats.ts';
import type { HttpProtocol, StreamEvents, StreamHandle, StreamResetReason } from '../codec/codec.ts';

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
  /** Chooses a host; undefined: 503 UH. */
  pickHost(context: LoadBalancerContext): Host | undefined;
  /** The connection pool to `host` for requests of this priority. */
  pool(host: Host, priority: 'default' | 'high'): Pool;
  /** Limits of one priority, shared by all workers. */
  breaker(priority: 'default' | 'high'): CircuitBreaker;
  /** `timeout_budget_stats`/`request_response_size_stats` if tracked, else undefined. */
  readonly trackedStats: StatBlock | undefined;
  /** Counts a response to this cluster: `upstream_rq_<code>`, `_<class>xx`, and the `internal.`/`external.`/`canary.` variants. */
  chargeResponse(status: number, internal: boolean, canary: boolean): void;
  /** Records the time of a response in `upstream_rq_time` and the `internal.`/`external.` variant. */
  chargeResponseTime(ms: number, internal: boolean, canary: boolean): void;
}

/** Admission by circuit breaker. `try*` counts when it admits; each success needs one `release*`. */
export interface CircuitBreaker {
  /** Requests in flight (`max_requests`). */
  tryRequest(): boolean;
  releaseRequest(): void;
  /** Retries in flight (`max_retries`, or the retry budget). */
  tryRetry(): boolean;
  releaseRetry(): void;
}

/** What the choice of a host may depend on. Implemented by the attempt, so that nothing is allocated. */
export interface LoadBalancerContext {
  /** The request's hash (hash policies), or undefined. */
  readonly hash: bigint | undefined;
  readonly metadataMatch: Metadata | undefined;
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
  /** Counts for `/clusters` and least-request. */
  requestStarted(): void;
  /** `success`: neither 5xx nor reset. */
  requestEnded(success: boolean): void;
  requestTimedOut(): void;
  /** `x-envoy-immediate-health-check-fail` from this host. */
  failHealthCheck(): void;
}

/** A pool of connections to one host. */
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
  /** `transportFailure`: text for %UPSTREAM_TRANSPORT_FAILURE_REASON%, '' if there is none. */
  onPoolFailure(reason: PoolFailureReason, transportFailure: string): void;
}

/** A stream on an upstream connection. */
export interface UpstreamStream extends StreamHandle {
  readonly host: Host;
  readonly connection: ConnectionInfo;
  readonly protocol: HttpProtocol;
  readonly wireBytesSent: number;
  readonly wireBytesReceived: number;
}
