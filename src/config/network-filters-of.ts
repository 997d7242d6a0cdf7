import type { ListenerModel } from './listener-model.ts';
import type { ExtensionNetworkFilterModel } from './network-filter-model.ts';

/** Every network filter of a listener that comes from the registry: what has to be prepared before it is compiled. */
export function networkFiltersOf(listener: ListenerModel): readonly ExtensionNetworkFilterModel[] {
  const { filterChains, defaultFilterChain } = listener;
  const chains = defaultFilterChain === undefined ? filterChains : [...filterChains, defaultFilterChain];
  return chains.flatMap(({ networkFilters }) => networkFilters.filter((filter) => filter.kind === 'extension'));
}
