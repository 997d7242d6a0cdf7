import type { ClusterModel, HostSetModel } from './cluster-model.ts';
import type { ListenerModel } from './listener-model.ts';
import type { RouteConfigModel } from './route-model.ts';
import type { ScopedRoutesModel } from './scoped-routes-model.ts';
import type { RuntimeValues } from './runtime.ts';
import type { SecretModel } from './secret-model.ts';

/** The part of the configuration that changed, as workers get it. Applied as a whole, with pointer swaps. */
export interface SnapshotDelta {
  /** Applied first. Secrets that clusters and listeners name (SecretSource); inline ones are part of them. */
  readonly secrets?: ResourceDelta<SecretModel>;
  readonly clusters?: ResourceDelta<ClusterModel>;
  /** Endpoints of clusters (static ones included), applied after `clusters`. */
  readonly hosts?: readonly HostSetModel[];
  /** Route configurations that listeners name (RDS). Inline ones are part of their listener. */
  readonly routes?: ResourceDelta<RouteConfigModel>;
  /** Scopes that listeners name (SRDS), applied after `routes`. */
  readonly scopes?: ResourceDelta<ScopedRoutesModel>;
  readonly listeners?: ResourceDelta<ListenerModel>;
  /** The merged runtime layers, whole. */
  readonly runtime?: RuntimeValues;
}

export interface ResourceDelta<Model> {
  readonly set: readonly Model[];
  readonly remove: readonly string[];
}
