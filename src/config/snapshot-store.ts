import type { ClusterModel, HostSetModel } from './cluster-model.ts';
import type { ListenerModel } from './listener-model.ts';
import type { RouteConfigModel } from './route-model.ts';
import type { ScopedRoutesModel } from './scoped-routes-model.ts';
import type { SecretModel } from './secret-model.ts';
import type { ResourceDelta, SnapshotDelta } from './snapshot.ts';

/** The configuration as it stands: the sum of all deltas. A worker that starts late gets it whole. */
export class SnapshotStore {
  readonly #secrets = new Map<string, SecretModel>();
  readonly #clusters = new Map<string, ClusterModel>();
  readonly #hosts = new Map<string, HostSetModel>();
  readonly #routes = new Map<string, RouteConfigModel>();
  readonly #scopes = new Map<string, ScopedRoutesModel>();
  readonly #listeners = new Map<string, ListenerModel>();
  #runtime: SnapshotDelta['runtime'] = undefined;

  /** Adds a delta to the sum. */
  apply({ secrets, clusters, hosts, routes, scopes, listeners, runtime }: SnapshotDelta): void {
    merge(this.#secrets, secrets);
    merge(this.#clusters, clusters);
    for (const name of clusters?.remove ?? []) this.#hosts.delete(name);
    for (const set of hosts ?? []) this.#hosts.set(set.cluster, set);
    merge(this.#routes, routes);
    merge(this.#scopes, scopes);
    merge(this.#listeners, listeners);
    if (runtime !== undefined) this.#runtime = runtime;
  }

  /** Everything, as the delta that an empty data plane needs. */
  whole(): SnapshotDelta {
    return {
      secrets: { set: [...this.#secrets.values()], remove: [] },
      clusters: { set: [...this.#clusters.values()], remove: [] },
      hosts: [...this.#hosts.values()],
      routes: { set: [...this.#routes.values()], remove: [] },
      scopes: { set: [...this.#scopes.values()], remove: [] },
      listeners: { set: [...this.#listeners.values()], remove: [] },
      ...(this.#runtime !== undefined && { runtime: this.#runtime }),
    };
  }

  get clusters(): ReadonlyMap<string, ClusterModel> {
    return this.#clusters;
  }

  get hosts(): ReadonlyMap<string, HostSetModel> {
    return this.#hosts;
  }

  get listeners(): ReadonlyMap<string, ListenerModel> {
    return this.#listeners;
  }
}

function merge<Model extends { readonly name: string }>(
  map: Map<string, Model>,
  delta: ResourceDelta<Model> | undefined,
): void {
  for (const name of delta?.remove ?? []) map.delete(name);
  for (const model of delta?.set ?? []) map.set(model.name, model);
}
