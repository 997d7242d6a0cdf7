import { ConfigError } from '../filters/config-type.ts';
import { inertNetworkContext } from '../filters/inert-context.ts';
import type { NetworkFilterRegistry } from '../filters/network-registry.ts';
import type { ListenerModel } from './listener-model.ts';
import type { Problems } from './problem.ts';

/** Creates every network filter of a listener once, to find what only the filters themselves can find. `problems` stands at the listener. */
export async function checkNetworkFilters(
  listener: ListenerModel,
  registry: NetworkFilterRegistry,
  problems: Problems,
): Promise<void> {
  const chains = listener.filterChains.map((chain, i) => [chain, problems.at('filter_chains').at(i)] as const);
  if (listener.defaultFilterChain !== undefined)
    chains.push([listener.defaultFilterChain, problems.at('default_filter_chain')]);
  for (const [{ networkFilters }, at] of chains) {
    for (const [i, filter] of networkFilters.entries()) {
      if (filter.kind !== 'extension') continue;
      const here = at.at('filters').at(i).at('typed_config');
      try {
        await registry.prepare([filter.config]);
        registry.compile(
          filter.config,
          inertNetworkContext((field) => here.unsupported(field)),
        );
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        (error instanceof ConfigError && error.path !== '' ? here.at(error.path) : here).error(message);
      }
    }
  }
}
