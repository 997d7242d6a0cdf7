import type { LoadBalancerModel } from '../../../config/cluster-model.ts';
import type { Random } from '../../../lib/random.ts';
import type { UpstreamHost } from '../host.ts';
import { LeastRequestPicker } from './least-request.ts';
import { RandomPicker } from './random.ts';
import { RoundRobinPicker } from './round-robin.ts';

/** Chooses among the hosts of one source (the healthy ones of one priority, say). Never empty. */
export interface HostPicker {
  pick(): UpstreamHost;
}

/** The picker of a cluster's policy over `hosts`; `seed` staggers the start of rotating policies. */
export function buildHostPicker(
  model: LoadBalancerModel,
  hosts: readonly UpstreamHost[],
  random: Random,
  seed: number,
): HostPicker {
  switch (model.policy) {
    case 'round-robin':
      return new RoundRobinPicker(hosts, seed);
    case 'least-request':
      return new LeastRequestPicker(model, hosts, random, seed);
    case 'random':
    // Those that hash have a picker of their own (hash-picker.ts); here they only give lists. ORIGINAL_DST has no lists.
    case 'ring-hash':
    case 'maglev':
    case 'cluster-provided':
      return new RandomPicker(hosts, random);
  }
}
