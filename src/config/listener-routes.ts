import type { ConfigSource } from '../api/generated/envoy/config/core/v3/config_source_pb.js';
import type { Listener } from '../api/generated/envoy/config/listener/v3/listener_pb.js';
import type { HttpConnectionManager } from '../api/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import type { TypeRegistry } from '../api/type-registry.ts';
import { HTTP_CONNECTION_MANAGER } from './builders/http-connection-manager.ts';
import { unpackAs } from './builders/listener-context.ts';
import { scopedRoutesName } from './builders/scoped-routes.ts';

/** A route configuration that a listener names (RDS). */
export interface RouteReference {
  readonly name: string;
  readonly source: ConfigSource;
  /** `stat_prefix` of the connection manager: the subscription counts under `http.<statPrefix>.rds.<name>.` */
  readonly statPrefix: string;
}

/** Scopes that a listener has discovered (SRDS): each leads to a route configuration (RDS), or has one. */
export interface ScopeReference {
  /** Under which workers find them. */
  readonly key: string;
  /** Of `scoped_routes`. */
  readonly name: string;
  /** Of the scopes. */
  readonly source: ConfigSource;
  readonly rdsSource: ConfigSource;
  readonly statPrefix: string;
}

/** The sets of scopes that a listener's connection managers choose from. */
export function scopesOf(message: Listener, types: TypeRegistry): readonly ScopeReference[] {
  const found: ScopeReference[] = [];
  for (const { routeSpecifier, statPrefix } of connectionManagersOf(message, types)) {
    if (routeSpecifier.case !== 'scopedRoutes') continue;
    const { name, rdsConfigSource, configSpecifier } = routeSpecifier.value;
    const source = configSpecifier.case === 'scopedRds' ? configSpecifier.value.scopedRdsConfigSource : undefined;
    // Scopes that are part of the listener have their routes in themselves.
    if (source === undefined) continue;
    found.push({
      key: scopedRoutesName(routeSpecifier.value),
      name,
      source,
      // Where the routes' source isn't given it is that of the scopes.
      rdsSource: rdsConfigSource ?? source,
      statPrefix,
    });
  }
  return found;
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
