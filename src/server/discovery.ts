import type { ConfigSource } from '../api/generated/envoy/config/core/v3/config_source_pb.js';
import type { ClusterStatus } from '../config/cluster-status-model.ts';
import { xdstpAuthorities } from '../config/xdstp-authorities.ts';
import type { SecretModel } from '../config/secret-model.ts';
import type { ResourceDelta } from '../config/snapshot.ts';
import type { StaticResources } from '../config/static-resources.ts';
import type { Random } from '../lib/random.ts';
import type { StatsScope } from '../telemetry/stats/stats.ts';
import { CertificateIssuer } from '../xds/certificates/certificate-issuer.ts';
import { discoveryNode, LOAD_REPORT_FEATURES } from '../xds/discovery-node.ts';
import { EdsApi } from '../xds/eds-api.ts';
import type { LoadReporter } from '../xds/load-report.ts';
import { ResourceDecoder } from '../xds/resource-decoder.ts';
import { RESOURCE_TYPES } from '../xds/resource-type.ts';
import type { Subscription, SubscriptionTarget } from '../xds/subscription.ts';
import { XdsSources, type Subscriber } from '../xds/xds-sources.ts';
import { ControlPlaneTransports } from './control-plane-transports.ts';
import { DynamicConfig, type DynamicConfigOptions } from './dynamic-config.ts';
import { userAgent } from './user-agent.ts';

export interface DiscoveryOptions extends Omit<
  DynamicConfigOptions,
  'subscriber' | 'decoder' | 'types' | 'restartAds'
> {
  readonly resources: StaticResources;
  readonly clusters: DynamicConfigOptions['clusters'] & { statuses(): Iterable<ClusterStatus> };
  readonly random: Random;
  /** The main thread's root scope. */
  readonly stats: StatsScope;
}

/**
 * Everything by which control planes are asked, put together from the bootstrap. A server that asks none does without,
 * and without loading this module.
 */
export class Discovery implements Subscriber {
  readonly dynamic: DynamicConfig;
  readonly endpoints: EdsApi;
  readonly #transports: ControlPlaneTransports;
  readonly #sources: XdsSources;
  readonly #options: DiscoveryOptions;
  #loads: Promise<LoadReporter | undefined> | undefined = undefined;
  #closed = false;

  constructor(options: DiscoveryOptions) {
    this.#options = options;
    const { resources, clock, random, stats, log } = options;
    const { registry: types, validator, bootstrap } = options.loaded();
    const { certificateAuthority } = resources;
    const clusters = new Map(resources.clusters.map((built) => [built.model.name, built]));
    this.#transports = new ControlPlaneTransports({ clock, log, stats });
    this.#sources = new XdsSources({
      node: discoveryNode(bootstrap.node, userAgent()),
      adsConfig: bootstrap.dynamicResources?.adsConfig,
      nodeContextParams: bootstrap.nodeContextParams,
      authorities: xdstpAuthorities(options.loaded()),
      cluster: (name) => clusters.get(name),
      transport: (cluster) => this.#transports.for(cluster),
      types,
      clock,
      random,
      log,
      stats,
      ...(certificateAuthority !== undefined && {
        own: (channels) =>
          new CertificateIssuer({
            model: certificateAuthority,
            channel: channels.get(certificateAuthority.service),
            clock,
            random,
            log,
            stats,
          }),
      }),
    });
    this.endpoints = new EdsApi({ subscriber: this, types, validator, log });
    const decoder = new ResourceDecoder(types, validator);
    this.dynamic = new DynamicConfig({
      ...options,
      types,
      subscriber: this,
      decoder,
      restartAds: () => this.#sources.restartAds(),
    });
  }

  /** Asks for what is subscribed to by now, in that order, and begins to report loads. Idempotent. */
  start(): void {
    this.#sources.start();
    this.#loads ??= this.#reportLoads();
  }

  subscribe(config: ConfigSource, target: SubscriptionTarget): Subscription {
    return this.#sources.subscribe(config, target);
  }

  /** Takes over what workers get too: by these secrets control planes are reached. */
  applySecrets(secrets: ResourceDelta<SecretModel>): void {
    this.#transports.apply(secrets);
  }

  /**
   * Over ADS, clusters are acknowledged when they have warmed: the control plane may tell of routes to them then, as in
   * Envoy.
   */
  setClustersWarming(areWarming: boolean): void {
    this.#sources.setAdsHeld(RESOURCE_TYPES.cds, areWarming);
  }

  close(): void {
    this.#closed = true;
    void this.#loads?.then((reporter) => reporter?.close());
    this.#sources.close();
    this.#transports.close();
  }

  async #reportLoads(): Promise<LoadReporter | undefined> {
    const { resources, loaded, clock, stats, log, clusters } = this.#options;
    if (resources.loadStats === undefined) return undefined;
    const { LoadReporter } = await import('../xds/load-report.ts');
    if (this.#closed) return undefined;
    const reporter = new LoadReporter({
      channel: this.#sources.channels.get(resources.loadStats),
      node: discoveryNode(loaded().bootstrap.node, userAgent(), LOAD_REPORT_FEATURES),
      clock,
      stats,
      log,
      clusters: () => clusters.statuses(),
    });
    reporter.open();
    return reporter;
  }
}
