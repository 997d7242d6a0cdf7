import type { AdminSources, ConfigDumpSource, LifecycleControl, ServerStateName } from '../admin/sources.ts';
import { commandLineOptions } from '../cli/command-line-options.ts';
import type { ServerOptions } from '../cli/options.ts';
import { ENVOY_VERSION } from '../cli/version.ts';
import type { LoadedBootstrap } from '../config/bootstrap.ts';
import type { BuiltListener } from '../config/built-listener.ts';
import type { RuntimeLayers } from '../config/runtime-layers.ts';
import { rawRuntimeValue } from '../config/runtime.ts';
import type { Clock } from '../lib/clock.ts';
import type { ListenerRegistry } from '../proxy/listener/listener-registry.ts';
import type { ClusterRegistry } from '../proxy/upstream/cluster-registry.ts';
import type { ProcessLog } from '../telemetry/log.ts';
import type { StatsAggregator } from '../telemetry/stats/aggregator.ts';
import type { WorkerFleet } from '../worker/worker-fleet.ts';
import type { CertificateReport } from './certificate-report.ts';
import { dynamicConfigDump } from './dynamic-config-dump.ts';
import type { DynamicConfig } from './dynamic-config.ts';
import type { SecretStore } from './secret-store.ts';
import { serverNode } from './server-node.ts';
import { staticConfigDump } from './static-config-dump.ts';

/** A server, as the admin pages need it. What changes is asked for anew each time. */
export interface AdministeredServer {
  readonly clock: Clock;
  readonly options: ServerOptions;
  readonly concurrency: number;
  readonly log: ProcessLog;
  readonly aggregator: StatsAggregator;
  readonly clusters: ClusterRegistry;
  readonly listeners: ListenerRegistry<BuiltListener>;
  readonly secrets: SecretStore;
  loaded(): LoadedBootstrap;
  /** When that was, ms since the epoch. */
  loadedMs(): number;
  /** Undefined: it has no workers yet. */
  fleet(): WorkerFleet | undefined;
  /** Undefined: it asks no control plane. */
  dynamic(): DynamicConfig | undefined;
  certificates(): CertificateReport;
  /** DRAINING also while health checks are told to fail. */
  shownState(): ServerStateName;
  /** It doesn't serve yet. */
  isInitializing(): boolean;
  uptimeMs(): number;
  readonly lifecycle: LifecycleControl;
  reopenLogs(): void;
  /** Tells the workers that the runtime has changed. */
  applyRuntime(): void;
}

/** What the admin pages see of a server. */
export function adminSources(server: AdministeredServer): AdminSources {
  const { aggregator, log, clock, clusters } = server;
  // Loaded with the first scrape: its modules are a good part of the time to start.
  let metrics: Promise<{ metrics(): Promise<string> }> | undefined;
  return {
    server: {
      state: () => server.shownState(),
      version: `${'0'.repeat(40)}/${ENVOY_VERSION}/Clean/RELEASE/OpenSSL`,
      uptimeMs: () => server.uptimeMs(),
      commandLineOptions: () => commandLineOptions(server.options, server.concurrency),
      node: () => serverNode(server.loaded().bootstrap.node),
      unreadyTargets: () => unreadyTargets(server),
    },
    stats: aggregator,
    flushStatsOnAdmin: server.loaded().bootstrap.statsFlush.case === 'statsFlushOnAdmin',
    processMetrics: async () => {
      metrics ??= import('../telemetry/prometheus-process.ts').then((module) => module.createProcessMetrics());
      return (await metrics).metrics();
    },
    clusters: { clusters: () => clusters.statuses() },
    listeners: {
      listeners: () => Object.entries(server.fleet()?.bound ?? {}).map(([name, addresses]) => ({ name, addresses })),
    },
    certificates: { contexts: () => server.certificates().contexts, now: () => clock.epoch() },
    configDump: configDump(server),
    logging: {
      levels: () => log.levels(),
      setLevel: (name, level) => {
        if (!log.setLevel(level, name)) return false;
        server.fleet()?.setLogLevel(level, name);
        return true;
      },
      setAllLevels: (level) => {
        log.setLevel(level);
        server.fleet()?.setLogLevel(level);
      },
      reopenLogs: () => server.reopenLogs(),
    },
    runtime: {
      layers: () => server.loaded().runtime.names,
      entries: () => runtimeEntries(server.loaded().runtime),
      modify: (overrides) => {
        if (!server.loaded().runtime.modify(Object.fromEntries(overrides))) return false;
        server.applyRuntime();
        return true;
      },
    },
    lifecycle: server.lifecycle,
  };
}

/** The configuration as it stands when it is asked for. */
function configDump(server: AdministeredServer): ConfigDumpSource {
  const dump = (): ConfigDumpSource => {
    const { listeners } = server;
    const loaded = server.loaded();
    const dynamic = server.dynamic();
    const bootstrap = staticConfigDump(
      loaded,
      server.loadedMs(),
      () => server.fleet()?.snapshot.hosts.values() ?? [],
      server.secrets,
    );
    return dynamic === undefined
      ? bootstrap
      : dynamicConfigDump(bootstrap, { types: loaded.registry, dynamic, listeners });
  };
  return {
    get registry() {
      return dump().registry;
    },
    bootstrap: () => dump().bootstrap(),
    clusters: () => dump().clusters(),
    listeners: () => dump().listeners(),
    routes: () => dump().routes(),
    scopedRoutes: () => dump().scopedRoutes?.() ?? [],
    extensions: () => dump().extensions?.() ?? [],
    endpoints: () => dump().endpoints(),
    secrets: () => dump().secrets(),
  };
}

/** By init manager, in Envoy's words. */
function unreadyTargets(server: AdministeredServer) {
  if (!server.isInitializing()) return [];
  const targets = [
    ...server.clusters.warmingNames.map((name) => `target Cluster-init-target ${name}`),
    ...(server.dynamic()?.waitingFor ?? []),
    ...server.listeners.waitingFor(),
  ];
  return targets.length === 0 ? [] : [{ name: 'init manager Server', targets }];
}

function* runtimeEntries(
  runtime: RuntimeLayers,
): Generator<readonly [string, { readonly layers: readonly string[]; readonly final: string }]> {
  for (const [key, value] of Object.entries(runtime.merged())) {
    const layers = runtime.valuesOf(key).map((each) => (each === undefined ? '' : rawRuntimeValue(each)));
    yield [key, { layers, final: rawRuntimeValue(value) }];
  }
}
