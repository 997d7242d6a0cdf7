import type { FilterChainModel } from '../../config/listener-model.ts';
import type { NetworkFilterModel } from '../../config/network-filter-model.ts';
import type { NetworkFilterForConnection } from '../../filters/network/filter.ts';
import type { NetworkFilterRegistry } from '../../filters/network-registry.ts';
import type { StatsScope } from '../../telemetry/stats/stats.ts';
import { HttpFilterChain, type FilterChainEnvironment } from '../http/http-filter-chain.ts';
import type { FilterChain } from '../listener/listener.ts';
import { LaneCount, LocalCount } from './lane-count.ts';
import { NetworkChain } from './network-chain.ts';
import { networkFilterContext } from './network-filter-context.ts';
import { TcpProxyChain } from './tcp-proxy-chain.ts';

/** What filter chains are compiled with. */
export interface NetworkChainEnvironment extends FilterChainEnvironment {
  /** Its filters must have been prepared. */
  readonly networkFilters: NetworkFilterRegistry;
  /** What network filters of this worker share by name. */
  readonly sharedByFilters: Map<string, unknown>;
}

/**
 * Compiles a filter chain with at least one filter. One that is nothing but an HTTP connection manager or a TCP proxy
 * is just that. `listenerScope` is `listener.<address>.`.
 */
export function createFilterChain(
  model: FilterChainModel,
  listenerScope: StatsScope,
  environment: NetworkChainEnvironment,
): FilterChain {
  const { worker, networkFilters, sharedByFilters } = environment;
  const terminal = createTerminal(model, model.networkFilters.at(-1), listenerScope, environment);
  const compile = ({ networkFilters: models }: FilterChainModel): readonly NetworkFilterForConnection[] =>
    models.flatMap((filter) => {
      if (filter.kind !== 'extension') return [];
      const { name, config, sharedSlot } = filter;
      const count =
        sharedSlot === undefined ? new LocalCount() : new LaneCount(worker.shared, sharedSlot, worker.index);
      return [networkFilters.compile(config, networkFilterContext(name, worker, sharedByFilters, count))];
    });
  const filters = compile(model);
  return terminal !== undefined && filters.length === 0
    ? terminal
    : new NetworkChain(filters, terminal, worker.log, compile);
}

function createTerminal(
  model: FilterChainModel,
  last: NetworkFilterModel | undefined,
  listenerScope: StatsScope,
  environment: NetworkChainEnvironment,
): FilterChain | undefined {
  switch (last?.kind) {
    case 'http-connection-manager':
      return new HttpFilterChain(model, listenerScope, environment);
    case 'tcp-proxy':
      return new TcpProxyChain(last.tcpProxy, environment.worker);
    default:
      return undefined;
  }
}
