import type { ConfigSource } from '../api/generated/envoy/config/core/v3/config_source_pb.js';
import type { SecretModel } from '../config/secret-model.ts';
import type { ResourceDelta } from '../config/snapshot.ts';
import type { StaticResources } from '../config/static-resources.ts';
import type { Random } from '../lib/random.ts';
import type { StatsScope } from '../telemetry/stats/stats.ts';
import { discoveryNode } from '../xds/discovery-node.ts';
import { EdsApi } from '../xds/eds-api.ts';
import { ResourceDecoder } from '../xds/resource-decoder.ts';
import type { Subscription, SubscriptionTarget } from '../xds/subscription.ts';
import { XdsSources, type Subscriber } from '../xds/xds-sources.ts';
import { ControlPlaneTransports } from './control-plane-transports.ts';
import { DynamicConfig, type DynamicConfigOptions } from './dynamic-config.ts';
import { userAgent } from './user-agent.ts';

export interface DiscoveryOptions extends Omit<DynamicConfigOptions, 'subscriber' | 'decoder'> {
  readonly resources: StaticResources;
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

  constructor(options: DiscoveryOptions) {
    const { loaded, resources, clock, random, stats, log } = options;
    const { registry: types, validator, bootstrap } = loaded;
    const clusters = new Map(resources.clusters.map((built) => [built.model.name, built]));
    this.#transports = new ControlPlaneTransports({ clock, log, stats });
    this.#sources = new XdsSources({
      node: discoveryNode(bootstrap.node, userAgent()),
      adsConfig: bootstrap.dynamicResources?.adsConfig,
      cluster: (name) => clusters.get(name),
      transport: (cluster) => this.#transports.for(cluster),
      types,
      clock,
      random,
      log,
      stats,
    });
    this.endpoints = new EdsApi({ subscriber: this, types, validator, log });
    this.dynamic = new DynamicConfig({ ...options, subscriber: this, decoder: new ResourceDecoder(types, validator) });
  }

  /** Asks for what is subscribed to by now, in that order. */
  start(): void {
    this.#sources.start();
  }

  subscribe(config: ConfigSource, target: SubscriptionTarget): Subscription {
    return this.#sources.subscribe(config, target);
  }

  /** Takes over what workers get too: by these secrets control planes are reached. */
  applySecrets(secrets: ResourceDelta<SecretModel>): void {
    this.#transports.apply(secrets);
  }

  close(): void {
    this.#sources.close();
    this.#transports.close();
  }
}
