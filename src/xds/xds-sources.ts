import { lookup } from 'node:dns/promises';
import type { Node } from '../api/generated/envoy/config/core/v3/base_pb.js';
import {
  ApiConfigSource_ApiType as ApiType,
  type ApiConfigSource,
  type ConfigSource,
} from '../api/generated/envoy/config/core/v3/config_source_pb.js';
import type { TypeRegistry } from '../api/type-registry.ts';
import { durationMs } from '../api/duration.ts';
import type { BuiltCluster } from '../config/cluster-model.ts';
import type { XdstpAuthorities } from '../config/xdstp-authorities.ts';
import { formatXdstp, parseXdstp } from '../config/xdstp-name.ts';
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import type { StatsScope } from '../telemetry/stats/stats.ts';
import { Authorities, type Authority } from './authorities.ts';
import type { ControlPlaneTransport } from './control-plane-transport.ts';
import type { LookupAll } from './endpoint-rotation.ts';
import { FileSource } from './file-source.ts';
import { GrpcChannels } from './grpc-channels.ts';
import { GrpcSource, isIncremental, type GrpcSourceContext } from './grpc-source.ts';
import type { StreamLog } from './grpc-stream.ts';
import { nodeContext } from './node-context.ts';
import { DISCOVERY_METHODS, kindOf, RESOURCE_TYPES } from './resource-type.ts';
import { RestSource } from './rest-source.ts';
import { Subscription, type SubscriptionTarget, type SubscriptionTransport } from './subscription.ts';
import type { XdsSource } from './xds-source.ts';

/** How everything that is discovered is subscribed to. */
export interface Subscriber {
  /**
   * Subscribes to what `config` says. The source is opened with it, and closed by the subscription's `close`; what goes
   * over ADS shares its stream. `config` has to have passed `checkConfigSource`.
   */
  subscribe(config: ConfigSource, target: SubscriptionTarget): Subscription;
}

export interface XdsSourcesOptions {
  /** As control planes are to see it: see `discoveryNode`. */
  readonly node: Node;
  /** `dynamic_resources.ads_config`; undefined: there is no ADS. */
  readonly adsConfig: ApiConfigSource | undefined;
  /** What of the node goes into the names of collections (`node_context_params`). */
  readonly nodeContextParams?: readonly string[];
  /** Where single resources with `xdstp:` names come from, whatever else is said of them; absent: from nowhere else. */
  readonly authorities?: XdstpAuthorities | undefined;
  /** The clusters of the bootstrap, EDS clusters apart. */
  readonly cluster: (name: string) => BuiltCluster | undefined;
  /** What a cluster's transport socket does; undefined: raw buffer. Asked once for each channel. */
  readonly transport: (cluster: BuiltCluster) => ControlPlaneTransport | undefined;
  readonly types: TypeRegistry;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: StreamLog;
  /** The root. */
  readonly stats: StatsScope;
  readonly lookup?: LookupAll;
  /** What the proxy provides for itself (`self`). Closed with the rest. */
  readonly own?: (channels: GrpcChannels) => XdsSource;
}

const DEFAULT_FETCH_TIMEOUT_MS = 15_000;
const DEFAULT_REQUEST_TIMEOUT_MS = 1000;
const systemLookup: LookupAll = (host, family) => lookup(host, { all: true, family });

/**
 * All sources of resources that a configuration names: the stream of ADS, which many subscriptions share, and those that
 * have one of their own.
 */
export class XdsSources implements Subscriber {
  /** For other gRPC services of the control plane: certificates, load reports. */
  readonly channels: GrpcChannels;
  readonly #options: XdsSourcesOptions;
  readonly #context: GrpcSourceContext;
  readonly #ads: GrpcSource | undefined;
  readonly #own: XdsSource | undefined;
  readonly #adsIncremental: boolean;
  readonly #authorities: Authorities | undefined;
  readonly #open = new Set<Subscription>();

  constructor(options: XdsSourcesOptions) {
    const { clock, random, log, node, adsConfig, stats, cluster, transport } = options;
    this.#options = options;
    this.channels = new GrpcChannels({ cluster, transport, lookup: options.lookup ?? systemLookup });
    this.#context = { clock, random, log, node, channels: this.channels };
    this.#ads = adsConfig && new GrpcSource(adsConfig, undefined, stats, this.#context);
    this.#own = options.own?.(this.channels);
    this.#adsIncremental = adsConfig !== undefined && isIncremental(adsConfig);
    const { authorities } = options;
    this.#authorities = authorities && new Authorities(authorities, stats, this.#context);
  }

  /**
   * Opens the stream of ADS: what is subscribed to by then is asked for in the order of the subscriptions. Idempotent;
   * nothing without ADS.
   */
  start(): void {
    this.#authorities?.open();
    this.#ads?.open();
  }

  /** See GrpcSource: of what goes over ADS. */
  setAdsHeld(typeUrl: string, isHeld: boolean): void {
    this.#ads?.setHeld(typeUrl, isHeld);
  }

  /**
   * Opens the stream of ADS anew: a wildcard that was given up on it can't be asked for again, since a control plane
   * takes that for an acknowledgement.
   */
  restartAds(): void {
    this.#ads?.restart();
  }

