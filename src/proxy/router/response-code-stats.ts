import type { Counter, StatsScope } from '../../telemetry/stats/stats.ts';

/**
 * `upstream_rq_<code>` and `upstream_rq_<class>xx` below one prefix, and `upstream_rq_completed` unless its owner counts
 * that itself. A counter comes into being with its first response.
 */
export class ResponseCodeStats {
  readonly #scope: StatsScope;
  readonly #prefix: string;
  readonly #countsCompleted: boolean;
  /** By status; made on first use. */
  readonly #codes: (Counter | undefined)[] = [];
  #completed: Counter | undefined = undefined;
  readonly #classes: (Counter | undefined)[] = [];

  /** `prefix` is relative to `scope`; '' or ending with '.'. */
  constructor(scope: StatsScope, prefix: string, countsCompleted = false) {
    this.#scope = scope;
    this.#prefix = prefix;
    this.#countsCompleted = countsCompleted;
  }

  charge(status: number): void {
    if (this.#countsCompleted) (this.#completed ??= this.#scope.counter(`${this.#prefix}upstream_rq_completed`)).inc();
    if (!(status >= 100 && status < 600)) {
      (this.#codes[0] ??= this.#scope.counter(`${this.#prefix}upstream_rq_unknown`)).inc();
      return;
    }
    const kind = Math.trunc(status / 100);
    (this.#classes[kind] ??= this.#scope.counter(`${this.#prefix}upstream_rq_${kind}xx`)).inc();
    (this.#codes[status] ??= this.#scope.counter(`${this.#prefix}upstream_rq_${status}`)).inc();
  }
}
