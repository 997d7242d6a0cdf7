import type { LoadBalancerModel } from '../../../config/cluster-model.ts';
import type { Random } from '../../../lib/random.ts';
import type { UpstreamHost } from '../host.ts';
import { EdfScheduler } from './edf-scheduler.ts';
import type { HostPicker } from './host-picker.ts';
import { weightsAreEqual } from './weights.ts';

type LeastRequestModel = Extract<LoadBalancerModel, { policy: 'least-request' }>;

/**
 * LEAST_REQUEST. Equal weights: the one with the fewest requests in flight of `choiceCount` hosts drawn at random (or of
 * all). Different weights: earliest deadline with weight / (requests in flight + 1) ^ bias.
 */
export class LeastRequestPicker implements HostPicker {
  readonly #hosts: readonly UpstreamHost[];
  readonly #random: Random;
  readonly #choices: number;
  readonly #fullScan: boolean;
  readonly #weighted: EdfScheduler<UpstreamHost> | undefined;

  constructor(model: LeastRequestModel, hosts: readonly UpstreamHost[], random: Random, seed: number) {
    this.#hosts = hosts;
    this.#random = random;
    this.#choices = model.choiceCount;
    this.#fullScan = model.fullScan;
    if (weightsAreEqual(hosts)) return;
    const bias = model.activeRequestBias;
    const weightOf =
      bias === 0
        ? (host: UpstreamHost): number => host.weight
        : bias === 1
          ? (host: UpstreamHost): number => host.weight / (host.activeRequests + 1)
          : (host: UpstreamHost): number => host.weight / (host.activeRequests + 1) ** bias;
    this.#weighted = new EdfScheduler(hosts, weightOf);
    for (let i = seed % hosts.length; i > 0; i--) this.#weighted.pick();
  }

  pick(): UpstreamHost {
    if (this.#weighted !== undefined) return this.#weighted.pick()!;
    return this.#fullScan ? this.#scan() : this.#sample();
  }

  #sample(): UpstreamHost {
    const hosts = this.#hosts;
    let best = hosts[this.#random.below(hosts.length)]!;
    let least = best.activeRequests;
    for (let i = 1; i < this.#choices; i++) {
      const host = hosts[this.#random.below(hosts.length)]!;
      const active = host.activeRequests;
      if (active < least) {
        best = host;
        least = active;
      }
    }
    return best;
  }

  /** Ties are broken at random, each with the same chance. */
  #scan(): UpstreamHost {
    let best = this.#hosts[0]!;
    let least = Infinity;
    let ties = 0;
    for (const host of this.#hosts) {
      const active = host.activeRequests;
      if (active < least) {
        best = host;
        least = active;
        ties = 1;
      } else if (active === least && this.#random.below(++ties) === 0) best = host;
    }
    return best;
  }
}
