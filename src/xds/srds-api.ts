import {
  ScopedRouteConfigurationSchema,
  type ScopedRouteConfiguration,
} from '../api/generated/envoy/config/route/v3/scoped_route_pb.js';
import { buildScope, checkScopes, type BuildRoutes } from '../config/builders/scoped-routes.ts';
import type { ScopeReference } from '../config/listener-routes.ts';
import { Problems } from '../config/problem.ts';
import type { RouteScopeModel } from '../config/scoped-routes-model.ts';
import type { SnapshotDelta } from '../config/snapshot.ts';
import type { Clock } from '../lib/clock.ts';
import type { ProcessLog } from '../telemetry/log.ts';
import { SCOPED_ROUTE_STATS } from '../telemetry/stats/route-discovery-stats.ts';
import { sanitizeStatName, type StatBlock, type StatsScope } from '../telemetry/stats/stats.ts';
import { ClaimLatch, type LatchClaim } from './claim-latch.ts';
import type { RdsApi } from './rds-api.ts';
import type { ResourceDecoder } from './resource-decoder.ts';
import { problemText } from './resource-problems.ts';
import { RESOURCE_TYPES } from './resource-type.ts';
import type { ResourceUpdate } from './resource-update.ts';
import type { Subscription } from './subscription.ts';
import type { Subscriber } from './xds-sources.ts';

const AT = SCOPED_ROUTE_STATS.at;

export interface SrdsApiOptions {
  readonly subscriber: Subscriber;
  readonly decoder: ResourceDecoder;
  readonly clock: Clock;
  readonly stats: StatsScope;
  readonly log: Pick<ProcessLog, 'warn'>;
  /** Where the route configurations of scopes come from. */
  readonly routes: Pick<RdsApi, 'claim'>;
  /** Builds the routes that a scope has in itself. */
  readonly build: BuildRoutes;
  /** Hands a delta to the workers. */
  apply(delta: SnapshotDelta): Promise<unknown>;
}

/** Scopes as they were last accepted, for `/config_dump`. */
export interface DiscoveredScopes {
  /** Of `scoped_routes`. */
  readonly name: string;
  /** In the order of their names. */
  readonly scopes: readonly ScopedRouteConfiguration[];
  readonly versionInfo: string;
  /** ms since the epoch. */
  readonly lastUpdatedMs: number;
}

interface Delivered {
  readonly model: RouteScopeModel;
  /** As it was sent. */
  readonly message: ScopedRouteConfiguration;
}

interface Scope extends Delivered {
  /** Undefined: it has its routes in itself, or nobody has asked for them yet. */
  readonly claim: LatchClaim | undefined;
}

interface Entry {
  readonly key: string;
  readonly reference: ScopeReference;
  readonly statsScope: StatsScope;
  readonly block: StatBlock;
  readonly latch: ClaimLatch;
  /** Scopes by the names of their resources. */
  scopes: Map<string, Scope>;
  accepted: Pick<DiscoveredScopes, 'versionInfo' | 'lastUpdatedMs'> | undefined;
  subscription: Subscription | undefined;
  /** The first answer has come, or isn't waited for. */
  isHeard: boolean;
}

/**
 * Scopes that connection managers have discovered (SRDS): subscribed to while some listener uses them. Each scope's
 * route configuration is subscribed to in turn.
 */
export class SrdsApi {
  readonly #options: SrdsApiOptions;
  readonly #entries = new Map<string, Entry>();
  #closed = false;

  constructor(options: SrdsApiOptions) {
    this.#options = options;
  }

