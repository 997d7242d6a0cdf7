import type {
  AssignmentModel,
  EndpointModel,
  HostHealthStatus,
  HostModel,
  HostSetModel,
} from '../../../config/cluster-model.ts';
import type { SharedCells } from '../../../lib/shared-cells.ts';
import type { TransportSocketMatchModel } from '../../../config/transport-socket-model.ts';
import type { Counter, StatBlock } from '../../../telemetry/stats/stats.ts';
import type { CellReclaimer } from '../cell-reclaimer.ts';
import { CLUSTER_STATS } from '../cluster-stats.ts';
import {
  DEGRADED_FLAGS,
  EXCLUDED_FLAGS,
  HOST_CELLS,
  HostHealthFlag,
  UNHEALTHY_FLAGS,
  hostCellCount,
} from '../host-cells.ts';
import { formatAddress } from '../host.ts';
import { matchTransportSocket } from '../transport-socket-choice.ts';
import { sameHosts } from './same-hosts.ts';

/** A cluster's transport_socket_matches, and what counts the endpoints that each was chosen for. */
export interface TransportSocketCount {
  readonly matches: readonly TransportSocketMatchModel[];
  readonly counters: readonly Counter[];
}

/** From how many hosts on it is worth while to remember which endpoint each came of. */
const MANY = 64;

interface KnownHost {
  /** In `#slots`. */
  readonly key: string;
  readonly host: HostModel;
}

const NO_MATCHES: TransportSocketCount = { matches: [], counters: [] };

/**
 * The hosts of one cluster on the control thread: gives each its cells in shared memory, which stay its own as long as
 * it stays, and turns lists of endpoints into host sets.
 */
export class Membership {
  readonly #cluster: string;
  readonly #identity: 'address' | 'position';
  readonly #cells: SharedCells;
  readonly #reclaimer: CellReclaimer;
  readonly #stats: StatBlock;
  readonly #showMaxWeight: boolean;
  readonly #transportSockets: TransportSocketCount;
  #assignment: AssignmentModel | undefined = undefined;
  #slots = new Map<string, number>();
  /** Of large memberships: the hosts by the endpoints that they came of, which discovery may hand in again as they are. */
  #known: ReadonlyMap<EndpointModel, KnownHost> | undefined = undefined;
  #hostSet: HostSetModel;

  constructor(
    cluster: string,
    identity: 'address' | 'position',
    showMaxWeight: boolean,
    cells: SharedCells,
    reclaimer: CellReclaimer,
    stats: StatBlock,
    transportSockets: TransportSocketCount = NO_MATCHES,
  ) {
    this.#cluster = cluster;
    this.#identity = identity;
    this.#showMaxWeight = showMaxWeight;
    this.#cells = cells;
    this.#reclaimer = reclaimer;
    this.#stats = stats;
    this.#transportSockets = transportSockets;
    this.#hostSet = {
      cluster,
      hosts: [],
      localities: [],
      overprovisioningFactor: 1.4,
      weightedPriorityHealth: false,
      dropOverload: 0,
    };
  }

  /** The host set as it is now. */
  get hostSet(): HostSetModel {
    return this.#hostSet;
  }

  /** What refused requests are called; see AssignmentModel. */
  get dropCategory(): string {
    return this.#assignment?.dropCategory ?? '';
  }

  /** Takes over a new list. Undefined: nothing has changed. */
  update(assignment: AssignmentModel): HostSetModel | undefined {
    if (assignment === this.#assignment) return undefined;
    this.#assignment = assignment;
    const { at } = CLUSTER_STATS;
    const former = this.#slots;
    const slots = new Map<string, number>();
    const hosts: HostModel[] = [];
    let added = 0;
    const known = assignment.endpoints.length < MANY ? undefined : new Map<EndpointModel, KnownHost>();
    for (const endpoint of assignment.endpoints) {
      const formerHost = this.#known?.get(endpoint);
      const key =
        formerHost?.key ?? (this.#identity === 'position' ? String(hosts.length) : formatAddress(endpoint.address));
      const { matches, counters } = this.#transportSockets;
      const locality = assignment.localities[endpoint.locality];
      const match = matchTransportSocket(matches, endpoint.metadata, locality?.metadata);
      if (match === -1) this.#stats.inc(at['default.total_match_count']);
      else counters[match]!.inc();
      if (slots.has(key)) continue;
      let slot = former.get(key);
      if (slot === undefined) {
        slot = this.#cells.allocate(hostCellCount(this.#cells.lanes));
        added++;
      } else former.delete(key);
      slots.set(key, slot);
      if (formerHost === undefined) this.#setHealth(slot, endpoint);
      const host = formerHost?.host ?? { ...endpoint, sharedSlot: slot };
      hosts.push(host);
      known?.set(endpoint, { key, host });
    }
    this.#known = known;
    this.#slots = slots;
    const removed = former.size;
    for (const slot of former.values()) this.#reclaimer.retireHost(slot);
    const { localities, overprovisioningFactor, weightedPriorityHealth, dropOverload } = assignment;
    const cluster = this.#cluster;
    const next = { cluster, hosts, localities, overprovisioningFactor, weightedPriorityHealth, dropOverload };
    if (added > 0 || removed > 0) this.#stats.inc(at.membership_change);
    this.#setGauges(hosts);
    const same = sameHosts(next, this.#hostSet);
    this.#hostSet = next;
    return same ? undefined : next;
  }

  /** The cluster is gone. */
  close(): void {
    for (const slot of this.#slots.values()) this.#reclaimer.retireHost(slot);
    this.#slots.clear();
  }

  #setHealth(slot: number, endpoint: EndpointModel): void {
    const eds = HostHealthFlag.failedEdsHealth | HostHealthFlag.degradedEdsHealth | HostHealthFlag.edsStatusDraining;
    const flags = this.#cells.load(slot + HOST_CELLS.health);
    this.#cells.store(slot + HOST_CELLS.health, (flags & ~eds) | edsFlags(endpoint.healthStatus));
  }

  #setGauges(hosts: readonly HostModel[]): void {
    const { at } = CLUSTER_STATS;
    let healthy = 0;
    let degraded = 0;
    let excluded = 0;
    for (const host of hosts) {
      const flags = this.#cells.load(host.sharedSlot + HOST_CELLS.health);
      if ((flags & EXCLUDED_FLAGS) !== 0) excluded++;
      if ((flags & UNHEALTHY_FLAGS) !== 0) continue;
      if ((flags & DEGRADED_FLAGS) !== 0) degraded++;
      else healthy++;
    }
    this.#stats.set(at.membership_total, hosts.length);
    this.#stats.set(at.membership_healthy, healthy);
    this.#stats.set(at.membership_degraded, degraded);
    this.#stats.set(at.membership_excluded, excluded);
    if (this.#showMaxWeight)
      this.#stats.set(
        at.max_host_weight,
        hosts.reduce((most, host) => Math.max(most, host.weight), 1),
      );
  }
}

function edsFlags(status: HostHealthStatus): number {
  switch (status) {
    case 'unhealthy':
    case 'timeout':
      return HostHealthFlag.failedEdsHealth;
    case 'draining':
      return HostHealthFlag.failedEdsHealth | HostHealthFlag.edsStatusDraining;
    case 'degraded':
      return HostHealthFlag.degradedEdsHealth;
    default:
      return 0;
  }
}
