import type { Counter, Histogram, StatBlock, StatsScope } from '../../telemetry/stats/stats.ts';
import { ResponseCodeStats } from '../router/response-code-stats.ts';
import { CLUSTER_STATS } from './cluster-stats.ts';

/** `<group>.upstream_rq_*` and `<group>.upstream_rq_time` of one group: `external.`, `internal.` or `canary.`. */
class ResponseGroup {
  readonly #scope: StatsScope;
  readonly #prefix: string;
  readonly #codes: ResponseCodeStats;
  #completed: Counter | undefined = undefined;
  #time: Histogram | undefined = undefined;

  constructor(scope: StatsScope, prefix: string) {
    this.#scope = scope;
    this.#prefix = prefix;
    this.#codes = new ResponseCodeStats(scope, prefix);
  }

  charge(status: number): void {
    (this.#completed ??= this.#scope.counter(`${this.#prefix}upstream_rq_completed`)).inc();
    this.#codes.charge(status);
  }

  chargeTime(ms: number): void {
    (this.#time ??= this.#scope.histogram(`${this.#prefix}upstream_rq_time`, 'milliseconds')).record(ms);
  }
}

/** What Envoy's CodeStats counts of a cluster's responses; all but `upstream_rq_completed` appears when first counted. */
export class ResponseStats {
  readonly #block: StatBlock;
  readonly #scope: StatsScope;
  readonly #all: ResponseCodeStats;
  readonly #internal: ResponseGroup;
  readonly #external: ResponseGroup;
  readonly #canary: ResponseGroup;
  #time: Histogram | undefined = undefined;

  constructor(block: StatBlock, scope: StatsScope) {
    this.#block = block;
    this.#scope = scope;
    this.#all = new ResponseCodeStats(scope, '');
    this.#internal = new ResponseGroup(scope, 'internal.');
    this.#external = new ResponseGroup(scope, 'external.');
    this.#canary = new ResponseGroup(scope, 'canary.');
  }

  charge(status: number, internal: boolean, canary: boolean): void {
    this.#block.inc(CLUSTER_STATS.at.upstream_rq_completed);
    this.#all.charge(status);
    if (canary) this.#canary.charge(status);
    (internal ? this.#internal : this.#external).charge(status);
  }

  chargeTime(ms: number, internal: boolean, canary: boolean): void {
    (this.#time ??= this.#scope.histogram('upstream_rq_time', 'milliseconds')).record(ms);
    if (canary) this.#canary.chargeTime(ms);
    (internal ? this.#internal : this.#external).chargeTime(ms);
  }
}
