import type { Clock } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import type { StatsScope } from '../../telemetry/stats/stats.ts';
import type { ConfigType } from '../config-type.ts';
import type { DnsCaches } from '../dns-cache.ts';
import type { HeaderList, Headers } from '../headers.ts';
import type { Metadata, StreamInfo } from '../stream-info.ts';

/** Carry on. A chunk passes unchanged. */
export const Continue = 'continue' as const;
/** Carry on, and show me nothing more of this direction of this stream. */
export const Detach = 'detach' as const;
/**
 * Hold the headers, gather the whole body (up to the buffer limit, else 413), then call the data hook once with all of
 * it, and with the trailers if there are any. Headers and trailers may still be changed there.
 */
export const CollectBody = 'collect-body' as const;

/** End the stream here and answer the client ourselves. A returned value, so it cannot be sent twice or too late. */
export interface LocalReply {
  readonly status: number;
  readonly body?: string;
  /** Added to the response after the ones that every local reply has. */
  readonly headers?: HeaderList;
  /** For a gRPC request; derived from `status` if absent. */
  readonly grpcStatus?: number;
  /** `%RESPONSE_CODE_DETAILS%`; never on the wire. Blanks become `_`. */
  readonly details: string;
}

/**
 * A `Buffer` becomes the body of a message that has none (`endStream`) and ends it, or trailers end it behind that;
 * elsewhere both are as `Continue`.
 */
export type HeadersVerdict =
  typeof Continue | typeof Detach | typeof CollectBody | Buffer | DataAndTrailers | LocalReply;
/** Ends a message that has no trailers (`endStream`) with this data and these trailers; elsewhere only the data counts. */
export interface DataAndTrailers {
  readonly data: Buffer;
  readonly trailers: HeaderList;
}
/** A `Buffer` replaces the chunk; an empty one swallows it. */
export type DataVerdict = typeof Continue | typeof Detach | Buffer | DataAndTrailers | LocalReply;
/** The last of the body, found out with the trailers, which go on behind it. */
export interface LastData {
  readonly lastData: Buffer;
}
/** A `Buffer` goes in place of the trailers, as the last of the body; an empty one drops them. */
export type TrailersVerdict = typeof Continue | Buffer | LastData | LocalReply;
/** A promise pauses that direction of the stream, the socket included, until it settles. */
export type Awaitable<T> = T | Promise<T>;

/**
 * One filter on one stream. Every hook is optional; an absent one costs nothing. A hook that throws or rejects ends
 * its stream with 500 `filter_error`. A verdict that arrives after the stream has ended is dropped.
 * Chunks handed to a data hook may be kept.
 */
export interface HttpFilter {
  onRequestHeaders?(headers: Headers, endStream: boolean): Awaitable<HeadersVerdict>;
  /** `trailers` come only with a collected body that they follow. */
  onRequestData?(chunk: Buffer, endStream: boolean, trailers?: Headers): Awaitable<DataVerdict>;
  onRequestTrailers?(trailers: Headers): Awaitable<TrailersVerdict>;
  onResponseHeaders?(headers: Headers, endStream: boolean): Awaitable<HeadersVerdict>;
  /** `trailers` come only with a collected body that they follow. */
  onResponseData?(chunk: Buffer, endStream: boolean, trailers?: Headers): Awaitable<DataVerdict>;
  onResponseTrailers?(trailers: Headers): Awaitable<TrailersVerdict>;
  /** The last call, made exactly once however the stream ended; cancel what was started. */
  onDestroy?(): void;
}

/** What a filter may know of, and do to, the stream it is on (Envoy's StreamFilterCallbacks). */
export interface StreamContext<RouteConfig = unknown> {
  readonly info: StreamInfo;
  /** The most specific override (weighted cluster, route, virtual host), parsed; undefined if there is none. */
  readonly routeConfig: RouteConfig | undefined;
  /** All overrides from least to most specific (virtual host, route, weighted cluster), for filters that merge them. */
  readonly routeConfigs: readonly RouteConfig[];
  /** The matched route's metadata; undefined when no route matched. */
  readonly routeMetadata: Metadata | undefined;
  /** True if some route matched. */
  readonly hasRoute: boolean;
  /** The name of the cluster that the route chose, '' if none. */
  readonly clusterName: string;
  /** The cluster of that name, if there is one. */
  readonly cluster?: ClusterView | undefined;
  /** What the `rate_limits` of the route, and of its virtual host, make of the request. */
  rateLimitDescriptors(selection: RateLimitSelection, headers: Headers): readonly RateLimitDescriptor[];
  /** Has the route resolved anew, after a filter changed what routing looks at. Only before the router ran. */
  clearRoute(): void;
  /** Asks the load balancer for this host (`ip:port`) if it is there. */
  setUpstreamOverrideHost(address: string, strict: boolean): void;
  /** How many bytes of a body this stream may hold; 0 = no limit. */
  readonly bufferLimit: number;
  /** Overrides how many bytes of a body this stream may hold (the `buffer` filter's max_request_bytes). */
  setBufferLimit(bytes: number): void;
  /** Aborted when the stream ends for any reason. Created on first use. */
  readonly signal: AbortSignal;
}

