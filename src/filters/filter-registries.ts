import { builtinHttpFilters } from './builtin.ts';
import { builtinListenerFilters } from './builtin-listener.ts';
import { builtinNetworkFilters } from './builtin-network.ts';
import { ListenerFilterRegistry } from './listener-registry.ts';
import { NetworkFilterRegistry } from './network-registry.ts';
import { HttpFilterRegistry } from './registry.ts';

/** Every kind of filter that a listener's config can name; one set a thread. */
export interface FilterRegistries {
  readonly http: HttpFilterRegistry;
  readonly network: NetworkFilterRegistry;
  readonly listener: ListenerFilterRegistry;
}

/** The registries of what comes with Outrigger. Nothing is loaded yet. */
export function builtinFilterRegistries(): FilterRegistries {
  return {
    http: new HttpFilterRegistry(builtinHttpFilters),
    network: new NetworkFilterRegistry(builtinNetworkFilters),
    listener: new ListenerFilterRegistry(builtinListenerFilters),
  };
}
