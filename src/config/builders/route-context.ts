import type { TypeRegistry } from '../../api/type-registry.ts';
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
  /** Virtual hosts on demand (VHDS) are looked after. Absent: they are refused. */
  readonly discoversVirtualHosts?: boolean;
  /** Has loaded what the Anys hold, so that a TypedStruct in typed_per_filter_config can be read as what it stands for. */
  readonly types?: TypeRegistry;
  /** Whether some HTTP filter has per-route config of this type. Absent: unknown, so nothing is named. */
  isKnownRouteConfig?(typeName: string): boolean;
}

/** What the builders of one route configuration share: what they depend on, and the clusters that they came across. */
export class RouteBuild {
  readonly context: RouteBuildContext;
  readonly #clusters = new Set<string>();
  readonly #validate: boolean;

  constructor(context: RouteBuildContext, validate: boolean) {
    this.context = context;
    this.#validate = validate;
  }

  /** Notes that a route names `cluster`. `kind` is '' or 'shadow '. */
  addCluster(cluster: string, kind: '' | 'shadow ', problems: Problems): void {
    this.#clusters.add(cluster);
    if (this.#validate && this.context.clusterExists?.(cluster) === false)
      problems.error(`route: unknown ${kind}cluster '${cluster}'`);
  }

  /** Sorted. */
  get clusters(): string[] {
    return [...this.#clusters].sort();
  }
}
