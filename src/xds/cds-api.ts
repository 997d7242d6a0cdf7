import { fromBinary } from '@bufbuild/protobuf';
import { ClusterSchema, type Cluster } from '../api/generated/envoy/config/cluster/v3/cluster_pb.js';
import type { ConfigSource } from '../api/generated/envoy/config/core/v3/config_source_pb.js';
import type { BuiltCluster } from '../config/cluster-model.ts';
import { Problems } from '../config/problem.ts';
import type { Clock } from '../lib/clock.ts';
import type { ProcessLog } from '../telemetry/log.ts';
import type { StatsScope } from '../telemetry/stats/stats.ts';
import { FormerNames } from './former-names.ts';
import type { ResourceDecoder } from './resource-decoder.ts';
import { problemText, reportUnsupportedOf } from './resource-problems.ts';
import { RESOURCE_TYPES } from './resource-type.ts';
import type { ResourceUpdate, XdsResource } from './resource-update.ts';
import type { Subscription } from './subscription.ts';
import type { Subscriber } from './xds-sources.ts';

/** Where clusters go. */
export interface ClusterSink {
  /** False: nothing has changed, or it isn't for a control plane to change. */
  set(built: BuiltCluster, addedViaApi: true): boolean;
  remove(name: string): boolean;
  /** What is in use under a name, and what is to take its place. */
  find(name: string): { readonly active: BuiltCluster | undefined; readonly warming: BuiltCluster | undefined };
}

export interface CdsApiOptions {
  readonly source: ConfigSource;
  /** The collection that is asked for (`cds_resources_locator`); '' = everything there is. */
  readonly locator?: string;
  readonly subscriber: Subscriber;
  readonly decoder: ResourceDecoder;
  readonly clock: Clock;
  /** The root scope. */
  readonly stats: StatsScope;
  readonly log: Pick<ProcessLog, 'info' | 'warn'>;
  readonly clusters: ClusterSink;
  /** What asked another source before, and is closed. */
  readonly former?: CdsApi | undefined;
  /** `problems` stands at the message. */
  build(message: Cluster, problems: Problems): BuiltCluster | Promise<BuiltCluster>;
  /** The first update has come, or nobody is to wait for it any longer. Called once. */
  onInitialized(): void;
}

/** A cluster that a control plane serves, for `/config_dump`. */
export interface DescribedCluster {
  readonly name: string;
  readonly state: 'active' | 'warming';
  readonly versionInfo: string;
  /** ms since the epoch. */
  readonly lastUpdated: number;
  /** As it was sent. */
  readonly message: Cluster;
  /** Its last update, if that was refused. */
  readonly error: ClusterUpdateFailure | undefined;
}

/** A cluster's last update that was refused. */
export interface ClusterUpdateFailure {
  readonly versionInfo: string;
  /** ms since the epoch. */
  readonly lastUpdateAttempt: number;
  readonly details: string;
  /** As it was sent. */
  readonly message: Cluster;
}

interface Held {
  readonly built: BuiltCluster;
  readonly bytes: Uint8Array;
  readonly versionInfo: string;
  readonly lastUpdated: number;
}

interface Entry {
  /** What was accepted last. */
  readonly latest: Held;
  /** What may still be in use as long as the latest warms. */
  readonly former: Held | undefined;
}

interface Candidate {
  readonly resource: XdsResource;
  readonly message: Cluster;
  readonly configured: Cluster;
}

/**
 * The clusters that a control plane serves (CDS). What is sent again unchanged, by its bytes, is nothing at all. A
 * response that breaks the rules of its messages is refused as a whole; else what is good in it is used, and the refusal
 * names each cluster that isn't: both as in Envoy.
 */
export class CdsApi {
  readonly #options: CdsApiOptions;
  readonly #subscription: Subscription;
  readonly #entries: Map<string, Entry>;
  readonly #former: FormerNames;
  /** Entries that have a former version. */
  readonly #replacing = new Set<string>();
  #failures: ReadonlyMap<string, ClusterUpdateFailure> = new Map();
  #versionInfo: string;
  #isInitialized = false;

