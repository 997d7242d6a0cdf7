import type { Problems } from '../problem.ts';

/** What the build of a route configuration depends on. */
export interface RouteBuildContext {
  /** Whether a cluster of this name is configured. Absent: unknown, so nothing is checked. */
  clusterExists?(name: string): boolean;
  /**
   * Whether an unknown cluster is an error where the configuration doesn't say (`validate_clusters`). Envoy: true for
   * the route_config of a listener, false for RDS.
   */
  readonly validateClusters: boolean;
}

/** What the builders of one route configuration share. */
export class RouteClusters {
  readonly #names = new Set<string>();
  readonly #context: RouteBuildContext;
  readonly #validate: boolean;

  constructor(context: RouteBuildContext, validate: boolean) {
    this.#context = context;
    this.#validate = validate;
  }

  /** Notes that a route names `cluster`. `kind` is '' or 'shadow '. */
  add(cluster: string, kind: '' | 'shadow ', problems: Problems): void {
    this.#names.add(cluster);
    if (this.#validate && this.#context.clusterExists?.(cluster) === false)
      problems.error(`route: unknown ${kind}cluster '${cluster}'`);
  }

  /** Sorted. */
  get names(): string[] {
    return [...this.#names].sort();
  }
}
