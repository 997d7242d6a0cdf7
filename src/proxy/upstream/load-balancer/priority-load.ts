/**
 * How traffic spreads over the priority levels of a cluster: Envoy's "Priority levels", "Degraded endpoints" and
 * "Panic threshold". Percentages are whole numbers, as in Envoy.
 */

/** The hosts of one level, counted (or weighed, with `weighted_priority_health`). Excluded hosts are left out of all. */
export interface LevelHealth {
  readonly hosts: number;
  readonly healthy: number;
  readonly degraded: number;
  readonly totalWeight: number;
  readonly healthyWeight: number;
  readonly degradedWeight: number;
  /** All hosts, excluded ones too. */
  readonly allHosts: number;
}

export interface PriorityLoad {
  /** Percent of the traffic that goes to the healthy hosts of each level. */
  readonly healthy: readonly number[];
  /** ... to its degraded hosts. All of both add up to 100. */
  readonly degraded: readonly number[];
  /** Levels that use all hosts, whatever their health. */
  readonly panic: readonly boolean[];
}

/** `overprovisioningFactor` 1.4 and `panicThreshold` 50 by default; `levels` is not empty. */
export function computePriorityLoad(
  levels: readonly LevelHealth[],
  overprovisioningFactor: number,
  panicThreshold: number,
): PriorityLoad {
  const factor = Math.round(overprovisioningFactor * 100);
  const availability = (part: number, total: number): number =>
    total === 0 ? 0 : Math.min(100, Math.floor((factor * part) / total));
  const health = levels.map((level) => availability(level.healthyWeight, level.totalWeight));
  const degraded = levels.map((level) => availability(level.degradedWeight, level.totalWeight));
  const total = Math.min(
    100,
    health.reduce((sum, value) => sum + value, 0) + degraded.reduce((sum, value) => sum + value, 0),
  );

  const healthyLoad = levels.map(() => 0);
  const degradedLoad = levels.map(() => 0);
  if (total > 0) {
    let left = distribute(healthyLoad, health, 100, total);
    left = distribute(degradedLoad, degraded, left, total);
    // What rounding left over goes to the first level that is available at all.
    const first = health.findIndex((value) => value > 0);
    if (first !== -1) healthyLoad[first]! += left;
    else degradedLoad[degraded.findIndex((value) => value > 0)]! += left;
  }

  const threshold = Math.min(100, panicThreshold);
  if (threshold === 0 && total === 0) {
    healthyLoad[0] = 100;
    return { healthy: healthyLoad, degraded: degradedLoad, panic: levels.map(() => false) };
  }
  const panic = levels.map((level) => total < 100 && available(level) < threshold);
  if (panic.every(Boolean)) spreadByHosts(levels, healthyLoad, degradedLoad);
  return { healthy: healthyLoad, degraded: degradedLoad, panic };
}

/** Fills `load` level by level until `total` is used up; returns what is left. */
function distribute(load: number[], availability: readonly number[], total: number, normalized: number): number {
  for (let i = 0; i < load.length; i++) {
    load[i] = Math.min(total, Math.floor((availability[i]! * 100) / normalized));
    total -= load[i]!;
  }
  return total;
}

const available = (level: LevelHealth): number =>
  level.hosts === 0 ? 0 : (100 * (level.healthy + level.degraded)) / level.hosts;

/** Every level panics: traffic follows the number of hosts, whatever their health. */
function spreadByHosts(levels: readonly LevelHealth[], healthy: number[], degraded: number[]): void {
  const all = levels.reduce((sum, level) => sum + level.allHosts, 0);
  degraded.fill(0);
  healthy.fill(0);
  if (all === 0) {
    healthy[0] = 100;
    return;
  }
  let left = 100;
  for (let i = 0; i < levels.length; i++) {
    healthy[i] = Math.floor((100 * levels[i]!.allHosts) / all);
    left -= healthy[i]!;
  }
  healthy[levels.findIndex((level) => level.allHosts > 0)]! += left;
}
