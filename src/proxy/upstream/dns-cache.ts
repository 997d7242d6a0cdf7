import type { DnsCache, DnsCacheLoad, DnsCacheModel, DnsCacheResult, DnsCaches } from '../../filters/dns-cache.ts';
import type { Random } from '../../lib/random.ts';
import { sanitizeStatName, type StatBlock, type StatsScope } from '../../telemetry/stats/stats.ts';
import type { Dispatcher } from '../dispatcher.ts';
import { splitAuthority } from './authority.ts';
import { CachedHost } from './dns-cache-host.ts';
import { DNS_CACHE_STATS } from './dns-cache-stats.ts';
import type { DnsResolver, DnsResolverFactory } from './discovery/dns-resolver.ts';

const { at } = DNS_CACHE_STATS;

/** Hears of hosts with an address: clusters, which have one of their own for each. */
export interface DnsCacheListener {
  /** It is new, or its addresses have changed. */
  onHost(host: CachedHost): void;
  onHostRemoved(host: CachedHost): void;
}

export interface DnsCacheEnvironment {
  readonly dispatcher: Dispatcher;
  readonly random: Random;
  /** The root scope. */
  readonly stats: StatsScope;
  /** Of this worker; the first shows what is left to all of them. */
  readonly lane: number;
  readonly resolver: DnsResolverFactory;
}

/** The DNS caches of one worker. They live as long as the worker does, but their hosts only while they are used. */
export class WorkerDnsCaches implements DnsCaches {
  readonly #environment: DnsCacheEnvironment;
  readonly #caches = new Map<string, WorkerDnsCache>();

  constructor(environment: DnsCacheEnvironment) {
    this.#environment = environment;
  }

