import { toBinary } from '@bufbuild/protobuf';
import { ConfigSourceSchema } from '../api/generated/envoy/config/core/v3/config_source_pb.js';
import { RouteConfigurationSchema, type RouteConfiguration } from '../api/generated/envoy/config/route/v3/route_pb.js';
import type { RouteReference } from '../config/listener-routes.ts';
import { Problems } from '../config/problem.ts';
import type { RouteConfigModel } from '../config/route-model.ts';
import type { SnapshotDelta } from '../config/snapshot.ts';
import type { Clock } from '../lib/clock.ts';
import type { ProcessLog } from '../telemetry/log.ts';
import { ROUTE_DISCOVERY_STATS } from '../telemetry/stats/route-discovery-stats.ts';
import { sanitizeStatName, type StatBlock, type StatsScope } from '../telemetry/stats/stats.ts';
import { ClaimLatch, type LatchClaim } from './claim-latch.ts';
import { problemText, reportUnsupportedOf } from './resource-problems.ts';
import type { ResourceDecoder } from './resource-decoder.ts';
import { RESOURCE_TYPES } from './resource-type.ts';
import type { ResourceUpdate } from './resource-update.ts';
import type { Subscription } from './subscription.ts';
import { VirtualHostSubscription } from './virtual-host-subscription.ts';
import type { Subscriber } from './xds-sources.ts';

const AT = ROUTE_DISCOVERY_STATS.at;

export interface RdsApiOptions {
  readonly subscriber: Subscriber;
  readonly decoder: ResourceDecoder;
  readonly clock: Clock;
  readonly stats: StatsScope;
  readonly log: Pick<ProcessLog, 'warn'>;
  /** `problems` stands at the message. */
  build(message: RouteConfiguration, problems: Problems): RouteConfigModel;
  /** Hands a delta to the workers. */
  apply(delta: SnapshotDelta): Promise<unknown>;
}

/** A route configuration as it was last accepted, for `/config_dump`. */
export interface DiscoveredRoutes {
  readonly name: string;
  readonly message: RouteConfiguration;
  readonly versionInfo: string;
  /** ms since the epoch. */
  readonly lastUpdatedMs: number;
}

interface VirtualHosts {
  /** The source, serialised. */
  readonly key: string;
  readonly scope: StatsScope;
  subscription: VirtualHostSubscription | undefined;
  isHeard: boolean;
}

interface Entry {
  readonly name: string;
  readonly statPrefix: string;
  readonly scope: StatsScope;
  readonly block: StatBlock;
  /** Open when the virtual hosts that are delivered apart have come as well. */
  readonly latch: ClaimLatch;
  subscription: Subscription | undefined;
  /** The first answer has come, or isn't waited for. */
  isHeard: boolean;
  bytes: Uint8Array | undefined;
  message: RouteConfiguration | undefined;
  virtualHosts: VirtualHosts | undefined;
  accepted: DiscoveredRoutes | undefined;
}

/**
 * Route configurations that listeners name: each is subscribed to while some listener uses it, warming and draining
 * ones included, and handed to the workers by its name.
 */
export class RdsApi {
  readonly #options: RdsApiOptions;
  readonly #entries = new Map<string, Entry>();
  #closed = false;

  constructor(options: RdsApiOptions) {
    this.#options = options;
  }

  /** What has been accepted, in the order in which it was first wanted. */
  get routes(): readonly DiscoveredRoutes[] {
    return [...this.#entries.values()].flatMap(({ accepted }) => (accepted === undefined ? [] : [accepted]));
  }

  /** Subscribes, unless it is subscribed already. `onReady` is called once, never inside of the call. */
  claim(reference: RouteReference, onReady: () => void): LatchClaim {
    const entry = this.#entries.get(reference.name) ?? this.#open(reference);
    return entry.latch.claim(onReady);
  }

  close(): void {
    this.#closed = true;
    for (const entry of this.#entries.values()) {
      entry.subscription?.close();
      this.#closeVirtualHosts(entry);
    }
    this.#entries.clear();
  }

  #open({ name, source, statPrefix }: RouteReference): Entry {
    const { stats, subscriber } = this.#options;
    const scope = stats.scope(`http.${sanitizeStatName(statPrefix)}.rds.${sanitizeStatName(name)}.`);
    const entry: Entry = {
      name,
      statPrefix,
      scope,
      block: scope.block(ROUTE_DISCOVERY_STATS),
      latch: new ClaimLatch(() => this.#close(entry)),
      subscription: undefined,
      isHeard: false,
      bytes: undefined,
      message: undefined,
      virtualHosts: undefined,
      accepted: undefined,
    };
    this.#entries.set(name, entry);
    entry.subscription = subscriber.subscribe(source, {
      typeUrl: RESOURCE_TYPES.rds,
      names: [name],
      stats: scope,
      onUpdate: (update) => this.#onUpdate(entry, update),
      onFetchTimeout: () => this.#setReady(entry),
      onRejected: () => this.#setReady(entry),
    });
    return entry;
  }

  #close(entry: Entry): void {
    if (this.#closed) return;
    this.#entries.delete(entry.name);
    entry.subscription?.close();
    this.#closeVirtualHosts(entry);
    entry.scope.release();
    if (entry.accepted === undefined) return;
    const { apply, log } = this.#options;
    apply({ routes: { set: [], remove: [entry.name] } }).catch((error: unknown) =>
      log.warn('config', `cannot take back the routes '${entry.name}': ${String(error)}`),
    );
  }

  /** A removal is ignored, as in Envoy: whoever names the routes still needs them. */
  async #onUpdate(entry: Entry, { set, version }: ResourceUpdate): Promise<string> {
    const resource = set.at(-1);
    if (resource === undefined) {
      entry.block.inc(AT.update_empty);
      this.#setReady(entry);
      return '';
    }
    if (set.length > 1) return `Unexpected RDS resource length: ${set.length}`;
    const same = entry.bytes !== undefined && Buffer.compare(entry.bytes, resource.value) === 0;
    if (!same) {
      const error = await this.#take(entry, resource.value, resource.version === '' ? version : resource.version);
      if (error !== '') return error;
    }
    this.#setReady(entry);
    return '';
  }

