import type { ExtensionReference } from './listener-extensions.ts';
import type { FilterChainModel, ListenerModel } from './listener-model.ts';
import type { NetworkFilterModel } from './network-filter-model.ts';

/** A listener with those filters marked whose config is delivered apart (ECDS): it may change under connections. */
export function markDiscovered(model: ListenerModel, extensions: readonly ExtensionReference[]): ListenerModel {
  if (extensions.length === 0) return model;
  const discovered = new Set(extensions.map(({ kind, name }) => `${kind} ${name}`));
  const isDiscovered = (kind: ExtensionReference['kind'], name: string): boolean => discovered.has(`${kind} ${name}`);
  const markFilter = (filter: NetworkFilterModel): NetworkFilterModel => {
    if (filter.kind === 'extension')
      return isDiscovered('network_filter', filter.name) ? { ...filter, isDiscovered: true } : filter;
    if (filter.kind !== 'http-connection-manager') return filter;
    const httpFilters = filter.hcm.httpFilters.map((each) =>
      isDiscovered('http_filter', each.name) ? { ...each, isDiscovered: true } : each,
    );
    return { ...filter, hcm: { ...filter.hcm, httpFilters } };
  };
  const markChain = (chain: FilterChainModel): FilterChainModel => ({
    ...chain,
    networkFilters: chain.networkFilters.map(markFilter),
  });
  return {
    ...model,
    filterChains: model.filterChains.map(markChain),
    defaultFilterChain: model.defaultFilterChain && markChain(model.defaultFilterChain),
  };
}
