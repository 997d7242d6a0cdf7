import { clone, create, toBinary } from '@bufbuild/protobuf';
import { AnySchema, type Any } from '@bufbuild/protobuf/wkt';
import type { ConfigSource, ExtensionConfigSource } from '../api/generated/envoy/config/core/v3/config_source_pb.js';
import { ListenerSchema, type Listener } from '../api/generated/envoy/config/listener/v3/listener_pb.js';
import {
  HttpConnectionManagerSchema,
  type HttpConnectionManager,
  type HttpFilter,
} from '../api/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import type { TypeRegistry } from '../api/type-registry.ts';
import { HTTP_CONNECTION_MANAGER } from './builders/http-connection-manager.ts';
import { unpackAs } from './builders/listener-context.ts';

/** A filter whose config is discovered (ECDS). */
export interface ExtensionReference {
  readonly name: string;
  /** As it is called in stats: `extension_config_discovery.<kind>.<name>.` */
  readonly kind: 'http_filter' | 'network_filter' | 'tcp_listener_filter';
  readonly source: ConfigSource;
  /** Types that the config may be of, as type URLs. */
  readonly typeUrls: readonly string[];
  /** Used until another has come. */
  readonly defaultConfig: Any | undefined;
  /** The listener doesn't wait, but begins with the default. */
  readonly appliesDefault: boolean;
}

/** The config of a discovered filter as it is now; `drop`: the filter is left out. */
export type FindExtension = (reference: ExtensionReference) => Any | 'drop';

/** The filters of a listener whose config is discovered, each once. */
export function extensionsOf(message: Listener, types: TypeRegistry): readonly ExtensionReference[] {
  const found = new Map<string, ExtensionReference>();
  withExtensions(message, types, (reference) => {
    found.set(`${reference.kind} ${reference.name}`, reference);
    return 'drop';
  });
  return [...found.values()];
}

/** The listener with the configs of its discovered filters filled in: the same message if it has none. */
export function withExtensions(message: Listener, types: TypeRegistry, find: FindExtension): Listener {
  if (!hasDiscovery(message, types)) return message;
  const resolved = clone(ListenerSchema, message);
  resolved.listenerFilters = fill(resolved.listenerFilters, 'tcp_listener_filter', find);
  for (const chain of [
    ...resolved.filterChains,
    ...(resolved.defaultFilterChain ? [resolved.defaultFilterChain] : []),
  ]) {
    chain.filters = fill(chain.filters, 'network_filter', find);
    for (const { configType } of chain.filters) {
      if (configType.case !== 'typedConfig') continue;
      const hcm = unpackAs<HttpConnectionManager>(types, configType.value, HTTP_CONNECTION_MANAGER);
      if (hcm === undefined || !hcm.httpFilters.some(isDiscovered)) continue;
      const filled = clone(HttpConnectionManagerSchema, hcm);
      filled.httpFilters = fill(filled.httpFilters, 'http_filter', find);
      configType.value = create(AnySchema, {
        typeUrl: `type.googleapis.com/${HTTP_CONNECTION_MANAGER}`,
        value: toBinary(HttpConnectionManagerSchema, filled),
      });
    }
  }
  return resolved;
}

interface Filter {
  readonly name: string;
  configType: HttpFilter['configType'] | { case: undefined; value?: undefined };
}

const isDiscovered = ({ configType }: { readonly configType: { readonly case: string | undefined } }): boolean =>
  configType.case === 'configDiscovery';

function hasDiscovery({ listenerFilters, filterChains, defaultFilterChain }: Listener, types: TypeRegistry): boolean {
  const chains = defaultFilterChain === undefined ? filterChains : [...filterChains, defaultFilterChain];
  if (listenerFilters.some(isDiscovered)) return true;
  return chains.some(({ filters }) =>
    filters.some((filter) => {
      if (isDiscovered(filter)) return true;
      if (filter.configType.case !== 'typedConfig') return false;
      const hcm = unpackAs<HttpConnectionManager>(types, filter.configType.value, HTTP_CONNECTION_MANAGER);
      return hcm?.httpFilters.some(isDiscovered) === true;
    }),
  );
}

function fill<Kind extends { name: string; configType: { case: string | undefined; value?: unknown } }>(
  filters: Kind[],
  kind: ExtensionReference['kind'],
  find: FindExtension,
): Kind[] {
  return filters.filter((filter) => {
    const { configType } = filter as Filter;
    if (configType.case !== 'configDiscovery') return true;
    const reference = referenceTo(filter.name, kind, configType.value);
    const config = reference === undefined ? 'drop' : find(reference);
    if (config === 'drop') return false;
    (filter as Filter).configType = { case: 'typedConfig', value: config };
    return true;
  });
}

function referenceTo(
  name: string,
  kind: ExtensionReference['kind'],
  config: ExtensionConfigSource,
): ExtensionReference | undefined {
  const { configSource: source, defaultConfig, typeUrls, applyDefaultConfigWithoutWarming } = config;
  if (source === undefined) return undefined;
  const appliesDefault = applyDefaultConfigWithoutWarming && defaultConfig !== undefined;
  return { name, kind, source, typeUrls, defaultConfig, appliesDefault };
}
