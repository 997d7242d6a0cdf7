import type { BuiltListener } from '../config/built-listener.ts';
import { buildListenerResource } from '../config/built-listener.ts';
import type { LoadedBootstrap } from '../config/bootstrap.ts';
import { buildCluster } from '../config/builders/cluster.ts';
import type { ConfigSourceContext } from '../config/builders/config-source.ts';
import { buildRouteConfig } from '../config/builders/route.ts';
import { configSourceContext } from '../config/config-source-context.ts';
import type { RouteReference } from '../config/listener-routes.ts';
import type { Problems } from '../config/problem.ts';
import type { SecretSources } from '../config/secrets/secret-sources.ts';
import type { SnapshotDelta } from '../config/snapshot.ts';
import type { FilterRegistries } from '../filters/filter-registries.ts';
import type { Clock } from '../lib/clock.ts';
import type { ListenerClaim } from '../proxy/listener/listener-registry.ts';
import type { CompoundClaim } from './compound-claim.ts';
import { ExtendedListener } from './extended-listener.ts';
import type { ProcessLog } from '../telemetry/log.ts';
import type { StatsScope } from '../telemetry/stats/stats.ts';
import { CdsApi, type ClusterSink } from '../xds/cds-api.ts';
import type { LatchClaim } from '../xds/claim-latch.ts';
import { EcdsApi } from '../xds/ecds-api.ts';
import { LdsApi, type ListenerSink } from '../xds/lds-api.ts';
import { RdsApi } from '../xds/rds-api.ts';
import type { ResourceDecoder } from '../xds/resource-decoder.ts';
import { SrdsApi } from '../xds/srds-api.ts';
import { RtdsApi, type RtdsApiOptions } from '../xds/rtds-api.ts';
import type { Subscriber } from '../xds/xds-sources.ts';

export interface DynamicConfigOptions {
  readonly loaded: LoadedBootstrap;
  /** Asked anew each time: another bootstrap has others. */
  readonly secretSources: () => SecretSources;
  readonly filters: FilterRegistries;
  readonly ticketSeed: Uint8Array;
  readonly clock: Clock;
  /** The root scope of the main thread. */
  readonly stats: StatsScope;
  readonly log: ProcessLog;
  readonly subscriber: Subscriber;
  readonly decoder: ResourceDecoder;
  readonly listeners: ListenerSink & { refresh(name: string): Promise<string> };
  readonly clusters: ClusterSink & { has(name: string): boolean };
  /** Hands a delta to the workers. */
  apply(delta: SnapshotDelta): Promise<unknown>;
  /** Takes over a layer of the runtime; see RuntimeLayers.setDiscovered. */
  readonly setRuntimeLayer: RtdsApiOptions['setLayer'];
}

/** What listeners, routes and the runtime get from control planes, put together from the bootstrap. */
export class DynamicConfig {
  readonly #options: DynamicConfigOptions;
  readonly #discovery: ConfigSourceContext;
  readonly #rds: RdsApi;
  readonly #srds: SrdsApi;
  readonly #ecds: EcdsApi;
  #rtds: RtdsApi | undefined = undefined;
  #cds: CdsApi | undefined = undefined;
  #lds: LdsApi | undefined = undefined;
  /** Of what nothing has been heard yet, with who waits for it. */
  readonly #waiting = new Map<'CDS' | 'LDS', () => void>();
  #closed = false;