  /** What has been accepted. */
  get scopes(): readonly DiscoveredScopes[] {
    return [...this.#entries.values()].flatMap(({ reference, scopes, accepted }) => {
      if (accepted === undefined) return [];
      const sorted = [...scopes].toSorted(([a], [b]) => (a < b ? -1 : 1));
      return [{ name: reference.name, scopes: sorted.map(([, { message }]) => message), ...accepted }];
    });
  }

  /** Uses the scopes from now on. `onReady` is called once, never inside of the call, when they and their routes have come. */
  claim(reference: ScopeReference, onReady: () => void): LatchClaim {
    const { key } = reference;
    const entry = this.#entries.get(key) ?? this.#open(key, reference);
    return entry.latch.claim(onReady);
  }

  close(): void {
    this.#closed = true;
    for (const { subscription } of this.#entries.values()) subscription?.close();
    this.#entries.clear();
  }

  #open(key: string, reference: ScopeReference): Entry {
    const { stats, subscriber } = this.#options;
    const { statPrefix, name } = reference;
    const statsScope = stats.scope(`http.${sanitizeStatName(statPrefix)}.scoped_rds.${sanitizeStatName(name)}.`);
    const entry: Entry = {
      key,
      reference,
      statsScope,
      block: statsScope.block(SCOPED_ROUTE_STATS),
      latch: new ClaimLatch(() => this.#close(entry)),
      scopes: new Map(),
      accepted: undefined,
      subscription: undefined,
      isHeard: false,
    };
    this.#entries.set(key, entry);
    entry.subscription = subscriber.subscribe(reference.source, {
      typeUrl: RESOURCE_TYPES.srds,
      names: undefined,
      stats: statsScope,
      onUpdate: (update) => this.#onUpdate(entry, update),
      onFetchTimeout: () => this.#heard(entry),
      onRejected: () => this.#heard(entry),
    });
    return entry;
  }

  #close(entry: Entry): void {
    if (this.#closed) return;
    this.#entries.delete(entry.key);
    entry.subscription?.close();
    for (const { claim } of entry.scopes.values()) claim?.close();
    entry.statsScope.release();
    void this.#send({ scopes: { set: [], remove: [entry.key] } });
  }

  async #onUpdate(entry: Entry, { version, set, removed }: ResourceUpdate): Promise<string> {
    const delivered = new Map<string, Delivered>(entry.scopes);
    for (const name of removed) delivered.delete(name);
    const problems = new Problems();
    for (const resource of set) {
      const decoded = await this.#options.decoder.decode(ScopedRouteConfigurationSchema, resource.value);
      if (decoded === undefined) return `Unable to parse the ScopedRouteConfiguration ${resource.name}`;
      if (decoded.error !== '') return decoded.error;
      const model = buildScope(decoded.message, problems, this.#options.build);
      delivered.set(resource.name, { model, message: decoded.configured });
    }
    checkScopes(
      Array.from(delivered.values(), ({ model }) => model),
      problems,
    );
    if (problems.hasErrors) return problemText(problems.list);
    if (this.#entries.get(entry.key) !== entry) return '';
    entry.accepted = { versionInfo: version, lastUpdatedMs: this.#options.clock.epoch() };
    await this.#replace(entry, delivered);
    this.#heard(entry);
    return '';
  }

  async #replace(entry: Entry, delivered: ReadonlyMap<string, Delivered>): Promise<void> {
    const former = entry.scopes;
    entry.scopes = new Map();
    for (const [name, { model, message }] of delivered) {
      const held = former.get(name);
      if (held?.claim !== undefined && held.model.routeConfigName === model.routeConfigName) {
        entry.scopes.set(name, { model, message, claim: held.claim });
        former.delete(name);
        continue;
      }
      const isFetched = model.routeConfig === undefined && model.onDemand !== true;
      const claim = isFetched ? this.#claimRoutes(entry, model.routeConfigName) : undefined;
      entry.scopes.set(name, { model, message, claim });
    }
    entry.block.inc(AT.config_reload);
    entry.block.set(AT.config_reload_time_ms, Math.floor(this.#options.clock.epoch()));
    this.#count(entry);
    await this.#send({
      scopes: { set: [{ name: entry.key, scopes: Array.from(delivered.values(), ({ model }) => model) }], remove: [] },
    });
    // Scopes have let go of them by now.
    for (const { claim } of former.values()) claim?.close();
  }

  #claimRoutes(entry: Entry, name: string): LatchClaim {
    const { statPrefix, rdsSource: source } = entry.reference;
    return this.#options.routes.claim({ name, source, statPrefix }, () => this.#tryReady(entry));
  }

  /** As Envoy counts: active ones are those whose routes are fetched. */
  #count({ block, scopes }: Entry): void {
    let active = 0;
    let onDemand = 0;
    for (const { model, claim } of scopes.values()) {
      if (claim !== undefined) active++;
      if (model.onDemand === true) onDemand++;
    }
    block.set(AT.all_scopes, scopes.size);
    block.set(AT.active_scopes, active);
    block.set(AT.on_demand_scopes, onDemand);
  }

  #heard(entry: Entry): void {
    entry.isHeard = true;
    this.#tryReady(entry);
  }

  /** Ready is who has heard of the scopes, and of the routes of each. */
  #tryReady(entry: Entry): void {
    if (!entry.isHeard) return;
    for (const { claim } of entry.scopes.values()) if (claim?.isReady === false) return;
    entry.latch.setReady();
  }

  async #send(delta: SnapshotDelta): Promise<void> {
    try {
      await this.#options.apply(delta);
    } catch (error) {
      this.#options.log.warn('config', `cannot apply scoped routes: ${String(error)}`);
    }
  }
}
