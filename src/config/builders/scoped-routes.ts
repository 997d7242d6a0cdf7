import { createHash } from 'node:crypto';
import { toBinary } from '@bufbuild/protobuf';
import { ConfigSourceSchema } from '../../api/generated/envoy/config/core/v3/config_source_pb.js';
import type { RouteConfiguration } from '../../api/generated/envoy/config/route/v3/route_pb.js';
import type { ScopedRouteConfiguration } from '../../api/generated/envoy/config/route/v3/scoped_route_pb.js';
import type {
  ScopedRoutes,
  ScopedRoutes_ScopeKeyBuilder_FragmentBuilder as FragmentBuilder,
} from '../../api/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import type { RouteSourceModel } from '../hcm-model.ts';
import type { Problems } from '../problem.ts';
import type { RouteConfigModel } from '../route-model.ts';
import type { RouteScopeModel, ScopeKeyFragmentModel } from '../scoped-routes-model.ts';

/** Builds a route configuration that is part of a scope; `problems` stands at it. */
export type BuildRoutes = (message: RouteConfiguration, problems: Problems) => RouteConfigModel;

/** HttpConnectionManager.scoped_routes; `problems` stands at it. */
export function buildScopedRoutes(
  message: ScopedRoutes,
  problems: Problems,
  buildRoutes: BuildRoutes,
): RouteSourceModel {
  const fragments = problems.at('scope_key_builder').at('fragments');
  const key = (message.scopeKeyBuilder?.fragments ?? []).map((each, i) => buildFragment(each, fragments.at(i)));
  const { configSpecifier } = message;
  if (configSpecifier.case !== 'scopedRouteConfigurationsList')
    return { kind: 'scoped', key, scopes: scopedRoutesName(message) };
  const at = problems.at('scoped_route_configurations_list').at('scoped_route_configurations');
  const scopes = configSpecifier.value.scopedRouteConfigurations.map((scope, i) => {
    if (scope.routeConfigurationName !== '')
      at.at(i)
        .at('route_configuration_name')
        .error('Fetching routes via RDS (route_configuration_name) is not supported with inline scoped routes.');
    return buildScope(scope, at.at(i), buildRoutes);
  });
  checkScopes(scopes, problems);
  return { kind: 'scoped', key, scopes };
}

/** Under which workers find scopes that are discovered: the same for the same source. */
export function scopedRoutesName({ name, configSpecifier, rdsConfigSource }: ScopedRoutes): string {
  const hash = createHash('sha256');
  const own = configSpecifier.case === 'scopedRds' ? configSpecifier.value.scopedRdsConfigSource : undefined;
  for (const source of [own, rdsConfigSource])
    if (source !== undefined) hash.update(toBinary(ConfigSourceSchema, source)).update(';');
  return `${name}:${hash.digest('hex').slice(0, 16)}`;
}

/** config.route.v3.ScopedRouteConfiguration; `problems` stands at it. */
export function buildScope(
  { key, routeConfigurationName, routeConfiguration, onDemand }: ScopedRouteConfiguration,
  problems: Problems,
  buildRoutes: BuildRoutes,
): RouteScopeModel {
  const fragments = (key?.fragments ?? []).map(({ type }) => (type.case === 'stringKey' ? type.value : ''));
  // As in Envoy, the scope's own go before those that it names.
  if (routeConfiguration !== undefined)
    return {
      key: fragments,
      routeConfigName: '',
      routeConfig: buildRoutes(routeConfiguration, problems.at('route_configuration')),
    };
  if (routeConfigurationName === '') problems.error('route_configuration_name is empty.');
  return { key: fragments, routeConfigName: routeConfigurationName, ...(onDemand && { onDemand }) };
}

/** A key belongs to one scope. */
export function checkScopes(scopes: readonly RouteScopeModel[], problems: Problems): void {
  const seen = new Set<string>();
  for (const { key } of scopes) {
    const text = JSON.stringify(key);
    if (seen.has(text)) problems.error(`scope key conflict found: ${text}`);
    seen.add(text);
  }
}

function buildFragment({ type }: FragmentBuilder, problems: Problems): ScopeKeyFragmentModel {
  if (type.case !== 'headerValueExtractor')
    return { header: '', elementSeparator: '', extract: { kind: 'index', index: 0 } };
  const { name, elementSeparator, extractType } = type.value;
  const header = name.toLowerCase() === 'host' ? ':authority' : name.toLowerCase();
  if (extractType.case === 'element') {
    const { separator, key } = extractType.value;
    return { header, elementSeparator, extract: { kind: 'element', separator, key } };
  }
  const index = extractType.value ?? 0;
  if (elementSeparator === '' && index !== 0)
    problems.at('header_value_extractor').error('Index > 0 for empty string element separator.');
  return { header, elementSeparator, extract: { kind: 'index', index } };
}
