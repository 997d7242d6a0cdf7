import { ConfigError } from '../filters/config-type.ts';
import { inertContext } from '../filters/inert-context.ts';
import type { CompiledHttpFilter, HttpFilterRegistry } from '../filters/registry.ts';
import type { HcmModel } from './hcm-model.ts';
import type { ListenerModel } from './listener-model.ts';
import type { Problems } from './problem.ts';
import type { PerFilterConfigModel, RouteConfigModel } from './route-model.ts';

/**
 * Creates every HTTP filter of a listener once, to find what only the filters themselves can find: a user's module that
 * cannot be loaded, a config that its schema refuses, a bad format string or regex; the same for the overrides in the
 * listener's own routes. `problems` stands at the listener.
 */
export async function checkHttpFilters(
  listener: ListenerModel,
  registry: HttpFilterRegistry,
  problems: Problems,
): Promise<void> {
  const chains = listener.filterChains.map((chain, i) => [chain, problems.at('filter_chains').at(i)] as const);
  if (listener.defaultFilterChain !== undefined)
    chains.push([listener.defaultFilterChain, problems.at('default_filter_chain')]);
  for (const [{ networkFilters }, at] of chains)
    for (const [i, filter] of networkFilters.entries())
      if (filter.kind === 'http-connection-manager')
        await checkConnectionManager(filter.hcm, registry, at.at('filters').at(i).at('typed_config'));
}

async function checkConnectionManager(hcm: HcmModel, registry: HttpFilterRegistry, problems: Problems): Promise<void> {
  const compiled = new Map<string, CompiledHttpFilter>();
  const check = async (filters: HcmModel['httpFilters'], at: Problems): Promise<void> => {
    for (const [i, { name, config }] of filters.entries()) {
      try {
        await registry.prepare([config]);
        const here = at.at(i).at('typed_config');
        compiled.set(
          name,
          registry.compile(
            config,
            inertContext((field) => here.unsupported(field)),
          ),
        );
      } catch (error) {
        report(error, at.at(i).at('typed_config'));
      }
    }
  };
  // Those of the connection manager last: it is theirs that the routes' overrides are for.
  for (const [i, { filters }] of hcm.upgrades.entries())
    if (filters !== undefined) await check(filters, problems.at('upgrade_configs').at(i).at('filters'));
  await check(hcm.httpFilters, problems.at('http_filters'));
  if (hcm.routes.kind === 'inline') checkRoutes(hcm.routes.routeConfig, compiled, problems.at('route_config'));
}

function checkRoutes(
  routeConfig: RouteConfigModel,
  filters: ReadonlyMap<string, CompiledHttpFilter>,
  problems: Problems,
): void {
  const check = (configs: readonly PerFilterConfigModel[], at: Problems): void => {
    for (const { filterName, config } of configs) {
      if (config === undefined) continue;
      try {
        filters.get(filterName)?.compileRoute(config);
      } catch (error) {
        report(error, at.at(`typed_per_filter_config["${filterName}"]`));
      }
    }
  };
  check(routeConfig.perFilterConfigs, problems);
  for (const [i, virtualHost] of routeConfig.virtualHosts.entries()) {
    const at = problems.at('virtual_hosts').at(i);
    check(virtualHost.perFilterConfigs, at);
    for (const [j, { perFilterConfigs, action }] of virtualHost.routes.entries()) {
      const route = at.at('routes').at(j);
      check(perFilterConfigs, route);
      if (action.kind !== 'route' || action.cluster.kind !== 'weighted') continue;
      const clusters = route.at('route').at('weighted_clusters').at('clusters');
      for (const [k, cluster] of action.cluster.weighted.clusters.entries())
        check(cluster.perFilterConfigs, clusters.at(k));
    }
  }
}

function report(error: unknown, problems: Problems): void {
  const path = error instanceof ConfigError ? error.path : '';
  const message = error instanceof Error ? error.message : String(error);
  (path === '' ? problems : problems.at(path)).error(message);
}
