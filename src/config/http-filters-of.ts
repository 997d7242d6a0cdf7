import type { HttpFilterModel } from './hcm-model.ts';
import type { ListenerModel } from './listener-model.ts';

/** Every HTTP filter config of a listener: what has to be prepared before the listener is compiled. */
export function httpFiltersOf({ filterChains, defaultFilterChain }: ListenerModel): readonly HttpFilterModel[] {
  const chains = defaultFilterChain === undefined ? filterChains : [...filterChains, defaultFilterChain];
  return chains.flatMap(({ networkFilters }) =>
    networkFilters.flatMap((filter) =>
      filter.kind === 'http-connection-manager'
        ? [...filter.hcm.httpFilters, ...filter.hcm.upgrades.flatMap(({ filters }) => filters ?? [])]
        : [],
    ),
  );
}