  async #take(entry: Entry, bytes: Uint8Array, versionInfo: string): Promise<string> {
    const { decoder, clock } = this.#options;
    const decoded = await decoder.decode(RouteConfigurationSchema, bytes);
    if (decoded === undefined) return `Unable to parse the RouteConfiguration ${entry.name}`;
    if (decoded.error !== '') return decoded.error;
    if (decoded.message.name !== entry.name)
      return `Unexpected RDS configuration (expecting ${entry.name}): ${decoded.message.name}`;
    const model = this.#build(entry, decoded.message);
    if (typeof model === 'string') return model;
    // Everybody may have lost interest meanwhile.
    if (this.#entries.get(entry.name) !== entry) return '';
    // A copy: the bytes may be a small part of a large response, which would stay in memory with them.
    entry.bytes = new Uint8Array(bytes);
    entry.message = decoded.message;
    entry.accepted = { name: entry.name, message: decoded.configured, versionInfo, lastUpdatedMs: clock.epoch() };
    this.#discoverVirtualHosts(entry, decoded.message);
    await this.#send(entry, model);
    return '';
  }

  /** With the virtual hosts that are delivered apart. A text: why it is refused. */
  #build(entry: Entry, message: RouteConfiguration): RouteConfigModel | string {
    const { build, log } = this.#options;
    const more = message.vhds === undefined ? [] : (entry.virtualHosts?.subscription?.virtualHosts ?? []);
    const problems = new Problems();
    const model = build({ ...message, virtualHosts: [...message.virtualHosts, ...more] }, problems);
    if (problems.hasErrors) return problemText(problems.list);
    reportUnsupportedOf(`route configuration '${entry.name}'`, problems.list, log);
    return model;
  }

  async #send({ block }: Entry, model: RouteConfigModel): Promise<void> {
    const { clock, apply } = this.#options;
    block.inc(AT.config_reload);
    block.set(AT.config_reload_time_ms, Math.floor(clock.epoch()));
    await apply({ routes: { set: [model], remove: [] } });
  }

  #discoverVirtualHosts(entry: Entry, { vhds }: RouteConfiguration): void {
    const source = vhds?.configSource;
    const key = source === undefined ? '' : Buffer.from(toBinary(ConfigSourceSchema, source)).toString('base64');
    if (entry.virtualHosts?.key === key) return;
    this.#closeVirtualHosts(entry);
    if (source === undefined) return;
    const { stats, subscriber, decoder } = this.#options;
    const prefix = sanitizeStatName(entry.statPrefix);
    const scope = stats.scope(`http.${prefix}.vhds.${sanitizeStatName(entry.name)}.`);
    const hosts: VirtualHosts = { key, scope, subscription: undefined, isHeard: false };
    entry.virtualHosts = hosts;
    hosts.subscription = new VirtualHostSubscription({
      routeConfigName: entry.name,
      source,
      subscriber,
      decoder,
      stats: scope,
      onChange: async () => {
        if (entry.message === undefined || entry.virtualHosts !== hosts) return '';
        const model = this.#build(entry, entry.message);
        if (typeof model === 'string') return model;
        await this.#send(entry, model);
        return '';
      },
      onInitialized: () => {
        hosts.isHeard = true;
        if (entry.isHeard) this.#setReady(entry);
      },
    });
  }

  #closeVirtualHosts(entry: Entry): void {
    entry.virtualHosts?.subscription?.close();
    entry.virtualHosts?.scope.release();
    entry.virtualHosts = undefined;
  }

  #setReady(entry: Entry): void {
    entry.isHeard = true;
    if (entry.virtualHosts?.isHeard !== false) entry.latch.setReady();
  }
}