  constructor(options: DynamicConfigOptions) {
    this.#options = options;
    this.#discovery = configSourceContext(options.loaded.bootstrap, options.loaded.registry);
    const { decoder, clock, stats, log, filters, loaded, subscriber } = options;
    this.#rds = new RdsApi({
      subscriber,
      decoder,
      clock,
      stats,
      log,
      apply: (delta) => options.apply(delta),
      build: (message, problems) =>
        buildRouteConfig(message, problems, {
          validateClusters: false,
          discoversVirtualHosts: true,
          clusterExists: (name) => options.clusters.has(name),
          types: loaded.registry,
          isKnownRouteConfig: (typeName) => filters.http.knowsRouteConfig(typeName),
        }),
    });
    const apply = (delta: SnapshotDelta): Promise<unknown> => options.apply(delta);
    this.#ecds = new EcdsApi({ subscriber, decoder, types: loaded.registry, clock, stats });
    this.#srds = new SrdsApi({ subscriber, decoder, clock, stats, log, routes: this.#rds, apply });
  }

  /** Undefined: the bootstrap asks for no clusters, or it isn't time yet. */
  get cds(): Pick<CdsApi, 'versionInfo' | 'describe'> | undefined {
    return this.#cds;
  }

  /** Undefined: the bootstrap asks for no listeners, or it isn't time yet. */
  get lds(): Pick<LdsApi, 'versionInfo' | 'failures'> | undefined {
    return this.#lds;
  }

  get extensions(): EcdsApi['extensions'] {
    return this.#ecds.extensions;
  }

  get routes(): RdsApi['routes'] {
    return this.#rds.routes;
  }

  /** Begins to fetch the layers of the runtime that are discovered; resolves when they are there or not to be waited for. */
  async startRuntime(): Promise<void> {
    const { loaded, subscriber, decoder, stats, setRuntimeLayer } = this.#options;
    const layers = loaded.runtime.discovered;
    if (layers.length === 0) return;
    this.#rtds = new RtdsApi({ layers, subscriber, decoder, stats, setLayer: setRuntimeLayer });
    await this.#rtds.initialized();
  }

  /** Begins to fetch clusters; resolves when the first have come, warming ones included, or are not to be waited for. */
  async startClusters(): Promise<void> {
    const { loaded, subscriber, decoder, clock, stats, log, clusters, secretSources, ticketSeed } = this.#options;
    const source = loaded.bootstrap.dynamicResources?.cdsConfig;
    if (source === undefined || this.#closed) return;
    await this.#heardOf('CDS', (onInitialized) => {
      this.#cds = new CdsApi({
        source,
        subscriber,
        decoder,
        clock,
        stats,
        log,
        clusters,
        build: (message, problems) =>
          buildCluster(message, problems, loaded.registry, {
            secrets: secretSources(),
            ticketSeed,
            discovery: this.#discovery,
          }),
        onInitialized,
      });
    });
  }

  /** Begins to fetch listeners; resolves when the first have come, warming ones included, or are not to be waited for. */
  async startListeners(): Promise<void> {
    const { loaded, subscriber, decoder, clock, stats, log, listeners } = this.#options;
    const source = loaded.bootstrap.dynamicResources?.ldsConfig;
    if (source === undefined || this.#closed) return;
    await this.#heardOf('LDS', (onInitialized) => {
      this.#lds = new LdsApi({
        source,
        subscriber,
        decoder,
        types: loaded.registry,
        clock,
        stats,
        log,
        listeners,
        build: (message, configured, problems) => this.#buildListener(message, configured, problems),
        onInitialized,
      });
    });
  }

  /** Adds to `claim` what a listener uses of what is discovered: route configurations, scopes, filter configs. */
  claim(built: BuiltListener, claim: CompoundClaim): void {
    const { model, routes, scopes, extensions } = built;
    const addRoute = (route: RouteReference): void =>
      claim.add((onReady) =>
        describedClaim(
          this.#rds.claim(route, onReady),
          `target RdsRouteConfigSubscription RDS local-init-target ${route.name}`,
        ),
      );
    for (const route of routes) addRoute(route);
    for (const scope of scopes) {
      const { key, name, routeNames, rdsSource: source, statPrefix } = scope;
      if (key === undefined) for (const route of routeNames) addRoute({ name: route, source, statPrefix });
      else
        claim.add((onReady) =>
          describedClaim(this.#srds.claim(scope, onReady), `target ScopedRdsConfigSubscription ${name}`),
        );
    }
    if (extensions.length === 0) return;
    const { listeners, log } = this.#options;
    claim.add(
      (onReady) =>
        new ExtendedListener({
          built,
          ecds: this.#ecds,
          onReady,
          refresh: () => listeners.refresh(model.name),
          onFailure: (error) => log.error('config', `listener '${model.name}': ${error}`),
        }),
    );
  }

  /** What keeps the server from being initialised, besides clusters and listeners. */
  get waitingFor(): readonly string[] {
    return [
      ...(this.#rtds?.waitingFor ?? []).map((name) => `target RTDS ${name}`),
      ...Array.from(this.#waiting.keys(), (kind) => `target ${kind}`),
    ];
  }

  close(): void {
    this.#closed = true;
    this.#rtds?.close();
    this.#cds?.close();
    this.#lds?.close();
    for (const wake of this.#waiting.values()) wake();
    this.#ecds.close();
    this.#srds.close();
    this.#rds.close();
  }

  async #heardOf(kind: 'CDS' | 'LDS', start: (onInitialized: () => void) => void): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#waiting.set(kind, resolve);
      start(resolve);
    });
    this.#waiting.delete(kind);
  }

  #buildListener(
    message: BuiltListener['message'],
    configured: BuiltListener['message'],
    problems: Problems,
  ): Promise<BuiltListener> {
    const { loaded, filters, secretSources, ticketSeed, clusters } = this.#options;
    return buildListenerResource(message, configured, problems, {
      types: loaded.registry,
      filters,
      secrets: secretSources(),
      ticketSeed,
      discovery: this.#discovery,
      clusterExists: (name) => clusters.has(name),
    });
  }
}

function describedClaim(claim: LatchClaim, target: string): ListenerClaim {
  return {
    get isReady() {
      return claim.isReady;
    },
    get waitingFor() {
      return claim.isReady ? [] : [target];
    },
    close: () => claim.close(),
  };
}
