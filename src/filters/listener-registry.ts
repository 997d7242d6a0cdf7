import { ExtensionRegistry, type ExtensionRegistration } from './extension-registry.ts';
import type { ListenerFactoryContext, ListenerFilterForConnection } from './listener/filter.ts';

/** A listener filter that there is. */
export type ListenerFilterRegistration = ExtensionRegistration<ListenerFactoryContext, ListenerFilterForConnection>;

/** The listener filters of one thread, by the type of their config. */
export type ListenerFilterRegistry = ExtensionRegistry<
  ListenerFactoryContext,
  ListenerFilterForConnection,
  ListenerFilterRegistration
>;
export const ListenerFilterRegistry = ExtensionRegistry<
  ListenerFactoryContext,
  ListenerFilterForConnection,
  ListenerFilterRegistration
>;
