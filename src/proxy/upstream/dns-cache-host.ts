import { isIP } from 'node:net';
import type { DnsCacheResult } from '../../filters/dns-cache.ts';
import { Timer, type TimerTask } from '../../lib/timer-wheel.ts';
import { lookup, type DnsAnswer } from './discovery/dns-resolver.ts';
import type { WorkerDnsCache } from './dns-cache.ts';
import { DNS_CACHE_STATS } from './dns-cache-stats.ts';

const { at } = DNS_CACHE_STATS;
const RESOLVED: DnsCacheResult = { resolved: true, details: '' };

/** One name in a DNS cache, from its first query until nobody has used it for the cache's `host_ttl`. */
export class CachedHost implements TimerTask {
  /** `host:port` */
  readonly key: string;
  readonly name: string;
  readonly port: number;
  /** IP addresses, the one to use first; empty until there are some. */
  addresses: readonly string[] = [];
  /** Undefined until the first query has ended. */
  result: DnsCacheResult | undefined = undefined;
  /** Those who wait for the first query. */
  readonly waiting = new Set<{ loaded(result: DnsCacheResult): void }>();
  readonly #cache: WorkerDnsCache;
  readonly #timer: Timer = new Timer(this);
  #lastUsed: number;
  /** Tells late answers, of queries that were given up, from the one that is awaited. */
  #query = 0;
  #asking = false;
  /** Failures in a row. */
  #failures = 0;
  #closed = false;

  constructor(cache: WorkerDnsCache, key: string, name: string, port: number) {
    this.#cache = cache;
    this.key = key;
    this.name = name;
    this.port = port;
    this.#lastUsed = cache.dispatcher.clock.monotonic();
  }

  touch(): void {
    this.#lastUsed = this.#cache.dispatcher.clock.monotonic();
  }

  /** Asks now. */
  query(): void {
    const { dispatcher, model, resolver, stats } = this.#cache;
    const query = ++this.#query;
    this.#asking = true;
    stats.inc(at.dns_query_attempt);
    void lookup(resolver, this.name, model.lookupFamily).then((answer) =>
      dispatcher.post(() => {
        if (query === this.#query && this.#asking && !this.#closed) this.#onAnswer(answer);
      }),
    );
    if (model.queryTimeoutMs > 0) dispatcher.arm(this.#timer, model.queryTimeoutMs);
  }

  close(): void {
    this.#closed = true;
    this.#cache.dispatcher.disarm(this.#timer);
  }

  /** The query takes too long, or it is time for another. */
  onTimer(): void {
    const { dispatcher, model, stats } = this.#cache;
    if (this.#asking) {
      stats.inc(at.dns_query_timeout);
      this.#onAnswer({ kind: 'failed', reason: 'resolve_timeout' });
    } else if (dispatcher.clock.monotonic() - this.#lastUsed > model.hostTtlMs) this.#cache.expired(this);
    else this.query();
  }

  #onAnswer(answer: DnsAnswer): void {
    const { dispatcher, stats, model } = this.#cache;
    this.#asking = false;
    const details = this.#failure(answer);
    const failed = details !== '' && details !== NO_RECORDS;
    stats.inc(failed ? at.dns_query_failure : at.dns_query_success);
    let delay = model.refreshRateMs;
    if (answer.kind === 'found' && answer.records.length > 0) {
      const ttl = Math.min(...answer.records.map(({ ttlMs }) => ttlMs ?? 0));
      delay = Math.max(ttl, model.minRefreshRateMs);
      // Servers turn their answers round; that alone is no change.
      const addresses = answer.records.map(({ address }) => address);
      if (!sameSet(addresses, this.addresses)) {
        this.addresses = addresses;
        this.#cache.addressesChanged(this);
      }
    }
    this.result = this.addresses.length > 0 ? RESOLVED : { resolved: false, details };
    if (failed) delay = this.#backOff();
    else this.#failures = 0;
    dispatcher.disarm(this.#timer);
    dispatcher.arm(this.#timer, delay);
    const { result } = this;
    // Each on its own: what goes wrong with one is nothing to the others.
    for (const load of this.waiting) dispatcher.post(() => load.loaded(result));
  }

  /** Why it is of no use, as Envoy's resolver words it; '' if it is. */
  #failure(answer: DnsAnswer): string {
    if (answer.kind === 'failed')
      return answer.reason === 'resolve_timeout' ? answer.reason : `cares_failure:${answer.reason}`;
    if (answer.records.length > 0) return '';
    return isIP(this.name) === 0 ? NO_RECORDS : 'cares_failure:Misformatted_domain_name';
  }

  /** As DnsRefresh's. */
  #backOff(): number {
    const { model, random } = this.#cache;
    const { failureRefresh } = model;
    if (failureRefresh === undefined) return model.refreshRateMs;
    const range = Math.min(failureRefresh.baseMs * 2 ** ++this.#failures, Number.MAX_SAFE_INTEGER);
    return Math.max(1, Math.min(Math.floor(random.unit() * range), failureRefresh.maxMs));
  }
}

const NO_RECORDS = 'cares_norecords:Domain_name_not_found';

const sameSet = (one: readonly string[], other: readonly string[]): boolean =>
  one.length === other.length && one.every((address) => other.includes(address));
