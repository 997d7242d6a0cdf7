import type { DnsModel } from '../../../config/cluster-model.ts';
import type { Clock, ClockTimer } from '../../../lib/clock.ts';
import type { Random } from '../../../lib/random.ts';
import { lookup, type DnsRecord, type DnsResolver } from './dns-resolver.ts';

/** What a DNS cluster does its lookups with. */
export interface DnsEnvironment {
  readonly clock: Clock;
  readonly random: Random;
  readonly resolver: DnsResolver;
  readonly dns: DnsModel;
  /** Each query that is begun. */
  onAttempt(): void;
}

/**
 * Resolves one name again and again: at the refresh rate or the TTL after an answer, with back-off after a failure
 * (Envoy's dns_refresh_rate, respect_dns_ttl, dns_failure_refresh_rate, dns_jitter).
 */
export class DnsRefresh {
  readonly #name: string;
  readonly #environment: DnsEnvironment;
  /** Undefined: the query failed. The return value says whether the answer was of use; else back-off applies. */
  readonly #onAnswer: (records: readonly DnsRecord[] | undefined) => boolean;
  #timer: ClockTimer | undefined = undefined;
  #closed = false;
  /** Failures in a row. */
  #failures = 0;

  constructor(
    name: string,
    environment: DnsEnvironment,
    onAnswer: (records: readonly DnsRecord[] | undefined) => boolean,
  ) {
    this.#name = name;
    this.#environment = environment;
    this.#onAnswer = onAnswer;
  }

  start(): void {
    void this.#query();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  async #query(): Promise<void> {
    const { resolver, dns, clock } = this.#environment;
    this.#environment.onAttempt();
    const answer = await lookup(resolver, this.#name, dns.lookupFamily);
    if (this.#closed) return;
    const records = answer.kind === 'found' ? answer.records : undefined;
    const useful = this.#onAnswer(records);
    const delay = useful ? this.#afterAnswer(records ?? []) : this.#afterFailure();
    this.#timer = clock.setTimer(delay, () => void this.#query());
  }

  #afterAnswer(records: readonly DnsRecord[]): number {
    const { dns, random } = this.#environment;
    this.#failures = 0;
    let delay = dns.refreshRateMs;
    if (records.length === 0) return delay;
    if (dns.respectTtl) {
      const ttl = Math.min(...records.map((record) => record.ttlMs ?? Infinity));
      if (ttl > 0 && ttl !== Infinity) delay = Math.max(ttl, dns.minRefreshRateMs);
    }
    return dns.jitterMs > 0 ? delay + random.below(Math.ceil(dns.jitterMs)) : delay;
  }

  /** Jittered exponential back-off: anything below base * 2^n - 1, at most the maximum. */
  #afterFailure(): number {
    const { dns, random } = this.#environment;
    const { failureRefresh } = dns;
    if (failureRefresh === undefined) return dns.refreshRateMs;
    const range = Math.min(failureRefresh.baseMs * 2 ** ++this.#failures, Number.MAX_SAFE_INTEGER);
    return Math.max(1, Math.min(Math.floor(random.unit() * range), failureRefresh.maxMs));
  }
}
