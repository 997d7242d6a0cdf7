import type { StatsScope } from './stats.ts';

/** `<listener or cluster>.ssl.certificate.<name>.expiration_unix_time_seconds`: gauges that the main thread sets. */
export class CertificateExpiryStats {
  readonly #stats: StatsScope;
  /** By prefix; a claim of each keeps its gauges. */
  #scopes = new Map<string, StatsScope>();

  constructor(stats: StatsScope) {
    this.#stats = stats;
  }

  /** Shows these and forgets all others. */
  set(
    entries: Iterable<{
      readonly statPrefix: string;
      readonly expirations: readonly { readonly statName: string; readonly atSeconds: number }[];
    }>,
  ): void {
    const before = this.#scopes;
    this.#scopes = new Map();
    for (const { statPrefix, expirations } of entries)
      for (const { statName, atSeconds } of expirations) {
        const prefix = `${statPrefix}ssl.certificate.${statName}.`;
        let scope = this.#scopes.get(prefix);
        if (scope === undefined) {
          scope = this.#stats.scope(prefix);
          this.#scopes.set(prefix, scope);
        }
        scope.gauge('expiration_unix_time_seconds').set(atSeconds);
      }
    // After the new claims, so that gauges of both live on.
    for (const scope of before.values()) scope.release();
  }
}
