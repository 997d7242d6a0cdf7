import type { Random } from '../../../lib/random.ts';
import type { StatBlock } from '../../../telemetry/stats/stats.ts';
import { CLUSTER_STATS } from '../cluster-stats.ts';
import type { UpstreamHost } from '../host.ts';
import type { LoadBalancerContext } from '../upstream.ts';
import type { HostLevel } from './host-set.ts';
import { computePriorityLoad, type PriorityLoad } from './priority-load.ts';

/** Chooses a level by load, then a host in it. Immutable: a change of hosts or health builds a new one. */
export class PriorityPicker {
  readonly levels: readonly HostLevel[];
  readonly load: PriorityLoad;
  readonly #failTrafficOnPanic: boolean;
  readonly #random: Random;
  readonly #stats: StatBlock;
  /** The whole load is on level 0's healthy hosts: no draw needed. */
  readonly #simple: boolean;

  constructor(
    levels: readonly HostLevel[],
    overprovisioningFactor: number,
    panicThreshold: number,
    failTrafficOnPanic: boolean,
    random: Random,
    stats: StatBlock,
  ) {
    this.levels = levels;
    this.load = computePriorityLoad(
      levels.map((level) => level.health),
      overprovisioningFactor,
      panicThreshold,
    );
    this.#failTrafficOnPanic = failTrafficOnPanic;
    this.#random = random;
    this.#stats = stats;
    this.#simple = this.load.healthy[0] === 100 && !this.load.panic[0];
  }

  /** Tries again, up to `hostSelectionRetries` times, while the context rejects what it got; then takes the last. */
  pick(context: LoadBalancerContext): UpstreamHost | undefined {
    let host = this.#once();
    for (let left = context.hostSelectionRetries; host !== undefined && left >= 0; left--) {
      if (!context.rejectHost(host)) return host;
      if (left > 0) host = this.#once();
    }
    return host;
  }

  #once(): UpstreamHost | undefined {
    if (this.#simple) return this.levels[0]!.healthy.pick();
    const draw = this.#random.below(100) + 1;
    const { healthy, degraded } = this.load;
    let sum = 0;
    for (let i = 0; i < healthy.length; i++) {
      sum += healthy[i]!;
      if (draw <= sum) return this.#from(i, false);
    }
    for (let i = 0; i < degraded.length; i++) {
      sum += degraded[i]!;
      if (draw <= sum) return this.#from(i, true);
    }
    return undefined;
  }

  #from(index: number, degraded: boolean): UpstreamHost | undefined {
    const level = this.levels[index]!;
    if (this.load.panic[index]) {
      this.#stats.inc(CLUSTER_STATS.at.lb_healthy_panic);
      return this.#failTrafficOnPanic ? undefined : level.all.pick();
    }
    return degraded ? level.degraded.pick() : level.healthy.pick();
  }
}