  constructor(options: CdsApiOptions) {
    this.#options = options;
    const { former } = options;
    this.#entries = former === undefined ? new Map<string, Entry>() : former.#entries;
    this.#former = new FormerNames(this.#entries.keys());
    this.#versionInfo = former?.versionInfo ?? '';
    const { locator = '' } = options;
    this.#subscription = options.subscriber.subscribe(options.source, {
      typeUrl: RESOURCE_TYPES.cds,
      ...(locator === '' ? { names: undefined } : { names: [locator], isCollection: true }),
      stats: options.stats.scope('cluster_manager.cds.'),
      onUpdate: (update) => this.#onUpdate(update),
      onFetchTimeout: () => this.#initialize(),
      onRejected: () => this.#initialize(),
    });
  }

  /** Of the last response that changed anything. */
  get versionInfo(): string {
    return this.#versionInfo;
  }

  /** By cluster: what the last response had refused. */
  get failures(): ReadonlyMap<string, ClusterUpdateFailure> {
    return this.#failures;
  }

  /** All that is active or warming; a cluster can be both, in two versions. */
  *describe(): Generator<DescribedCluster, void, void> {
    for (const [name, { latest, former }] of this.#entries) {
      const { active, warming } = this.#options.clusters.find(name);
      const error = this.#failures.get(name);
      for (const held of former === undefined ? [latest] : [former, latest]) {
        const state = held.built === active ? 'active' : held.built === warming ? 'warming' : undefined;
        if (state === undefined) continue;
        const { versionInfo, lastUpdated, bytes } = held;
        yield { name, state, versionInfo, lastUpdated, message: fromBinary(ClusterSchema, bytes), error };
      }
    }
  }

  close(): void {
    this.#subscription.close();
  }

  /** Removes what was delivered; to be called once it is closed. */
  clear(): void {
    this.#remove([...this.#entries.keys()]);
  }

  /** Lets go of versions that have been replaced. */
  #forgetReplaced(): void {
    for (const name of this.#replacing) {
      const entry = this.#entries.get(name);
      if (entry !== undefined && this.#options.clusters.find(name).active !== entry.latest.built) continue;
      this.#replacing.delete(name);
      if (entry !== undefined) this.#entries.set(name, { ...entry, former: undefined });
    }
  }

  async #onUpdate(update: ResourceUpdate): Promise<string> {
    this.#forgetReplaced();
    const errors: string[] = [];
    const changed = this.#changed(update.set, errors);
    const candidates: Candidate[] = [];
    const malformed: string[] = [];
    for (const resource of changed) {
      const decoded = await this.#options.decoder.decode(ClusterSchema, resource.value);
      if (decoded === undefined) malformed.push(`Unable to parse the Cluster ${resource.name}`);
      else if (decoded.error !== '') malformed.push(`${resource.name}: ${decoded.error}`);
      else candidates.push({ resource, message: decoded.message, configured: decoded.configured });
    }
    if (malformed.length > 0) return malformed.join('\n');
    const failures = new Map<string, ClusterUpdateFailure>();
    let applied = 0;
    for (const candidate of candidates) {
      const { name } = candidate.resource;
      const outcome = await this.#take(candidate, update.version);
      if (outcome === true) applied++;
      if (typeof outcome !== 'string') continue;
      errors.push(`${name}: ${outcome}`);
      failures.set(name, {
        versionInfo: update.version,
        lastUpdateAttempt: this.#options.clock.epoch(),
        details: outcome,
        message: candidate.configured,
      });
    }
    const removed = this.#remove(this.#former.removedBy(update));
    this.#failures = failures;
    if (applied + removed > 0) this.#versionInfo = update.version;
    if (applied + removed > 0)
      this.#options.log.info('upstream', `cds: added/updated ${applied} cluster(s), removed ${removed} cluster(s)`);
    this.#initialize();
    return errors.length === 0 ? '' : `Error adding/updating cluster(s) ${errors.join(', ')}`;
  }

  /** What differs from what is held. */
  #changed(set: readonly XdsResource[], errors: string[]): XdsResource[] {
    const seen = new Set<string>();
    return set.filter(({ name, value }) => {
      if (seen.has(name)) {
        errors.push(`${name}: duplicate cluster ${name} found`);
        return false;
      }
      seen.add(name);
      const held = this.#entries.get(name)?.latest.bytes;
      return held === undefined || Buffer.compare(held, value) !== 0;
    });
  }

  /** True: it is taken; false: it makes no difference; a text: why it can't be. */
  async #take({ resource, message }: Candidate, responseVersion: string): Promise<boolean | string> {
    const { build, clusters, clock, log } = this.#options;
    const { name, value, version } = resource;
    const problems = new Problems();
    const built = await build(message, problems);
    if (problems.hasErrors) return problemText(problems.list);
    reportUnsupportedOf(`cluster '${name}'`, problems.list, log);
    const entry = this.#entries.get(name);
    // A copy: the bytes may be a small part of a large response, which would stay in memory with them.
    const bytes = new Uint8Array(value);
    if (!clusters.set(built, true)) {
      // Other bytes that come to the same. One of the bootstrap's is never held.
      if (entry !== undefined) this.#entries.set(name, { ...entry, latest: { ...entry.latest, bytes } });
      return false;
    }
    const versionInfo = version === '' ? responseVersion : version;
    const former = this.#inUse(name);
    this.#entries.set(name, { latest: { built, bytes, versionInfo, lastUpdated: clock.epoch() }, former });
    if (former !== undefined) this.#replacing.add(name);
    return true;
  }

  /** What serves under this name until a newer one is warm. */
  #inUse(name: string): Held | undefined {
    const entry = this.#entries.get(name);
    const { active } = this.#options.clusters.find(name);
    return [entry?.latest, entry?.former].find((held) => held !== undefined && held.built === active);
  }

  #remove(names: readonly string[]): number {
    let count = 0;
    // Only what came from here: a cluster of the bootstrap stays.
    for (const name of names) if (this.#entries.delete(name) && this.#options.clusters.remove(name)) count++;
    return count;
  }

  #initialize(): void {
    if (this.#isInitialized) return;
    this.#isInitialized = true;
    this.#options.onInitialized();
  }
}
