import type {
  ConnectModel,
  InternalRedirectModel,
  MirrorPolicyModel,
  RetryPolicyModel,
  RouteConfigModel,
} from '../../config/route-model.ts';
import type { Metadata, StreamInfo } from '../../filters/stream-info.ts';
import type { StatBlock } from '../../telemetry/stats/stats.ts';
import type { HeaderMap } from '../http/headers.ts';
import type { HashPolicy } from './hash-policy.ts';
import type { RateLimitPolicy } from '../../filters/rate-limit-policy.ts';

export type {
  ConnectModel,
  HeaderMatcherModel,
  InternalRedirectModel,
  MirrorPolicyModel,
  RateLimitedBackOffModel,
  RetryPolicyModel,
} from '../../config/route-model.ts';

/** A route configuration, compiled: answers which route a request takes. Immutable. */
export interface RouteTable {
  readonly name: string;
  readonly model: RouteConfigModel;
  /** Picks virtual host, route and (weighted) cluster. Undefined: 404 NR. `randomValue` decides weights and fractions. */
  resolve(headers: HeaderMap, info: StreamInfo, randomValue: number): Route | undefined;
  /** Gives its stats back. Once no new stream is given this table; streams that took a route of it may go on. */
  close(): void;
}

/** The route that a request took: the compiled route itself, or one of its weighted clusters in front of it. */
export interface Route {
  readonly name: string;
  readonly virtualHost: VirtualHost;
  readonly metadata: Metadata | undefined;
  /** `vhost.<vhost>.route.<stat_prefix>.` stats if the route has a stat_prefix. */
  readonly stats: StatBlock | undefined;
  readonly action: ForwardAction | RedirectAction | DirectResponseAction | NonForwardingAction;
  /** typed_per_filter_config of `filterName`, from least (virtual host) to most specific (weighted cluster); compiled. */
  perFilterConfigs(filterName: string): readonly PerFilterConfig[];
  /**
   * Header mutations and rewrites of the request, just before it is sent (Envoy's finalizeRequestHeaders).
   * `insertOriginalPath` (default true): a path rewrite leaves the old path in `x-envoy-original-path`; the router
   * passes `!suppress_envoy_headers`.
   */
  finalizeRequest(headers: HeaderMap, info: StreamInfo, insertOriginalPath?: boolean): void;
  /** Header mutations of the response, at all levels. */
  finalizeResponse(headers: HeaderMap, requestHeaders: HeaderMap, info: StreamInfo): void;
}

/** One per-route config of one filter. `typed` still has to be decoded by the filter that owns it. */
export interface PerFilterConfig {
  readonly disabled: boolean | undefined;
  readonly typeName: string;
  readonly value: Uint8Array | undefined;
}

export interface VirtualHost {
  readonly name: string;
  readonly includeAttemptCountInRequest: boolean;
  readonly includeAttemptCountInResponse: boolean;
  readonly includeIsTimeoutRetryHeader: boolean;
  /** Undefined: it has no rate limits. */
  readonly rateLimits?: RateLimitPolicy | undefined;
  /** The virtual cluster that a request belongs to, with its stats; undefined if the virtual host has none. */
  virtualCluster(headers: HeaderMap): VirtualCluster | undefined;
}

export interface VirtualCluster {
  readonly name: string;
  readonly stats: StatBlock;
}

export interface ForwardAction {
  readonly kind: 'forward';
  /** '' when `cluster_header` names a header that the request lacks: 503/404 as for an unknown cluster. */
  readonly clusterName: string;
  readonly clusterNotFoundStatus: number;
  readonly priority: 'default' | 'high';
  /** Global timeout in ms; 0 = none. */
  readonly timeoutMs: number;
  /** Stream idle timeout in ms, overriding the HCM's; undefined = the HCM's; 0 = none. */
  readonly idleTimeoutMs: number | undefined;
  readonly maxStreamDurationMs: number | undefined;
  readonly grpcTimeoutHeaderMaxMs: number | undefined;
  readonly grpcTimeoutHeaderOffsetMs: number | undefined;
  /** The deprecated `max_grpc_timeout` and `grpc_timeout_offset`. 0 = any timeout that the request asks for. */
  readonly maxGrpcTimeoutMs?: number | undefined;
  readonly grpcTimeoutOffsetMs?: number | undefined;
  readonly retry: RetryPolicyModel | undefined;
  readonly hedgeOnPerTryTimeout: boolean;
  /** `per_request_buffer_limit_bytes` of the route or virtual host; undefined = the connection's limit. */
  readonly requestBufferLimitBytes: number | undefined;
  readonly mirrors: readonly MirrorPolicyModel[];
  readonly internalRedirect: InternalRedirectModel | undefined;
  readonly autoHostRewrite: boolean;
  readonly appendXForwardedHost: boolean;
  /** upgrade type (lower case) -> enabled, overriding the HCM's. */
  readonly upgrades: ReadonlyMap<string, boolean>;
  /** CONNECT (and POST, where allowed) ends here, and its payload goes on over a TCP connection. Undefined: it doesn't. */
  readonly connect: ConnectModel | undefined;
  readonly metadataMatch: Metadata | undefined;
  /** How the load balancer's hash is made; undefined: it gets none. */
  readonly hashPolicy: HashPolicy | undefined;
  /** Undefined: it has no rate limits. */
  readonly rateLimits?: RateLimitPolicy | undefined;
  /** Those of the virtual host count, too, whatever else is configured. */
  readonly includeVirtualHostRateLimits?: boolean;
}

export interface RedirectAction {
  readonly kind: 'redirect';
  readonly status: number;
  /**
   * The `location` for this request; call it once a request. A path rewrite changes `:path` in `headers` and, if
   * `insertOriginalPath` (default true), leaves the old one in `x-envoy-original-path`, where Envoy's logs show it.
   */
  location(headers: HeaderMap, insertOriginalPath?: boolean): string;
}

export interface DirectResponseAction {
  readonly kind: 'direct-response';
  readonly status: number;
  /** Latin1 text, one character per byte. */
  readonly body: string;
  /** The request's own URL for a status of 201 or 3xx, for which Envoy adds a `location`; else ''. */
  location(headers: HeaderMap): string;
}

/** A route for other purposes than forwarding: a request gets 503 as for an unknown cluster, as in Envoy. */
export interface NonForwardingAction {
  readonly kind: 'non-forwarding';
}
