import { loadTypesOf } from '../api/any.ts';
import { ListenerSchema, type Listener } from '../api/generated/envoy/config/listener/v3/listener_pb.js';
import type { TypeRegistry } from '../api/type-registry.ts';
import type { FilterRegistries } from '../filters/filter-registries.ts';
import { checkConfigSource, type ConfigSourceContext } from './builders/config-source.ts';
import { buildListener } from './builders/listener.ts';
import { checkHttpFilters } from './check-http-filters.ts';
import { checkListenerFilters } from './check-listener-filters.ts';
import { checkNetworkFilters } from './check-network-filters.ts';
import type { ListenerModel } from './listener-model.ts';
import { routesOf, scopesOf, type RouteReference, type ScopeReference } from './listener-routes.ts';
import { markDiscovered } from './discovered-filters.ts';
import { extensionsOf, withExtensions, type ExtensionReference, type FindExtension } from './listener-extensions.ts';
import { Problems } from './problem.ts';
import type { SecretSources } from './secrets/secret-sources.ts';

/** A listener that has been built and checked, and what it has to be given before it can serve. */
export interface BuiltListener {
  readonly model: ListenerModel;
  /** As it was configured, for `/config_dump`. */
  readonly message: Listener;
  readonly routes: readonly RouteReference[];
  readonly scopes: readonly ScopeReference[];
  /** Filters whose configs are delivered apart; without them `model` is not what is to be served. */
  readonly extensions: readonly ExtensionReference[];
  /** The model with the configs that are there now. A text: why they can't be used. */
  extend(find: FindExtension): Promise<ListenerModel | string>;
}

export interface ListenerResourceContext {
  /** Has loaded what the message holds. */
  readonly types: TypeRegistry;
  readonly filters: FilterRegistries;
  readonly secrets: SecretSources;
  readonly ticketSeed: Uint8Array;
  readonly discovery: ConfigSourceContext;
  readonly clusterExists?: (name: string) => boolean;
}

/**
 * Builds a listener and creates each of its filters once, to find all that is wrong with it; `problems` stands at it.
 * After an error in `problems` the result must not be used. `configured`: the message before TypedStructs were resolved.
 */
export async function buildListenerResource(
  message: Listener,
  configured: Listener,
  problems: Problems,
  context: ListenerResourceContext,
): Promise<BuiltListener> {
  const { types } = context;
  const extensions = extensionsOf(message, types);
  for (const { name, source } of extensions)
    checkConfigSource(source, 'ecds', context.discovery, problems.at(`config_discovery of '${name}'`));
  const build = async (find: FindExtension, found: Problems): Promise<ListenerModel> => {
    const whole = withExtensions(message, types, find);
    await loadTypesOf(types, ListenerSchema, whole);
    return buildModel(whole, found, context);
  };
  return {
    model: markDiscovered(await build(({ defaultConfig }) => defaultConfig ?? 'drop', problems), extensions),
    message: configured,
    routes: routesOf(message, types),
    scopes: scopesOf(message, types),
    extensions,
    async extend(find) {
      const found = new Problems();
      const model = await build(find, found);
      const errors = found.list.filter(({ severity }) => severity === 'error');
      return errors.length === 0
        ? markDiscovered(model, extensions)
        : errors.map(({ path, message: text }) => `${path}: ${text}`).join('; ');
    },
  };
}

async function buildModel(
  message: Listener,
  problems: Problems,
  { filters, ...context }: ListenerResourceContext,
): Promise<ListenerModel> {
  const model = buildListener(message, problems, {
    ...context,
    isKnownHttpFilter: (typeName) => filters.http.find({ name: '', typeName }) !== undefined,
    isKnownListenerFilter: (typeName) => filters.listener.find(typeName) !== undefined,
    findNetworkFilter: (typeName) => filters.network.find(typeName),
  });
  await checkHttpFilters(model, filters.http, problems);
  await checkNetworkFilters(model, filters.network, problems);
  await checkListenerFilters(model, filters.listener, problems);
  return model;
}
