import { isDeepStrictEqual } from 'node:util';
import type {
  AssignmentModel,
  BuiltCluster,
  ClusterModel,
  EdsModel,
  HostSetModel,
} from '../../config/cluster-model.ts';
import type { ClusterStatus } from '../../config/cluster-status-model.ts';
import type { SnapshotDelta } from '../../config/snapshot.ts';
import type { StatBlock } from '../../telemetry/stats/stats.ts';
import { CLUSTER_MANAGER_STATS } from '../../telemetry/stats/server-stats.ts';
import { CellReclaimer } from './cell-reclaimer.ts';
import { ClusterControl, type ClusterControlEnvironment, type ClusterControlOwner } from './cluster-control.ts';
import { describeCluster } from './cluster-status.ts';

/** What concerns clusters in a snapshot. */
export type ClusterDelta = Pick<SnapshotDelta, 'clusters' | 'hosts'>;

export interface ClusterRegistryOptions extends ClusterControlEnvironment {
  /** Something changed for the workers; gathered until the end of the current job of the event loop. */
  onDelta(delta: ClusterDelta): void;
  /** The first cluster has begun to warm, or the last one is through with it. */
  onWarming?(areWarming: boolean): void;
}

/**
 * All clusters on the control thread (Envoy's cluster manager, the part that isn't per worker). A new or changed cluster
 * warms until its first hosts are known; until then the one it replaces goes on serving.
 */
export class ClusterRegistry implements ClusterControlOwner {
  readonly #options: ClusterRegistryOptions;
  readonly #reclaimer: CellReclaimer;
  readonly #stats: StatBlock;
  readonly #active = new Map<string, ClusterControl>();
  readonly #warming = new Map<string, ClusterControl>();
  #changed = new Map<string, ClusterModel>();
  #removed = new Set<string>();
  #hosts = new Map<string, HostSetModel>();
  #scheduled = false;
  #areWarming = false;
  #waiting: (() => void)[] = [];
  #closed = false;

  constructor(options: ClusterRegistryOptions) {
    this.#options = options;
    this.#reclaimer = new CellReclaimer(options.cells, options.clock);
    this.#stats = options.stats.block(CLUSTER_MANAGER_STATS, 'cluster_manager.');
  }

  /** True if there is such a cluster, warming ones included. */
  has(name: string): boolean {
    return this.#active.has(name) || this.#warming.has(name);
  }

