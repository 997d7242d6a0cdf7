import type { Counter, StatsScope } from '../../telemetry/stats/stats.ts';

/**
 * `upstream_rq_<code>`, `upstream_rq_<class>xx` and `upstream_rq_completed` below one prefix. A counter comes into being
 * with its first response.
 */
export class ResponseCodeStats {
  readonly #scope: StatsScope;
  readonly #prefix: string;
  /** By status; made on first use. */
  readonly #codes: (Counter | undefined)[] = new Array<Counter | undefined>(600).fill(undefined);
  #completed: Counter | undefined = undefined;
  readonly #classes: (Counter | undefined)[] = new Array<Counter | undefined>(6).fill(undefined);

  /** `prefix` is relative to `scope`; '' or ending with '.'. */
  constructor(scope: StatsScope, prefix: string) {
    this.#scope = scope;
    this.#prefix = prefix;
  }

  charge(status: number): void {
    if (!(status >= 100 && status < 600)) return;
    const kind = Math.trunc(status / 100);
    (this.#completed ??= this.#scope.counter(`${this.#prefix}upstream_rq_completed`)).inc();
    (this.#classes[kind] ??= this.#scope.counter(`${this.#prefix}upstream_rq_${kind}xx`)).inc();
    (this.#codes[status] ??= this.#scope.counter(`${this.#prefix}upstream_rq_${status}`)).inc();
  }
}
