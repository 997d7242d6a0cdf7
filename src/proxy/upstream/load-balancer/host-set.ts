import type { HostSetModel, LoadBalancerModel } from '../../../config/cluster-model.ts';
import type { Random } from '../../../lib/random.ts';
import type { UpstreamHost } from '../host.ts';
import { EdfScheduler } from './edf-scheduler.ts';
import { buildHostPicker, type HostPicker } from './host-picker.ts';
import type { LevelHealth } from './priority-load.ts';

/** How a level chooses: of its whole list, or of a locality first. */
interface LocalityEntry {
  readonly weight: number;
  readonly picker: HostPicker;
}

/** Some hosts of one level (all, the healthy ones, the degraded ones). */
export class HostSource {
  readonly hosts: readonly UpstreamHost[];
  readonly #picker: HostPicker | undefined;
  readonly #localities: EdfScheduler<LocalityEntry> | undefined;

  constructor(
    hosts: readonly UpstreamHost[],
    picker: HostPicker | undefined,
    localities?: EdfScheduler<LocalityEntry> | undefined,
  ) {
    this.hosts = hosts;
    this.#picker = picker;
    this.#localities = localities;
  }

  pick(): UpstreamHost | undefined {
    const locality = this.#localities?.pick();
    if (locality !== undefined) return locality.picker.pick();
    return this.#picker?.pick();
  }
}

/** One priority level. */
export interface HostLevel {
  readonly all: HostSource;
  readonly healthy: HostSource;
  readonly degraded: HostSource;
  readonly health: LevelHealth;
}

/** What decides how sources are built; of the cluster. */
export interface HostSetOptions {
  readonly loadBalancer: LoadBalancerModel;
  readonly localityWeighted: boolean;
  readonly random: Random;
}

const NO_SOURCE = new HostSource([], undefined);

/** Sorts `hosts` into levels by priority and, with their health as it is now, into sources. Not empty: level 0 is always there. */
export function buildHostLevels(
  hosts: readonly UpstreamHost[],
  model: HostSetModel,
  options: HostSetOptions,
): HostLevel[] {
  const byPriority: UpstreamHost[][] = [[]];
  for (const host of hosts) {
    while (byPriority.length <= host.priority) byPriority.push([]);
    byPriority[host.priority]!.push(host);
  }
  return byPriority.map((members) => buildLevel(members, model, options));
}

function buildLevel(members: readonly UpstreamHost[], model: HostSetModel, options: HostSetOptions): HostLevel {
  const excluded = members.filter((host) => host.excluded);
  const healthy = members.filter((host) => host.health === 'healthy' && !host.excluded);
  const degraded = members.filter((host) => host.health === 'degraded' && !host.excluded);
  const weigh = (list: readonly UpstreamHost[]): number =>
    model.weightedPriorityHealth ? list.reduce((sum, host) => sum + host.weight, 0) : list.length;
  return {
    all: buildSource(members, members, false, model, options),
    healthy: buildSource(healthy, members, true, model, options),
    degraded: buildSource(degraded, members, true, model, options),
    health: {
      allHosts: members.length,
      hosts: members.length - excluded.length,
      healthy: healthy.length,
      degraded: degraded.length,
      totalWeight: weigh(members) - weigh(excluded),
      healthyWeight: weigh(healthy),
      degradedWeight: weigh(degraded),
    },
  };
}

function buildSource(
  hosts: readonly UpstreamHost[],
  members: readonly UpstreamHost[],
  byLocality: boolean,
  model: HostSetModel,
  options: HostSetOptions,
): HostSource {
  if (hosts.length === 0) return NO_SOURCE;
  const { loadBalancer, random } = options;
  const pickerOf = (list: readonly UpstreamHost[]): HostPicker =>
    buildHostPicker(loadBalancer, list, random, random.below(list.length));
  if (!byLocality || !options.localityWeighted) return new HostSource(hosts, pickerOf(hosts));
  const entries: LocalityEntry[] = [];
  model.localities.forEach((locality, index) => {
    const eligible = hosts.filter((host) => host.locality === index);
    const weight = locality.weight ?? 0;
    if (eligible.length === 0 || weight === 0) return;
    // The weight of a locality shrinks with its health, after the same overprovisioning as levels have.
    const all = members.filter((host) => host.locality === index && !host.excluded).length;
    const available = Math.min(1, (model.overprovisioningFactor * eligible.length) / all);
    entries.push({ weight: weight * available, picker: pickerOf(eligible) });
  });
  if (entries.length === 0) return new HostSource(hosts, pickerOf(hosts));
  return new HostSource(hosts, undefined, new EdfScheduler(entries, (entry) => entry.weight));
}