  cache(model: DnsCacheModel): WorkerDnsCache {
    const known = this.#caches.get(model.name);
    if (known !== undefined) {
      known.setModel(model);
      return known;
    }
    const cache = new WorkerDnsCache(model, this.#environment);
    this.#caches.set(model.name, cache);
    return cache;
  }

  /** Nothing is asked any more. */
  close(): void {
    for (const cache of this.#caches.values()) cache.close();
  }
}

/**
 * What names lead to, under `host:port`, asked for again and again while they are used. A name that has once had an
 * address keeps it over failures.
 */
export class WorkerDnsCache implements DnsCache {
  readonly dispatcher: Dispatcher;
  readonly random: Random;
  readonly stats: StatBlock;
  readonly #environment: DnsCacheEnvironment;
  readonly #hosts = new Map<string, CachedHost>();
  readonly #listeners = new Set<DnsCacheListener>();
  #model: DnsCacheModel;
  #resolver: DnsResolver;
  #pending = 0;

  constructor(model: DnsCacheModel, environment: DnsCacheEnvironment) {
    this.#model = model;
    this.#environment = environment;
    this.dispatcher = environment.dispatcher;
    this.random = environment.random;
    this.#resolver = environment.resolver(model.resolvers);
    this.stats = environment.stats.block(DNS_CACHE_STATS, `dns_cache.${sanitizeStatName(model.name)}.`);
    if (environment.lane === 0) this.stats.add(at['circuit_breakers.rq_pending_remaining'], model.maxPendingRequests);
    this.#preresolve();
  }

  get model(): DnsCacheModel {
    return this.#model;
  }

  get resolver(): DnsResolver {
    return this.#resolver;
  }

  get hosts(): Iterable<CachedHost> {
    return this.#hosts.values();
  }

  /** Settings that differ count from now on. */
  setModel(model: DnsCacheModel): void {
    const former = this.#model;
    if (JSON.stringify(model) === JSON.stringify(former)) return;
    this.#model = model;
    if (this.#environment.lane === 0)
      this.stats.add(at['circuit_breakers.rq_pending_remaining'], model.maxPendingRequests - former.maxPendingRequests);
    if (model.resolvers.join() !== former.resolvers.join())
      this.#resolver = this.#environment.resolver(model.resolvers);
    this.#preresolve();
  }

  load(
    authority: string,
    defaultPort: number,
    onLoaded: (result: DnsCacheResult) => void,
  ): DnsCacheResult | DnsCacheLoad | 'pending-overflow' | 'host-overflow' {
    // In Envoy's order: even what is known needs room among the pending requests.
    if (this.#pending >= this.#model.maxPendingRequests) {
      this.stats.inc(at.dns_rq_pending_overflow);
      return 'pending-overflow';
    }
    const { host: name, port } = splitAuthority(authority, defaultPort);
    const key = hostKey(name, port);
    let host = this.#hosts.get(key);
    if (host?.result !== undefined) {
      host.touch();
      return host.result;
    }
    if (host === undefined) {
      if (this.#hosts.size >= this.#model.maxHosts) {
        this.stats.inc(at.host_overflow);
        return 'host-overflow';
      }
      host = this.#add(key, name, port);
    }
    return new PendingLoad(this, host, onLoaded);
  }

  /** One with an address; the choice of it is a use of it. */
  find(name: string, port: number): CachedHost | undefined {
    const host = this.#hosts.get(hostKey(name, port));
    if (host === undefined || host.addresses.length === 0) return undefined;
    host.touch();
    return host;
  }

  /** Of what there is and what comes. */
  listen(listener: DnsCacheListener): void {
    this.#listeners.add(listener);
    for (const host of this.#hosts.values()) if (host.addresses.length > 0) listener.onHost(host);
  }

  unlisten(listener: DnsCacheListener): void {
    this.#listeners.delete(listener);
  }

  close(): void {
    for (const host of this.#hosts.values()) host.close();
    this.#hosts.clear();
  }

  // ---- from its hosts and loads -----------------------------------------------------------------------------------

  addressesChanged(host: CachedHost): void {
    this.stats.inc(at.host_address_changed);
    for (const listener of this.#listeners) listener.onHost(host);
  }

  expired(host: CachedHost): void {
    host.close();
    this.#hosts.delete(host.key);
    this.stats.inc(at.host_removed);
    this.stats.dec(at.num_hosts);
    if (host.addresses.length > 0) for (const listener of this.#listeners) listener.onHostRemoved(host);
  }

  countPending(change: 1 | -1): void {
    this.#pending += change;
    this.stats.add(at['circuit_breakers.rq_pending_remaining'], -change);
    this.stats.set(at['circuit_breakers.rq_pending_open'], this.#pending >= this.#model.maxPendingRequests ? 1 : 0);
  }

  #preresolve(): void {
    for (const { host, port } of this.#model.preresolve) {
      const key = hostKey(host, port);
      if (!this.#hosts.has(key) && this.#hosts.size < this.#model.maxHosts) this.#add(key, host, port);
    }
  }

  #add(key: string, name: string, port: number): CachedHost {
    const host = new CachedHost(this, key, name, port);
    this.#hosts.set(key, host);
    this.stats.inc(at.host_added);
    this.stats.inc(at.num_hosts);
    host.query();
    return host;
  }
}

/** `host:port`, `[ip6]:port`: the name of a host in the cache, and in the clusters that use it. */
const hostKey = (name: string, port: number): string => (name.includes(':') ? `[${name}]:${port}` : `${name}:${port}`);

class PendingLoad implements DnsCacheLoad {
  readonly #cache: WorkerDnsCache;
  readonly #host: CachedHost;
  readonly #onLoaded: (result: DnsCacheResult) => void;

  constructor(cache: WorkerDnsCache, host: CachedHost, onLoaded: (result: DnsCacheResult) => void) {
    this.#cache = cache;
    this.#host = host;
    this.#onLoaded = onLoaded;
    host.waiting.add(this);
    cache.countPending(1);
  }

  loaded(result: DnsCacheResult): void {
    if (this.#end()) this.#onLoaded(result);
  }

  cancel(): void {
    this.#end();
  }

  #end(): boolean {
    if (!this.#host.waiting.delete(this)) return false;
    this.#cache.countPending(-1);
    return true;
  }
}