  get activeNames(): string[] {
    return [...this.#active.keys()];
  }

  get warmingNames(): string[] {
    return [...this.#warming.keys()];
  }

  /** What is active under this name, and what is to take its place. */
  find(name: string): { readonly active: BuiltCluster | undefined; readonly warming: BuiltCluster | undefined } {
    return { active: this.#active.get(name)?.built, warming: this.#warming.get(name)?.built };
  }

  /**
   * Adds a cluster or replaces one. False: it is the same as before, or one of the bootstrap, which no control plane
   * can change.
   */
  set(built: BuiltCluster, addedViaApi: boolean): boolean {
    const { name } = built.model;
    const warming = this.#warming.get(name);
    const former = warming ?? this.#active.get(name);
    if (former !== undefined && ((addedViaApi && !former.addedViaApi) || isDeepStrictEqual(former.built, built)))
      return false;
    const { at } = CLUSTER_MANAGER_STATS;
    this.#stats.inc(former === undefined ? at.cluster_added : at.cluster_modified);
    const cluster = new ClusterControl(built, addedViaApi, this.#options, this.#reclaimer, this);
    this.#warming.set(name, cluster);
    cluster.start();
    // After the other has begun: what both of them want is never given up in between.
    warming?.close();
    this.#setGauges();
    return true;
  }

  /** False: there is none of this name. */
  remove(name: string): boolean {
    const warming = this.#warming.get(name);
    const active = this.#active.get(name);
    if (warming === undefined && active === undefined) return false;
    this.#warming.delete(name);
    this.#active.delete(name);
    warming?.close();
    active?.close();
    this.#stats.inc(CLUSTER_MANAGER_STATS.at.cluster_removed);
    this.#changed.delete(name);
    this.#hosts.delete(name);
    if (active !== undefined) {
      this.#removed.add(name);
      this.#schedule();
    }
    this.#setGauges();
    return true;
  }

  /** Resolves when no cluster is warming. Each has had its chance by then: a name that can't be resolved ends warming too. */
  async initialized(): Promise<void> {
    if (this.#warming.size === 0 || this.#closed) return;
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Of the active clusters. */
  models(): readonly ClusterModel[] {
    return Array.from(this.#active.values(), ({ model }) => model);
  }

  /** Everything that is active: what a new worker starts with. Changes not yet handed out are in it as well. */
  snapshot(): ClusterDelta {
    const clusters = [...this.#active.values()];
    return {
      clusters: { set: clusters.map((cluster) => cluster.model), remove: [] },
      hosts: clusters.map((cluster) => cluster.hostSet),
    };
  }

  /** What has changed since the last delta, now; undefined if nothing has. `onDelta` won't be called for it. */
  takeDelta(): ClusterDelta | undefined {
    const remove = [...this.#removed].filter((name) => !this.#active.has(name));
    const set = [...this.#changed.values()];
    const hosts = [...this.#hosts.values()];
    this.#changed = new Map();
    this.#removed = new Set();
    this.#hosts = new Map();
    if (set.length === 0 && remove.length === 0 && hosts.length === 0) return undefined;
    return { clusters: { set, remove }, hosts };
  }

  /** In the order of their addition, active ones only, as in Envoy. */
  *statuses(): Generator<ClusterStatus, void, void> {
    for (const cluster of this.#active.values()) yield describeCluster(cluster, this.#options.cells);
  }

  /** Sets the circuit-breaker gauges. Call before stats are read. */
  refreshStats(): void {
    for (const cluster of this.#active.values()) cluster.refreshStats();
  }

  /** A worker died: takes back what it held, before another takes its lane. */
  settleLane(lane: number): void {
    for (const cluster of this.#active.values()) cluster.settleLane(lane);
    for (const cluster of this.#warming.values()) cluster.settleLane(lane);
    this.#reclaimer.settleLane(lane);
  }

  /** Stops all discovery. */
  close(): void {
    this.#closed = true;
    for (const cluster of [...this.#warming.values(), ...this.#active.values()]) cluster.close();
    this.#warming.clear();
    this.#active.clear();
    this.#reclaimer.close();
    this.#wakeWaiting();
  }

  onHosts(cluster: ClusterControl, hosts: HostSetModel): void {
    // A warming cluster hands its hosts out together with itself.
    if (this.#active.get(cluster.model.name) !== cluster) return;
    this.#stats.inc(CLUSTER_MANAGER_STATS.at.cluster_updated);
    this.#hosts.set(cluster.model.name, hosts);
    this.#schedule();
  }

  heldAssignment(name: string, model: EdsModel): AssignmentModel | undefined {
    const active = this.#active.get(name);
    return active !== undefined && isDeepStrictEqual(active.built.discovery, model) ? active.assignment : undefined;
  }

  onInitialized(cluster: ClusterControl): void {
    const { name } = cluster.model;
    if (this.#warming.get(name) !== cluster) return;
    this.#warming.delete(name);
    const former = this.#active.get(name);
    this.#active.set(name, cluster);
    this.#changed.set(name, cluster.model);
    this.#hosts.set(name, cluster.hostSet);
    former?.close();
    this.#schedule();
    this.#setGauges();
    this.#wakeWaiting();
  }

  #wakeWaiting(): void {
    if (this.#warming.size > 0) return;
    for (const wake of this.#waiting.splice(0)) wake();
  }

  #schedule(): void {
    if (this.#scheduled || this.#closed) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      if (this.#closed) return;
      const delta = this.takeDelta();
      if (delta !== undefined) this.#options.onDelta(delta);
    });
  }

  #setGauges(): void {
    this.#stats.set(CLUSTER_MANAGER_STATS.at.active_clusters, this.#active.size);
    this.#stats.set(CLUSTER_MANAGER_STATS.at.warming_clusters, this.#warming.size);
    if (this.#areWarming === this.#warming.size > 0) return;
    this.#areWarming = !this.#areWarming;
    this.#options.onWarming?.(this.#areWarming);
  }
}
