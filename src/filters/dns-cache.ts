/**
 * envoy.extensions.common.dynamic_forward_proxy.v3.DnsCacheConfig, with Envoy's defaults. Times in ms. Filters and
 * clusters that name the same cache share it.
 */
export interface DnsCacheModel {
  readonly name: string;
  readonly lookupFamily: 'AUTO' | 'V4_ONLY' | 'V6_ONLY' | 'V4_PREFERRED' | 'ALL';
  /** After an answer that holds no address; otherwise the TTL says when to ask again. */
  readonly refreshRateMs: number;
  /** The least that a TTL counts for. */
  readonly minRefreshRateMs: number;
  /** Back-off after a failed query; undefined: the refresh rate. */
  readonly failureRefresh: { readonly baseMs: number; readonly maxMs: number } | undefined;
  /** A host that nobody used for so long is forgotten. */
  readonly hostTtlMs: number;
  readonly maxHosts: number;
  /** Requests that may wait for a first answer. */
  readonly maxPendingRequests: number;
  /** 0 = none. */
  readonly queryTimeoutMs: number;
  /** Asked for as soon as the cache is there. */
  readonly preresolve: readonly { readonly host: string; readonly port: number }[];
  /** `ip:port` of the servers to ask; empty: the system's. */
  readonly resolvers: readonly string[];
}

/** The DNS caches of this worker. */
export interface DnsCaches {
  /** The cache of this name, made by the first who asks. Settings that differ replace those it had. */
  cache(model: DnsCacheModel): DnsCache;
}

/** What a name led to. */
export interface DnsCacheResult {
  /** Some address is known for it. */
  readonly resolved: boolean;
  /** Why there is none; '' if there is. */
  readonly details: string;
}

/** Waits for the first answer; counts among the pending requests until it has come or `cancel` is called. */
export interface DnsCacheLoad {
  cancel(): void;
}

export interface DnsCache {
  /**
   * Makes sure that the cache knows `authority` (`host` or `host:port`). What it knows is returned at once; else
   * `onLoaded` is called later, never from inside. `pending-overflow`: too many wait already; `host-overflow`: the cache is full.
   */
  load(
    authority: string,
    defaultPort: number,
    onLoaded: (result: DnsCacheResult) => void,
  ): DnsCacheResult | DnsCacheLoad | 'pending-overflow' | 'host-overflow';
}

/** Filter state that names host and port of a dynamic forward proxy cluster, before authority and SNI. */
export const DYNAMIC_HOST = 'envoy.upstream.dynamic_host';
export const DYNAMIC_PORT = 'envoy.upstream.dynamic_port';

/** A port out of filter state; undefined: there is none, or none that can be. */
export function dynamicPort(filterState: ReadonlyMap<string, unknown>): number | undefined {
  const port = Number(filterState.get(DYNAMIC_PORT));
  return Number.isInteger(port) && port > 0 && port <= 65_535 ? port : undefined;
}