  subscribe(configured: ConfigSource, wanted: SubscriptionTarget): Subscription {
    const { clock } = this.#options;
    const target = wanted.isCollection === true ? this.#withContext(wanted) : wanted;
    const authority = this.#authorityOf(wanted);
    const config = authority?.config ?? configured;
    const { source, transport, opened } =
      authority === undefined
        ? this.#source(config, target)
        : { source: shared(authority.source), transport: transportOf(authority.incremental), opened: undefined };
    const timeoutMs = transport === 'file' ? 0 : (durationMs(config.initialFetchTimeout) ?? DEFAULT_FETCH_TIMEOUT_MS);
    const subscription = new Subscription(target, {
      source,
      clock,
      initialFetchTimeoutMs: timeoutMs,
      transport,
      onClosed: (closed) => this.#open.delete(closed),
    });
    this.#open.add(subscription);
    opened?.();
    return subscription;
  }

  /** Ends every subscription that is left, every stream and every connection. */
  close(): void {
    for (const subscription of this.#open) subscription.close();
    this.#ads?.close();
    this.#authorities?.close();
    this.#own?.close();
    this.channels.close();
  }

  /** The names of a collection with what the control plane is to know of the node; what the name says goes first. */
  #withContext(target: SubscriptionTarget): SubscriptionTarget {
    const { node, nodeContextParams = [] } = this.#options;
    const names = target.names?.map((each) => {
      const name = parseXdstp(each);
      if (typeof name === 'string') return each;
      return formatXdstp({ ...name, context: new Map([...nodeContext(node, nodeContextParams), ...name.context]) });
    });
    return { ...target, names };
  }

  /** As in Envoy, which asks authorities for these types only. */
  #authorityOf({ typeUrl, names, isCollection }: SubscriptionTarget): Authority | undefined {
    const [name, ...others] = names ?? [];
    if (name === undefined || others.length > 0 || isCollection === true) return undefined;
    if (typeUrl !== RESOURCE_TYPES.eds && typeUrl !== RESOURCE_TYPES.rds) return undefined;
    return this.#authorities?.of(name);
  }

  #source(
    { configSourceSpecifier: specifier }: ConfigSource,
    target: SubscriptionTarget,
  ): { readonly source: XdsSource; readonly transport: SubscriptionTransport; readonly opened?: () => void } {
    switch (specifier.case) {
      case 'ads':
        return this.#overAds();
      case 'self':
        return { source: shared(this.#own), transport: 'stream' };
      case 'path':
        return { source: this.#file(specifier.value, undefined), transport: 'file' };
      case 'pathConfigSource':
        return {
          source: this.#file(specifier.value.path, specifier.value.watchedDirectory?.path),
          transport: 'file',
        };
      case 'apiConfigSource': {
        const config = specifier.value;
        // Collections may name ADS like this.
        if (config.apiType === ApiType.AGGREGATED_GRPC || config.apiType === ApiType.AGGREGATED_DELTA_GRPC)
          return this.#overAds();
        if (config.apiType === ApiType.REST) return { source: this.#rest(config, target.typeUrl), transport: 'polled' };
        const source = new GrpcSource(config, target.typeUrl, target.stats, this.#context);
        return { source, transport: transportOf(isIncremental(config)), opened: () => source.open() };
      }
      default:
        return { source: shared(undefined), transport: 'stream' };
    }
  }

  #overAds(): { readonly source: XdsSource; readonly transport: SubscriptionTransport } {
    return { source: shared(this.#ads), transport: transportOf(this.#adsIncremental) };
  }

  #file(path: string, watchedDirectory: string | undefined): XdsSource {
    const { types, clock } = this.#options;
    return new FileSource({ path, watchedDirectory, types, clock });
  }

  #rest(config: ApiConfigSource, typeUrl: string): XdsSource {
    const { node, types, clock, random, log, cluster, transport } = this.#options;
    const [name = ''] = config.clusterNames;
    const kind = kindOf(typeUrl);
    return new RestSource({
      destination: name,
      path: kind === undefined ? '' : DISCOVERY_METHODS[kind].rest,
      client: async () => {
        const found = cluster(name);
        if (found === undefined) throw new Error(`there is no cluster '${name}'`);
        const { undiciRestClient } = await import('./rest-client.ts');
        return undiciRestClient(found, transport(found), this.#options.lookup ?? systemLookup);
      },
      node,
      types,
      clock,
      random,
      refreshDelayMs: durationMs(config.refreshDelay) ?? 0,
      requestTimeoutMs: durationMs(config.requestTimeout) ?? DEFAULT_REQUEST_TIMEOUT_MS,
      log,
    });
  }
}

const transportOf = (incremental: boolean): SubscriptionTransport => (incremental ? 'delta' : 'stream');

/** A source that outlives each of its subscriptions; undefined: one that never says anything. */
function shared(source: XdsSource | undefined): XdsSource {
  return {
    watch: (typeUrl, names, watcher) =>
      source?.watch(typeUrl, names, watcher) ?? { setNames: () => {}, close: () => {} },
    close: () => {},
  };
}
