import { builtinHttpFilters } from '../filters/builtin.ts';
import { builtinNetworkFilters } from '../filters/builtin-network.ts';
import { ENVOY_VERSION, packageVersion } from '../cli/version.ts';
import type { LoadedBootstrap } from '../config/bootstrap.ts';
import type { StaticResources } from '../config/static-resources.ts';
import type { ControlPlaneTransports } from './control-plane-transports.ts';
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import type { ProcessLog } from '../telemetry/log.ts';
import type { StatsScope } from '../telemetry/stats/stats.ts';
import { discoveryNode, type UserAgent } from '../xds/discovery-node.ts';
import { XdsSources } from '../xds/xds-sources.ts';

export interface DiscoverySourcesOptions {
  readonly loaded: LoadedBootstrap;
  readonly resources: StaticResources;
  readonly transports: ControlPlaneTransports;
  readonly clock: Clock;
  readonly random: Random;
  readonly stats: StatsScope;
  readonly log: ProcessLog;
}

/** The sources of everything that a bootstrap has discovered, reached by its own clusters. */
export function createDiscoverySources(options: DiscoverySourcesOptions): XdsSources {
  const { loaded, resources, transports, clock, random, stats, log } = options;
  const clusters = new Map(resources.clusters.map((built) => [built.model.name, built]));
  return new XdsSources({
    node: discoveryNode(loaded.bootstrap.node, userAgent()),
    adsConfig: loaded.bootstrap.dynamicResources?.adsConfig,
    cluster: (name) => clusters.get(name),
    transport: (cluster) => transports.for(cluster),
    types: loaded.registry,
    clock,
    random,
    log,
    stats,
  });
}

/** Whether something in a bootstrap waits for a control plane. */
export function usesDiscovery({ bootstrap, runtime }: LoadedBootstrap, resources: StaticResources): boolean {
  const { ldsConfig, cdsConfig } = bootstrap.dynamicResources ?? {};
  return (
    ldsConfig !== undefined ||
    cdsConfig !== undefined ||
    runtime.discovered.length > 0 ||
    resources.listeners.some(
      ({ routes, scopes, extensions }) => routes.length > 0 || scopes.length > 0 || extensions.length > 0,
    ) ||
    resources.clusters.some(({ discovery }) => discovery.kind === 'eds') ||
    resources.secrets.some(({ subscription }) => subscription?.discovery !== undefined)
  );
}

/** What the program tells of itself, to control planes and on `/server_info`. */
export function userAgent(): UserAgent {
  return {
    version: ENVOY_VERSION,
    metadata: {
      'build.type': 'RELEASE',
      'outrigger.version': packageVersion(),
      'node.version': process.versions.node,
    },
    extensions: [
      ...builtinHttpFilters.map(({ name, configType, routeConfigTypes }) => ({
        name,
        category: 'envoy.filters.http',
        typeUrls: [...new Set([configType, ...routeConfigTypes])],
      })),
      ...builtinNetworkFilters.map(({ name, configType }) => ({
        name,
        category: 'envoy.filters.network',
        typeUrls: [configType],
      })),
    ],
  };
}
