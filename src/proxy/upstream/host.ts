import type { AddressModel } from '../../config/common-model.ts';
import type { HostHealthStatus, HostModel, LocalityModel } from '../../config/cluster-model.ts';
import type { Metadata } from '../../filters/stream-info.ts';
import type { SharedCells } from '../../lib/shared-cells.ts';
import { DEGRADED_FLAGS, EXCLUDED_FLAGS, HOST_CELLS, UNHEALTHY_FLAGS, hostLaneCell } from './host-cells.ts';
import type { UpstreamTransportSocket } from '../transport-socket/transport-socket.ts';
import type { Host, Pool, TcpPool } from './upstream.ts';

/** `ip:port`, `[ip6]:port` or the path of a socket: what names a host in logs, stats and override headers. */
export function formatAddress(address: AddressModel): string {
  if (address.kind === 'pipe') return address.path;
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

interface Drainable {
  drain(): void;
}

export interface KeyedPools {
  readonly http: Map<string, Pool & Drainable>;
  readonly tcp: Map<string, TcpPool & Drainable & { closeConnections(): void }>;
}

/** One upstream host on one worker. The object lives as long as the host keeps its cells, over changes of its model. */
export class UpstreamHost implements Host {
  address = '';
  model: HostModel;
  hostname = '';
  metadata: Metadata | undefined = undefined;
  zone = '';
  canary = false;
  weight = 1;
  priority = 0;
  locality = 0;
  /** The pool of each routing priority, made on first use; see UpstreamCluster.pool. */
  defaultPool: (Pool & Drainable) | undefined = undefined;
  highPool: (Pool & Drainable) | undefined = undefined;
  /** All other pools: TCP, other transport options, another HTTP version. Made on first use: most hosts have none. */
  #keyedPools: KeyedPools | undefined = undefined;
  /** What goes over its connections under the protocol; undefined: nothing. Chosen by the cluster. */
  transportSocket: UpstreamTransportSocket | undefined = undefined;

  readonly #shared: SharedCells;
  readonly #slot: number;
  readonly #laneCx: number;
  readonly #laneRq: number;
  readonly #lanePending: number;

  constructor(model: HostModel, locality: LocalityModel | undefined, shared: SharedCells, lane: number) {
    this.model = model;
    this.#shared = shared;
    this.#slot = model.sharedSlot;
    this.#laneCx = hostLaneCell(this.#slot, lane, 'cxActive');
    this.#laneRq = hostLaneCell(this.#slot, lane, 'rqActive');
    this.#lanePending = hostLaneCell(this.#slot, lane, 'rqPendingActive');
    this.update(model, locality);
  }

  /** The same host in a new host set. */
  update(model: HostModel, locality: LocalityModel | undefined): void {
    this.model = model;
    this.address = formatAddress(model.address);
    this.hostname = model.hostname;
    this.metadata = model.metadata;
    this.canary = model.canary;
    this.weight = model.weight;
    this.priority = model.priority;
    this.locality = model.locality;
    this.zone = locality?.zone ?? '';
  }

  get keyedPools(): KeyedPools {
    return (this.#keyedPools ??= { http: new Map(), tcp: new Map() });
  }

  /** No connection of this host takes anything new; what is used now stays until it is through. */
  drain(): void {
    const pools: (Drainable | undefined)[] = [this.defaultPool, this.highPool];
    this.defaultPool = undefined;
    this.highPool = undefined;
    const keyed = this.#keyedPools;
    this.#keyedPools = undefined;
    if (keyed !== undefined) pools.push(...keyed.http.values(), ...keyed.tcp.values());
    for (const pool of pools) pool?.drain();
  }

  /** `drain`, and TCP connections close in the midst of their use (`close_connections_on_host_health_failure`). */
  disconnect(): void {
    const keyed = this.#keyedPools;
    this.drain();
    for (const pool of keyed?.tcp.values() ?? []) pool.closeConnections();
  }

  get sharedSlot(): number {
    return this.#slot;
  }

  /** Bits of HostHealthFlag, as the control thread (and outlier detection) last set them. */
  get healthFlags(): number {
    return this.#shared.load(this.#slot + HOST_CELLS.health);
  }

  /** Envoy's coarse health. */
  get health(): 'healthy' | 'degraded' | 'unhealthy' {
    const flags = this.healthFlags;
    if ((flags & UNHEALTHY_FLAGS) !== 0) return 'unhealthy';
    return (flags & DEGRADED_FLAGS) !== 0 ? 'degraded' : 'healthy';
  }

  get excluded(): boolean {
    return (this.healthFlags & EXCLUDED_FLAGS) !== 0;
  }

  /** The status as override hosts are checked against (`override_host_status`). */
  get status(): HostHealthStatus {
    const { health } = this;
    if (health === 'unhealthy')
      return this.model.healthStatus === 'healthy' || this.model.healthStatus === 'unknown'
        ? 'unhealthy'
        : this.model.healthStatus;
    return health;
  }

  /** Requests in flight on all workers. */
  get activeRequests(): number {
    return this.#shared.load(this.#slot + HOST_CELLS.rqActive);
  }

  get activeConnections(): number {
    return this.#shared.load(this.#slot + HOST_CELLS.cxActive);
  }

  requestStarted(): void {
    this.#shared.count(this.#slot + HOST_CELLS.rqTotal);
    this.#shared.add(this.#slot + HOST_CELLS.rqActive, 1);
    this.#shared.bump(this.#laneRq, 1);
  }

  streamEnded(): void {
    this.#shared.add(this.#slot + HOST_CELLS.rqActive, -1);
    this.#shared.bump(this.#laneRq, -1);
  }

  requestEnded(success: boolean): void {
    this.#shared.count(this.#slot + (success ? HOST_CELLS.rqSuccess : HOST_CELLS.rqError));
  }

  requestTimedOut(): void {
    this.#shared.count(this.#slot + HOST_CELLS.rqTimeout);
  }

  requestQueued(): void {
    this.#shared.add(this.#slot + HOST_CELLS.rqPendingActive, 1);
    this.#shared.bump(this.#lanePending, 1);
  }

  requestDequeued(): void {
    this.#shared.add(this.#slot + HOST_CELLS.rqPendingActive, -1);
    this.#shared.bump(this.#lanePending, -1);
  }

  connectionStarted(): void {
    this.#shared.count(this.#slot + HOST_CELLS.cxTotal);
    this.#shared.add(this.#slot + HOST_CELLS.cxActive, 1);
    this.#shared.bump(this.#laneCx, 1);
  }

  connectionEnded(): void {
    this.#shared.add(this.#slot + HOST_CELLS.cxActive, -1);
    this.#shared.bump(this.#laneCx, -1);
  }

  connectFailed(): void {
    this.#shared.count(this.#slot + HOST_CELLS.cxConnectFail);
  }

  /** Has an effect only on hosts that are actively health-checked, as in Envoy; none are, so far. */
  failHealthCheck(): void {}
}
