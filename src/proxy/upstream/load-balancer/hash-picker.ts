import type { HostSetModel, MaglevModel, RingHashModel } from '../../../config/cluster-model.ts';
import type { Random } from '../../../lib/random.ts';
import { defineStats, type StatBlock, type StatsScope } from '../../../telemetry/stats/stats.ts';
import { CLUSTER_STATS } from '../cluster-stats.ts';
import type { UpstreamHost } from '../host.ts';
import type { LoadBalancerContext } from '../upstream.ts';
import { BoundedLoadTable } from './bounded-load.ts';
import { HashRing, MaglevTable, type HashTable, type WeightedHost } from './hash-table.ts';
import type { HostLevel } from './host-set.ts';
import { computePriorityLoad, type PriorityLoad } from './priority-load.ts';

/** `cluster.<name>.ring_hash_lb.` */
const RING_STATS = defineStats({ gauges: ['max_hashes_per_host', 'min_hashes_per_host', 'size'] });
/** `cluster.<name>.maglev_lb.` */
const MAGLEV_STATS = defineStats({ gauges: ['max_entries_per_host', 'min_entries_per_host'] });

export interface HashPickerOptions {
  readonly loadBalancer: RingHashModel | MaglevModel;
  readonly hostSet: HostSetModel;
  readonly localityWeighted: boolean;
  readonly panicThreshold: number;
  readonly random: Random;
  readonly stats: StatBlock;
  /** Requests in flight to the cluster, on all workers. */
  readonly activeRequests: () => number;
}

/**
 * RING_HASH and MAGLEV: a request's hash decides on the priority level and on the host, the same ones as in Envoy. A
 * request without a hash goes anywhere. Immutable: a change of hosts or health builds a new one.
 */
export class HashPicker {
  readonly load: PriorityLoad;
  /** Undefined: a level without hosts that could take anything. */
  readonly tables: readonly (HashTable | undefined)[];
  readonly #random: Random;
  readonly #stats: StatBlock;

  constructor(levels: readonly HostLevel[], options: HashPickerOptions) {
    this.#random = options.random;
    this.#stats = options.stats;
    this.load = computePriorityLoad(
      levels.map((level) => level.health),
      options.hostSet.overprovisioningFactor,
      options.panicThreshold,
    );
    this.tables = levels.map((level, priority) => {
      const hosts = this.load.panic[priority] ? level.all.hosts : level.healthy.hosts;
      const entries = options.localityWeighted
        ? weighLocalities(hosts, options.hostSet, priority)
        : weigh(hosts, 1, []);
      return entries.length === 0 ? undefined : buildTable(entries, options);
    });
  }

  pick(context: LoadBalancerContext): UpstreamHost | undefined {
    const hash = context.hash ?? this.#randomHash();
    const priority = this.#choosePriority(hash);
    if (this.load.panic[priority]) this.#stats.inc(CLUSTER_STATS.at.lb_healthy_panic);
    const table = this.tables[priority];
    if (table === undefined) return undefined;
    let host = table.pick(hash, 0);
    for (let attempt = 1; attempt <= context.hostSelectionRetries && context.rejectHost(host); attempt++)
      host = table.pick(hash, attempt);
    return host;
  }

  #choosePriority(hash: bigint): number {
    if (this.load.healthy[0] === 100) return 0;
    const draw = Number(hash % 100n) + 1;
    let sum = 0;
    for (const percent of [this.load.healthy, this.load.degraded])
      for (let i = 0; i < percent.length; i++) {
        sum += percent[i]!;
        if (draw <= sum) return i;
      }
    return 0;
  }

  #randomHash(): bigint {
    return (BigInt(this.#random.below(2 ** 32)) << 32n) | BigInt(this.#random.below(2 ** 32));
  }
}

function buildTable(entries: readonly WeightedHost[], options: HashPickerOptions): HashTable {
  const { loadBalancer, activeRequests } = options;
  const table =
    loadBalancer.policy === 'ring-hash' ? new HashRing(loadBalancer, entries) : new MaglevTable(loadBalancer, entries);
  const { hashBalanceFactor } = loadBalancer;
  return hashBalanceFactor === 0 ? table : new BoundedLoadTable(table, entries, hashBalanceFactor, activeRequests);
}

/** Appends `hosts` with weights that add up to `share`. */
function weigh(hosts: readonly UpstreamHost[], share: number, entries: WeightedHost[]): WeightedHost[] {
  const sum = hosts.reduce((total, host) => total + host.weight, 0);
  for (const host of hosts) entries.push({ host, weight: (host.weight * share) / sum });
  return entries;
}

/** By locality first. As in Envoy, the share of a locality without hosts is nobody's. */
function weighLocalities(
  hosts: readonly UpstreamHost[],
  { localities }: HostSetModel,
  priority: number,
): WeightedHost[] {
  const ofLevel = localities.filter((locality) => locality.priority === priority);
  const sum = ofLevel.reduce((total, locality) => total + (locality.weight ?? 0), 0);
  if (sum === 0) return [];
  const entries: WeightedHost[] = [];
  localities.forEach((locality, index) => {
    if (locality.priority !== priority || (locality.weight ?? 0) === 0) return;
    weigh(
      hosts.filter((host) => host.locality === index),
      locality.weight! / sum,
      entries,
    );
  });
  return entries;
}

/** Shows the table that was built last, as Envoy does. One worker does it for all. */
export function showHashStats(policy: 'ring-hash' | 'maglev', picker: HashPicker, scope: StatsScope): void {
  const table = picker.tables.findLast((each) => each !== undefined);
  if (policy === 'ring-hash') {
    const stats = scope.block(RING_STATS, 'ring_hash_lb.');
    stats.set(RING_STATS.at.size, table?.size ?? 0);
    stats.set(RING_STATS.at.min_hashes_per_host, table?.fewest ?? 0);
    stats.set(RING_STATS.at.max_hashes_per_host, table?.most ?? 0);
  } else {
    const stats = scope.block(MAGLEV_STATS, 'maglev_lb.');
    stats.set(MAGLEV_STATS.at.min_entries_per_host, table?.fewest ?? 0);
    stats.set(MAGLEV_STATS.at.max_entries_per_host, table?.most ?? 0);
  }
}
