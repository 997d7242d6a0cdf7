import type { AddressModel } from '../../config/common-model.ts';
import { SharedCells } from '../../lib/shared-cells.ts';
import type { StatBlock } from '../../telemetry/stats/stats.ts';
import { CLUSTER_STATS } from './cluster-stats.ts';
import { hostCellCount } from './host-cells.ts';
import { UpstreamHost } from './host.ts';

/**
 * Makes the hosts of a cluster that are one worker's own, with cells that no other thread sees, since they come and go
 * with what it does; their number shows in the membership gauges.
 */
export class LocalHosts {
  readonly #stats: StatBlock;
  readonly #prepare: (host: UpstreamHost) => void;
  readonly #cells = new SharedCells([], 1);

  /** `prepare` gives a new host its transport socket. */
  constructor(stats: StatBlock, prepare: (host: UpstreamHost) => void) {
    this.#stats = stats;
    this.#prepare = prepare;
  }

  make(address: AddressModel, additionalAddresses: readonly AddressModel[], hostname: string): UpstreamHost {
    const model = {
      address,
      additionalAddresses,
      hostname,
      weight: 1,
      priority: 0,
      locality: 0,
      metadata: undefined,
      healthStatus: 'unknown',
      canary: false,
      sharedSlot: this.#cells.allocate(hostCellCount(1)),
    } as const;
    const host = new UpstreamHost(model, undefined, this.#cells, 0);
    this.#prepare(host);
    return host;
  }

  /** Gives the cells of one back that has no connection left. */
  free(host: UpstreamHost): void {
    this.#cells.free(host.sharedSlot, hostCellCount(1));
  }

  /** So many more hosts (or fewer) than before. */
  count(change: number): void {
    if (change === 0) return;
    this.#stats.inc(CLUSTER_STATS.at.membership_change);
    this.#stats.add(CLUSTER_STATS.at.membership_total, change);
    this.#stats.add(CLUSTER_STATS.at.membership_healthy, change);
  }
}
