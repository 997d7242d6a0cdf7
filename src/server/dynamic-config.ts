import { equals } from '@bufbuild/protobuf';
import { ConfigSourceSchema, type ConfigSource } from '../api/generated/envoy/config/core/v3/config_source_pb.js';
import type { TypeRegistry } from '../api/type-registry.ts';
import type { BuiltListener } from '../config/built-listener.ts';
import { buildListenerResource } from '../config/built-listener.ts';
import type { LoadedBootstrap } from '../config/bootstrap.ts';
import { buildCluster } from '../config/builders/cluster.ts';
import type { ConfigSourceContext } from '../config/builders/config-source.ts';
import { buildRouteConfig } from '../config/builders/route.ts';
import { configSourceContext } from '../config/config-source-context.ts';
import type { Problems } from '../config/problem.ts';
import type { RuntimeDiscovery } from '../config/runtime-layers.ts';
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
import { RdsApi, type RdsApiOptions } from '../xds/rds-api.ts';
import type { ResourceDecoder } from '../xds/resource-decoder.ts';
import { SrdsApi } from '../xds/srds-api.ts';
import { RtdsApi, type RtdsApiOptions } from '../xds/rtds-api.ts';
import type { Subscriber } from '../xds/xds-sources.ts';

export interface DynamicConfigOptions {
  /** The bootstrap as it is now. */
  loaded(): LoadedBootstrap;
  /** Asked anew each time: another bootstrap has others. */
  readonly secretSources: () => SecretSources;
  readonly filters: FilterRegistries;
  readonly ticketSeed: Uint8Array;
  readonly clock: Clock;
  /** The root scope of the main thread. */
  readonly stats: StatsScope;
  readonly log: ProcessLog;
  readonly types: TypeRegistry;
  readonly subscriber: Subscriber;
  /** See XdsSources. */
  restartAds(): void;
  readonly decoder: ResourceDecoder;
  readonly listeners: ListenerSink & { refresh(name: string): Promise<string> };
  readonly clusters: ClusterSink & { has(name: string): boolean };
  /** Hands a delta to the workers. */
  apply(delta: SnapshotDelta): Promise<unknown>;
  /** Takes over a layer of the runtime; see RuntimeLayers.setDiscovered. */
  readonly setRuntimeLayer: RtdsApiOptions['setLayer'];
}

type Kind = 'CDS' | 'LDS';

/** What listeners, routes and the runtime get from control planes, put together from the bootstrap. */
export class DynamicConfig {
  readonly #options: DynamicConfigOptions;
  readonly #rds: RdsApi;
  readonly #srds: SrdsApi;
  readonly #ecds: EcdsApi;
  #layers: readonly RuntimeDiscovery[] = [];
  #rtds: RtdsApi | undefined = undefined;
  #cdsSource: ConfigSource | undefined = undefined;
  #cdsLocator = '';
  #cds: CdsApi | undefined = undefined;
  #ldsSource: ConfigSource | undefined = undefined;
  #ldsLocator = '';
  #lds: LdsApi | undefined = undefined;
  /** Of what nothing has been heard yet, with who waits for it. */
  readonly #waiting = new Map<Kind, () => void>();
  /** What came by ADS once, and doesn't any more. */
  readonly #leftAds = new Set<Kind>();
  #closed = false;

