import { ExtensionRegistry, type ExtensionRegistration } from './extension-registry.ts';
import type { NetworkFactoryContext, NetworkFilterForConnection } from './network/filter.ts';

/** A network filter that there is. */
export interface NetworkFilterRegistration extends ExtensionRegistration<
  NetworkFactoryContext,
  NetworkFilterForConnection
> {
  /** It ends its filter chain: the bytes go no further (echo, direct_response, ...). */
  readonly isTerminal: boolean;
  /** Counts over all workers (`sharedCount`). */
  readonly counts?: boolean;
}

/** The network filters of one thread, by the type of their config. */
export type NetworkFilterRegistry = ExtensionRegistry<
  NetworkFactoryContext,
  NetworkFilterForConnection,
  NetworkFilterRegistration
>;
export const NetworkFilterRegistry = ExtensionRegistry<
  NetworkFactoryContext,
  NetworkFilterForConnection,
  NetworkFilterRegistration
>;
