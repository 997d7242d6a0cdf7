import type { ConfigSource } from '../api/generated/envoy/config/core/v3/config_source_pb.js';
import type { Listener } from '../api/generated/envoy/config/listener/v3/listener_pb.js';
import type { HttpConnectionManager } from '../api/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import type { TypeRegistry } from '../api/type-registry.ts';
import { HTTP_CONNECTION_MANAGER } from './builders/http-connection-manager.ts';
import { unpackAs } from './builders/listener-context.ts';

/** A route configuration that a listener names (RDS). */
export interface RouteReference {
  readonly name: string;
  readonly source: ConfigSource;
  /** `stat_prefix` of the connection manager: the subscription counts under `http.<statPrefix>.rds.<name>.` */
  readonly statPrefix: string;
}

/** The route configurations that a listener names, each once. */
export function routesOf(message: Listener, types: TypeRegistry): readonly RouteReference[] {
  const found = new Map<string, RouteReference>();
  for (const { routeSpecifier, statPrefix } of connectionManagersOf(message, types)) {
    if (routeSpecifier.case !== 'rds') continue;
    const { routeConfigName: name, configSource: source } = routeSpecifier.value;
    if (source !== undefined && !found.has(name)) found.set(name, { name, source, statPrefix });
  }
  return [...found.values()];
}

/** The HTTP connection managers of a listener, those of its default filter chain last. */
export function* connectionManagersOf(
  { filterChains, defaultFilterChain }: Listener,
  types: TypeRegistry,
): Generator<HttpConnectionManager, void, void> {
  const chains = defaultFilterChain === undefined ? filterChains : [...filterChains, defaultFilterChain];
  for (const { filters } of chains)
    for (const { configType } of filters) {
      if (configType.case !== 'typedConfig') continue;
      const hcm = unpackAs<HttpConnectionManager>(types, configType.value, HTTP_CONNECTION_MANAGER);
      if (hcm !== undefined) yield hcm;
    }
}
