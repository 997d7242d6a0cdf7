import type { BuiltCluster } from '../config/cluster-model.ts';
import type { Clock, ClockTimer } from '../lib/clock.ts';
import type { ClusterRegistry } from '../proxy/upstream/cluster-registry.ts';

export interface StaticClustersOptions {
  readonly clock: Clock;
  readonly clusters: Pick<ClusterRegistry, 'set' | 'remove'>;
  /** The last of those that were retired has gone. */
  onRetired(): void;
}

/** The clusters of the bootstrap, as one bootstrap takes the place of another. */
export class StaticClusters {
  readonly #options: StaticClustersOptions;
  readonly #names = new Set<string>();
  /** Clusters that are configured no more, with when they go. */
  readonly #retiring = new Map<string, ClockTimer>();

  constructor(options: StaticClustersOptions) {
    this.#options = options;
  }

  set(clusters: readonly BuiltCluster[]): void {
    for (const built of clusters) {
      this.#names.add(built.model.name);
      this.#options.clusters.set(built, false);
    }
  }

  /** Lets go of all but `kept` in `delayMs`: until then, connections that drain may want them. */
  retire(kept: readonly BuiltCluster[], delayMs: number): void {
    const names = new Set(kept.map(({ model }) => model.name));
    for (const name of this.#names) {
      this.#retiring.get(name)?.cancel();
      this.#retiring.delete(name);
      if (names.has(name)) continue;
      if (delayMs === 0) this.#remove(name);
      else
        this.#retiring.set(
          name,
          this.#options.clock.setTimer(delayMs, () => {
            this.#remove(name);
            if (!this.isRetiring) this.#options.onRetired();
          }),
        );
    }
  }

  get isRetiring(): boolean {
    return this.#retiring.size > 0;
  }

  close(): void {
    for (const timer of this.#retiring.values()) timer.cancel();
  }

  #remove(name: string): void {
    this.#retiring.delete(name);
    this.#names.delete(name);
    this.#options.clusters.remove(name);
  }
}