  constructor(options: DynamicConfigOptions) {
    this.#options = options;
    const { decoder, clock, stats, log, filters, subscriber, types } = options;
    const build: RdsApiOptions['build'] = (message, problems) =>
      buildRouteConfig(message, problems, {
        validateClusters: false,
        discoversVirtualHosts: true,
        clusterExists: (name) => options.clusters.has(name),
        types,
        isKnownRouteConfig: (typeName) => filters.http.knowsRouteConfig(typeName),
      });
    const apply = (delta: SnapshotDelta): Promise<unknown> => options.apply(delta);
    this.#rds = new RdsApi({ subscriber, decoder, clock, stats, log, apply, build });
    this.#ecds = new EcdsApi({ subscriber, decoder, types, clock, stats });
    this.#srds = new SrdsApi({ subscriber, decoder, clock, stats, log, routes: this.#rds, apply, build });
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

  get scopes(): SrdsApi['scopes'] {
    return this.#srds.scopes;
  }

  get routes(): RdsApi['routes'] {
    return this.#rds.routes;
  }

  /**
   * Fetches the layers of the runtime that are discovered, or those of another bootstrap; resolves when they are there or
   * not to be waited for.
   */
  async startRuntime(): Promise<void> {
    const { loaded, subscriber, decoder, stats, setRuntimeLayer } = this.#options;
    const layers = loaded().runtime.discovered;
    if (this.#closed || sameLayers(layers, this.#layers)) return;
    this.#rtds?.close();
    this.#layers = layers;
    this.#rtds = new RtdsApi({ layers, subscriber, decoder, stats, setLayer: setRuntimeLayer });
    await this.#rtds.initialized();
  }

  /**
   * Fetches clusters from where the bootstrap says. Those of another source stay until this one has said what there is,
   * and go where there is none. Resolves when the first have come, warming ones included, or are not to be waited for.
   */
  async startClusters(): Promise<void> {
    const { loaded, subscriber, decoder, clock, stats, log, clusters, secretSources, ticketSeed, types } =
      this.#options;
    const { cdsConfig: source, cdsResourcesLocator: locator = '' } = loaded().bootstrap.dynamicResources ?? {};
    if (this.#closed || (sameSource(source, this.#cdsSource) && locator === this.#cdsLocator)) return;
    const former = this.#cds;
    former?.close();
    this.#leave('CDS', this.#cdsSource);
    this.#cdsSource = source;
    this.#cdsLocator = locator;
    this.#cds = undefined;
    if (source === undefined) return former?.clear();
    await this.#heardOf('CDS', source, (onInitialized) => {
      this.#cds = new CdsApi({
        source,
        locator,
        subscriber,
        decoder,
        clock,
        stats,
        log,
        clusters,
        former,
        build: (message, problems) =>
          buildCluster(message, problems, types, {
            secrets: secretSources(),
            ticketSeed,
            discovery: this.#sourceContext(),
          }),
        onInitialized,
      });
    });
  }

  /** Fetches listeners from where the bootstrap says, as `startClusters` does clusters. */
  async startListeners(): Promise<void> {
    const { loaded, subscriber, decoder, clock, stats, log, listeners, types } = this.#options;
    const { ldsConfig: source, ldsResourcesLocator: locator = '' } = loaded().bootstrap.dynamicResources ?? {};
    if (this.#closed || (sameSource(source, this.#ldsSource) && locator === this.#ldsLocator)) return;
    const former = this.#lds;
    former?.close();
    this.#leave('LDS', this.#ldsSource);
    this.#ldsSource = source;
    this.#ldsLocator = locator;
    this.#lds = undefined;
    if (source === undefined) return former?.clear();
    await this.#heardOf('LDS', source, (onInitialized) => {
      this.#lds = new LdsApi({
        source,
        locator,
        subscriber,
        decoder,
        types,
        clock,
        stats,
        log,
        listeners,
        former,
        build: (message, configured, problems) => this.#buildListener(message, configured, problems),
        onInitialized,
      });
    });
  }

  /** Takes over what another bootstrap says. */
  async update(): Promise<void> {
    await this.startRuntime();
    // Listeners that go let go of clusters first.
    if (this.#options.loaded().bootstrap.dynamicResources?.ldsConfig === undefined) await this.startListeners();
    await this.startClusters();
    await this.startListeners();
  }

  /** Adds to `claim` what a listener uses of what is discovered: route configurations, scopes, filter configs. */
  claim(built: BuiltListener, claim: CompoundClaim): void {
    const { model, routes, scopes, extensions } = built;
    for (const route of routes)
      claim.add((onReady) =>
        describedClaim(
          this.#rds.claim(route, onReady),
          `target RdsRouteConfigSubscription RDS local-init-target ${route.name}`,
        ),
      );
    for (const scope of scopes)
      claim.add((onReady) =>
        describedClaim(this.#srds.claim(scope, onReady), `target ScopedRdsConfigSubscription ${scope.name}`),
      );
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

  /** Of the bootstrap as it is now; types are those of the first. */
  #sourceContext(): ConfigSourceContext {
    return configSourceContext(this.#options.loaded(), this.#options.types);
  }

  #leave(kind: Kind, source: ConfigSource | undefined): void {
    if (source?.configSourceSpecifier.case === 'ads') this.#leftAds.add(kind);
  }

  async #heardOf(kind: Kind, source: ConfigSource, start: (onInitialized: () => void) => void): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#waiting.set(kind, resolve);
      start(resolve);
      if (source.configSourceSpecifier.case === 'ads' && this.#leftAds.delete(kind)) this.#options.restartAds();
    });
    this.#waiting.delete(kind);
  }

  #buildListener(
    message: BuiltListener['message'],
    configured: BuiltListener['message'],
    problems: Problems,
  ): Promise<BuiltListener> {
    const { types, filters, secretSources, ticketSeed, clusters } = this.#options;
    return buildListenerResource(message, configured, problems, {
      types,
      filters,
      secrets: secretSources(),
      ticketSeed,
      discovery: this.#sourceContext(),
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

function sameSource(a: ConfigSource | undefined, b: ConfigSource | undefined): boolean {
  return a === undefined || b === undefined ? a === b : equals(ConfigSourceSchema, a, b);
}

function sameLayers(a: readonly RuntimeDiscovery[], b: readonly RuntimeDiscovery[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ layer, name, source }, i) => {
      const other = b[i]!;
      return layer === other.layer && name === other.name && sameSource(source, other.source);
    })
  );
}
