import type { ConfigSource } from '../api/generated/envoy/config/core/v3/config_source_pb.js';
import type { GrpcService } from '../api/generated/envoy/config/core/v3/grpc_service_pb.js';
import type { LoadedBootstrap } from './bootstrap.ts';
import { withPositions } from './bootstrap.ts';
import { buildCluster } from './builders/cluster.ts';
import { buildLoadStats } from './builders/load-stats.ts';
import { buildStatsConfig } from './builders/stats-config.ts';
import { buildListenerResource, type BuiltListener } from './built-listener.ts';
import type { CertificateAuthorityModel } from './certificate-authority-model.ts';
import type { BuiltCluster } from './cluster-model.ts';
import { configSourceContext } from './config-source-context.ts';
import { Problems, type Problem } from './problem.ts';
import type { DeclaredSecret } from './secrets/declared-secret.ts';
import { SecretSources } from './secrets/secret-sources.ts';
import { buildCertificateAuthority } from './builders/certificate-authority.ts';
import {
  checkAdsConfig,
  checkAuthoritySource,
  checkCollectionSource,
  checkConfigSource,
  type ConfigSourceContext,
} from './builders/config-source.ts';
import { checkResourcesLocator } from './check-resources-locator.ts';
import type { FilterRegistries } from '../filters/filter-registries.ts';
import type { StatsConfigModel } from '../telemetry/stats/stats-config.ts';

/** What a bootstrap's static resources come to. Not to be used when `problems` has errors. */
export interface StaticResources {
  readonly clusters: readonly BuiltCluster[];
  readonly listeners: readonly BuiltListener[];
  /** What clusters and listeners use by name: files and static secrets, and what discovery delivers. */
  readonly secrets: readonly DeclaredSecret[];
  /** Where what is discovered later finds the static secrets, and declares what it uses. */
  readonly secretSources: SecretSources;
  /** Who certifies the proxy itself; undefined: nobody. */
  readonly certificateAuthority: CertificateAuthorityModel | undefined;
  readonly stats: StatsConfigModel;
  /** Whom to tell where requests went; undefined: nobody. */
  readonly loadStats: GrpcService | undefined;
  /** All problems: the bootstrap's own, and those that the builders found. */
  readonly problems: readonly Problem[];
}

/**
 * Builds all static resources of a bootstrap, finding every problem at once. `ticketSeed`: what session ticket keys are
 * derived from, random and the same for all configurations of a process.
 */
export async function buildStaticResources(
  loaded: LoadedBootstrap,
  filters: FilterRegistries,
  ticketSeed: Uint8Array = new Uint8Array(),
): Promise<StaticResources> {
  const { bootstrap, registry: types } = loaded;
  const found = new Problems();
  const at = found.at('static_resources');
  const messages = bootstrap.staticResources;
  const discovery = configSourceContext(loaded, types);
  checkDynamicResources(loaded, discovery, found);
  const loadStats = buildLoadStats(
    bootstrap.clusterManager?.loadStatsConfig,
    discovery,
    found.at('cluster_manager').at('load_stats_config'),
  );
  const certificateAuthority = buildCertificateAuthority(bootstrap, discovery, found);
  const secrets = new SecretSources({
    types,
    secrets: messages?.secrets ?? [],
    problems: at.at('secrets'),
    discovery,
    issued: certificateAuthority?.names,
  });
  const clusters = (messages?.clusters ?? []).map((cluster, i) =>
    buildCluster(cluster, at.at('clusters').at(i), types, { secrets, ticketSeed, discovery }),
  );
  const names = new Set(clusters.map(({ model }) => model.name));
  const listeners: BuiltListener[] = [];
  for (const [i, listener] of (messages?.listeners ?? []).entries())
    listeners.push(
      await buildListenerResource(
        listener,
        loaded.configured.staticResources?.listeners[i] ?? listener,
        at.at('listeners').at(i),
        { types, filters, secrets, ticketSeed, discovery, clusterExists: (name) => names.has(name) },
      ),
    );
  const stats = buildStatsConfig(bootstrap.statsConfig, found.at('stats_config'));
  const unreadable = new Set(loaded.problems.filter(({ severity }) => severity === 'error').map(({ path }) => path));
  const problems = [
    ...loaded.problems,
    // What couldn't be read has been reported; that it is missing now is no news.
    ...withPositions(found.list, loaded.locate).filter(({ path }) => !unreadable.has(path)),
  ];
  return {
    clusters,
    listeners,
    secrets: secrets.declared,
    secretSources: secrets,
    certificateAuthority,
    stats,
    loadStats,
    problems,
  };
}

/** The sources of what the bootstrap itself asks for. */
function checkDynamicResources(
  { bootstrap, runtime }: LoadedBootstrap,
  context: ConfigSourceContext,
  found: Problems,
): void {
  const at = found.at('dynamic_resources');
  const { adsConfig, cdsConfig, cdsResourcesLocator, ldsConfig, ldsResourcesLocator } =
    bootstrap.dynamicResources ?? {};
  if (adsConfig !== undefined) checkAdsConfig(adsConfig, context, at.at('ads_config'));
  checkRoot('cds', cdsConfig, cdsResourcesLocator, context, at);
  checkRoot('lds', ldsConfig, ldsResourcesLocator, context, at);
  for (const [index, source] of bootstrap.configSources.entries())
    checkAuthoritySource(source, false, context, found.at('config_sources').at(index));
  if (bootstrap.defaultConfigSource !== undefined)
    checkAuthoritySource(bootstrap.defaultConfigSource, true, context, found.at('default_config_source'));
  const layers = bootstrap.layeredRuntime?.layers ?? [];
  for (const { layer, source } of runtime.discovered) {
    const index = layers.findIndex(({ name }) => name === layer);
    const here = found.at('layered_runtime').at('layers').at(index).at('rtds_layer').at('rtds_config');
    checkConfigSource(source, 'rtds', context, here);
  }
}

/** Where all clusters, or all listeners, come from; `at` stands at `dynamic_resources`. */
function checkRoot(
  user: 'cds' | 'lds',
  source: ConfigSource | undefined,
  locator: string | undefined,
  context: ConfigSourceContext,
  at: Problems,
): void {
  const here = at.at(`${user}_config`);
  if (locator === undefined || locator === '') {
    if (source !== undefined) checkConfigSource(source, user, context, here);
    return;
  }
  const type = user === 'cds' ? 'envoy.config.cluster.v3.Cluster' : 'envoy.config.listener.v3.Listener';
  checkResourcesLocator(locator, type, at.at(`${user}_resources_locator`));
  checkCollectionSource(source, user, context, here);
}