/** Whom a rate limit is for; each entry was made by one action of a `rate_limits`. */
export type RateLimitDescriptor = readonly RateLimitEntry[];

export interface RateLimitEntry {
  readonly key: string;
  readonly value: string;
}

/** Which `rate_limits` count. */
export interface RateLimitSelection {
  readonly stage: number;
  /** Those of the virtual host: `override` = where the route has none; a route may include them, whatever this says. */
  readonly virtualHost: 'override' | 'include' | 'ignore';
}

/** What filters may know of a cluster. */
export interface ClusterView {
  readonly metadata: Metadata | undefined;
  /** `auto`: what ALPN settles on; `downstream`: as the request came. */
  readonly httpVersion: 'http1' | 'http2' | 'auto' | 'downstream';
  /** Its hosts come from a DNS cache. */
  readonly dynamicForwardProxy?: { readonly defaultPort: number } | undefined;
}

/** What a filter may use while its config is compiled. */
export interface FactoryContext {
  readonly clock: Clock;
  readonly random: Random;
  /** A scope at the HTTP connection manager's prefix: `http.<stat_prefix>.`. */
  readonly stats: StatsScope;
  /** The root scope. */
  readonly rootStats: StatsScope;
  readonly runtime: RuntimeReader;
  /** Who this proxy is. */
  readonly node: LocalNode;
  readonly log: FilterLogger;
  /** Names a field of the config that is set, changes nothing that has to be safe, and isn't implemented. Absent: nobody listens. */
  readonly unsupported?: (field: string) => void;
  /** Absent: there is nobody to resolve names. */
  readonly dnsCaches?: DnsCaches;
  /** Resolves after `delayMs`, or rejects when `signal` aborts first. Uses the worker's timer wheel. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
}

/** The bootstrap's `node`. */
export interface LocalNode {
  readonly id: string;
  readonly cluster: string;
  readonly zone: string;
  /** JSON; absent: none. */
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/** Layered runtime, as filters and the router read it. */
export interface RuntimeReader {
  getNumber(key: string, defaultValue: number): number;
  getBoolean(key: string, defaultValue: boolean): boolean;
  getString(key: string): string | undefined;
  /** Decides a RuntimeFractionalPercent: `key` overrides numerator (and denominator, when it holds an object). */
  featureEnabled(key: string, fraction: FractionalPercent, randomValue: number): boolean;
}

/** numerator / denominator, denominator 100, 10,000 or 1,000,000. */
export interface FractionalPercent {
  readonly numerator: number;
  readonly denominator: number;
}

export interface FilterLogger {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

/** Makes the filter for one stream; `undefined` keeps it off that stream altogether. */
export type FilterForStream<RouteConfig> = (stream: StreamContext<RouteConfig>) => HttpFilter | undefined;

/**
 * A kind of HTTP filter. Three stages: the type (once a process), `create` (once for each accepted config), the
 * returned function (once a stream).
 */
export interface HttpFilterType<Config = unknown, RouteConfig = Config, ParsedRouteConfig = RouteConfig> {
  /** The canonical name, e.g. `envoy.filters.http.fault`. */
  readonly name: string;
  readonly config: ConfigType<Config>;
  /** The message that `typed_per_filter_config` carries; absent: this filter has no per-route config. */
  readonly routeConfig?: ConfigType<ParsedRouteConfig>;
  /** Compile and resolve here, so that the per-stream step is cheap. Pure: no I/O, no timers. Throws ConfigError on bad config. */
  create(config: Config, context: FactoryContext): FilterForStream<RouteConfig>;
  /** Loads what `create` needs and can't do synchronously (a user's module). Runs before `create` on each thread. */
  prepare?(config: Config): Promise<void>;
  /**
   * Compiles one per-route config, once a config; its result is what `stream.routeConfig` shows. Absent: shown as parsed.
   * `filterConfig` is the config of the filter in the chain that the override belongs to.
   */
  compileRoute?(config: ParsedRouteConfig, context: FactoryContext, filterConfig: Config): RouteConfig;
}

/** Identity at run time; infers the config types. */
export function defineHttpFilter<Config, RouteConfig = Config, ParsedRouteConfig = RouteConfig>(
  type: HttpFilterType<Config, RouteConfig, ParsedRouteConfig>,
): HttpFilterType<Config, RouteConfig, ParsedRouteConfig> {
  return type;
}
