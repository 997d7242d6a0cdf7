import type { ClusterModel } from '../../config/cluster-model.ts';
import type { NetworkFilterForConnection } from '../../filters/network/filter.ts';
import type { NetworkFilterRegistry } from '../../filters/network-registry.ts';
import type { WorkerContext } from '../worker-context.ts';
import { LocalCount } from './lane-count.ts';
import { networkFilterContext } from './network-filter-context.ts';

/** Compiles the network filters of a cluster's connections; they must have been prepared. `shared`: of the worker. */
export function compileClusterFilters(
  { networkFilters }: ClusterModel,
  registry: NetworkFilterRegistry,
  worker: WorkerContext,
  shared: Map<string, unknown>,
): readonly NetworkFilterForConnection[] {
  return networkFilters.map(({ name, config }) =>
    registry.compile(config, networkFilterContext(name, worker, shared, new LocalCount(), 'upstream')),
  );
}
