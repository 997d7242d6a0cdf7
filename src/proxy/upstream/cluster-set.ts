import type { SnapshotDelta } from '../../config/snapshot.ts';
import { UpstreamCluster, type ClusterEnvironment } from './cluster.ts';
import type { Cluster, Clusters } from './upstream.ts';

/** The clusters of one worker. */
export class ClusterSet implements Clusters {
  readonly #environment: ClusterEnvironment;
  readonly #clusters = new Map<string, UpstreamCluster>();

  constructor(environment: ClusterEnvironment) {
    if (environment.lane >= environment.shared.lanes)
      throw new Error(`lane ${environment.lane} of ${environment.shared.lanes}`);
    this.#environment = environment;
  }

  get(name: string): Cluster | undefined {
    return this.#clusters.get(name);
  }

  get size(): number {
    return this.#clusters.size;
  }

  values(): IterableIterator<UpstreamCluster> {
    return this.#clusters.values();
  }

  /**
   * Takes over the changed part of a snapshot. A cluster that is set again is replaced, and its hosts have to come in
   * the same delta; clusters and hosts that don't appear stay as they are, with their pools.
   */
  apply(delta: Pick<SnapshotDelta, 'clusters' | 'hosts'>): void {
    const gone: UpstreamCluster[] = [];
    for (const name of delta.clusters?.remove ?? []) {
      const cluster = this.#clusters.get(name);
      if (cluster === undefined) continue;
      this.#clusters.delete(name);
      gone.push(cluster);
    }
    for (const model of delta.clusters?.set ?? []) {
      const former = this.#clusters.get(model.name);
      if (former !== undefined) gone.push(former);
      this.#clusters.set(model.name, new UpstreamCluster(model, this.#environment));
    }
    for (const hosts of delta.hosts ?? []) this.#clusters.get(hosts.cluster)?.setHosts(hosts);
    for (const cluster of gone) {
      cluster.drain();
      cluster.releaseStats();
    }
  }

  /** The worker stops: every connection that is idle closes now, the others after their stream. */
  drain(): void {
    for (const cluster of this.#clusters.values()) cluster.drain();
  }
}
