import { create } from '@bufbuild/protobuf';
import { SecretSchema } from '../api/generated/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import type { SecretModel } from '../config/secret-model.ts';
import type { DeclaredSecret, SecretDiscovery, SecretLoad } from '../config/secrets/declared-secret.ts';
import type { ResourceDelta } from '../config/snapshot.ts';
import type { Clock, ClockTimer } from '../lib/clock.ts';
import { DirectoryWatch } from '../lib/directory-watch.ts';
import { EntriesClaim, describeSecret, settle, type ClaimedSecret, type SecretClaim } from './secret-claim.ts';
import { SecretFeed, type SecretConsumer } from './secret-feed.ts';
import { SecretFileSubscription } from './secret-file-subscription.ts';
import type { ProcessLog } from '../telemetry/log.ts';
import { SECRET_FILE_STATS } from '../telemetry/stats/secret-stats.ts';
import type { StatBlock, StatsScope } from '../telemetry/stats/stats.ts';
import type { Subscriber } from '../xds/xds-sources.ts';

export interface SecretStoreOptions {
  readonly clock: Clock;
  readonly log: Pick<ProcessLog, 'info' | 'warn'>;
  readonly stats: StatsScope;
  /** Absent: what a control plane would deliver never comes. */
  readonly subscriber?: Subscriber;
  /** Secrets that changed while nobody asked. */
  readonly onChange: (delta: ResourceDelta<SecretModel>) => void;
}

/** What came by discovery, for `/config_dump`. */
export interface DeliveredSecret {
  readonly name: string;
  readonly message: NonNullable<SecretLoad['message']>;
  readonly versionInfo: string;
  /** ms since the epoch. */
  readonly lastUpdated: number;
}

/** What Envoy calls the version of a secret that has not come. */
const UNINITIALIZED = 'uninitialized';

/** Files change in bursts: a certificate, then its key. */
const SETTLE_MS = 100;

const FILES = SECRET_FILE_STATS.at;

interface Entry extends SecretConsumer, ClaimedSecret {
  declared: DeclaredSecret;
  model: SecretModel | undefined;
  /** As text, to tell whether it changed. */
  text: string;
  directories: readonly string[];
  delivered: DeliveredSecret | undefined;
  /** ms since the epoch. */
  readonly sinceMs: number;
  /** It is part of the configuration that `update` was given last. */
  isConfigured: boolean;
  readonly feed: SecretFeed<Entry> | undefined;
  readonly file: SecretFileSubscription | undefined;
}

/**
 * The secrets that listeners and clusters use by name, on the main thread: their values, and the watch over the files
 * that they come from. A value that turns out bad is reported, and the last good one stays in use.
 */
export class SecretStore {
  readonly #options: SecretStoreOptions;
  readonly #files: StatBlock;
  readonly #entries = new Map<string, Entry>();
  readonly #feeds = new Map<string, SecretFeed<Entry>>();
  /** By path and resource. */
  readonly #fileSubscriptions = new Map<string, SecretFileSubscription>();
  readonly #watches = new Map<string, DirectoryWatch>();
  readonly #changed = new Set<string>();
  #timer: ClockTimer | undefined;
  /** Reloads go one after the other, so that an older content never replaces a newer one. */
  #reloading: Promise<void> = Promise.resolve();
  #isReleasing = false;
  #closed = false;

  constructor(options: SecretStoreOptions) {
    this.#options = options;
    this.#files = options.stats.block(SECRET_FILE_STATS, 'outrigger.secret_files.');
  }

  /** The value of a secret by the name that workers know. */
  get(name: string): SecretModel | undefined {
    return this.#entries.get(name)?.model;
  }

  /** Something uses it, or did until now. */
  has(name: string): boolean {
    return this.#entries.has(name);
  }

  /** What discovery has not delivered yet. */
  get warming(): readonly DeliveredSecret[] {
    return [...this.#entries.values()].flatMap(({ declared: { subscription }, delivered, sinceMs }) => {
      if (subscription === undefined || delivered !== undefined) return [];
      const { resource: name } = subscription;
      const message = create(SecretSchema, { name });
      return [{ name, message, versionInfo: UNINITIALIZED, lastUpdated: sinceMs }];
    });
  }

  /** What discovery has delivered. */
  get delivered(): readonly DeliveredSecret[] {
    return [...this.#entries.values()].flatMap(({ delivered }) => (delivered === undefined ? [] : [delivered]));
  }

  /**
   * Takes over what a new configuration declares; resolves, when all is loaded that can be, to what changed. It doesn't
   * wait for control planes: that is what claims are for. Secrets that the configuration has no more stay until `prune`:
   * listeners may still use them. `adopted`: those of them that may have another content now.
   */
  async update(
    declared: readonly DeclaredSecret[],
    adopted: readonly DeclaredSecret[] = [],
  ): Promise<ResourceDelta<SecretModel>> {
    const set: SecretModel[] = [];
    for (const entry of this.#entries.values()) entry.isConfigured = false;
    const begin = async (entry: Entry, secret: DeclaredSecret): Promise<void> => {
      entry.declared = secret;
      if (await this.#begin(entry)) set.push(entry.model!);
    };
    await Promise.all([
      ...declared.map((secret) => {
        const entry = this.#entryOf(secret);
        entry.isConfigured = true;
        return begin(entry, secret);
      }),
      ...adopted.map(async (secret) => {
        const entry = this.#entries.get(secret.name);
        if (entry !== undefined && entry.declared !== secret) await begin(entry, secret);
      }),
    ]);
    this.#watchAll();
    return { set, remove: [] };
  }

  /** Forgets what the configuration has no more and nobody claims; to be called when nothing uses it. */
  prune(): ResourceDelta<SecretModel> {
    const unused = [...this.#entries].filter(([, { isConfigured, claims }]) => !isConfigured && claims === 0);
    for (const [name, entry] of unused) {
      this.#entries.delete(name);
      this.#leaveFeed(entry);
      if (entry.file?.leave(entry) === true) this.#fileSubscriptions.delete(fileKey(entry.declared));
    }
    if (unused.length > 0) this.#watchAll();
    return { set: [], remove: unused.map(([name]) => name) };
  }

  /**
   * Uses secrets that a resource names which discovery has delivered, from now on: loads or subscribes to what isn't
   * there. `onReady` is called once, never inside of the call, when all have come, were refused, or
   * `initial_fetch_timeout` is over. What comes is told to `onChange` before.
   */
  claim(secrets: readonly DeclaredSecret[], onReady: () => void): SecretClaim {
    const entries = secrets.map((secret) => this.#entryOf(secret));
    for (const entry of entries) if (entry.model === undefined) void this.#beginLate(entry);
    return new EntriesClaim(entries, onReady, () => this.#scheduleRelease());
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    for (const feed of this.#feeds.values()) feed.close();
    this.#feeds.clear();
    for (const watch of this.#watches.values()) watch.close();
    this.#watches.clear();
  }

  #entryOf(declared: DeclaredSecret): Entry {
    const known = this.#entries.get(declared.name);
    if (known !== undefined) return known;
    const { subscription, name } = declared;
    const discovery = subscription?.discovery;
    const entry: Entry = {
      declared,
      model: undefined,
      text: '',
      directories: [],
      delivered: undefined,
      sinceMs: this.#options.clock.epoch(),
      isConfigured: false,
      claims: 0,
      isSettled: false,
      waiting: new Set(),
      feed: discovery && this.#feedOf(subscription!.resource, discovery),
      file: this.#fileOf(declared),
    };
    this.#entries.set(name, entry);
    entry.feed?.add(entry);
    entry.file?.join(entry);
    return entry;
  }

  #feedOf(resource: string, discovery: SecretDiscovery): SecretFeed<Entry> | undefined {
    const { subscriber, stats } = this.#options;
    let feed = this.#feeds.get(discovery.key);
    if (feed === undefined && subscriber !== undefined) {
      feed = new SecretFeed(resource, discovery, {
        subscriber,
        stats,
        onSecrets: (loads, versionInfo) => this.#onDelivered(loads, versionInfo),
        onSettled: (entries) => {
          for (const entry of entries) settle(entry);
        },
        onRefused: (entry, error) => this.#warn(entry, error),
      });
      this.#feeds.set(discovery.key, feed);
    }
    return feed;
  }

  #leaveFeed(entry: Entry): void {
    const { feed } = entry;
    if (feed === undefined) return;
    feed.remove(entry);
    if (!feed.isUnused) return;
    feed.close();
    this.#feeds.delete(entry.declared.subscription!.discovery!.key);
  }

  /** A feed has a secret: for all that use it in one go. */
  #onDelivered(loads: readonly (readonly [Entry, SecretLoad])[], versionInfo: string): void {
    const set: SecretModel[] = [];
    for (const [entry, load] of loads) {
      entry.directories = load.directories;
      entry.delivered = {
        name: entry.declared.subscription!.resource,
        message: load.message!,
        versionInfo,
        lastUpdated: this.#options.clock.epoch(),
      };
      if (take(entry, load.model!)) set.push(load.model!);
    }
    this.#watchAll();
    this.#announce(set);
    for (const [entry] of loads) settle(entry);
  }

  /** True: there is another value than before. Of a control plane's secret it doesn't wait for the first one. */
  async #begin(entry: Entry): Promise<boolean> {
    const { initial, subscription } = entry.declared;
    if (subscription?.discovery !== undefined) return false;
    const isNew = initial === undefined ? await this.#load(entry) : take(entry, initial);
    settle(entry);
    return isNew;
  }

  /** For a claim: what there is is announced at once, the rest when it is loaded. */
  async #beginLate(entry: Entry): Promise<void> {
    const { initial } = entry.declared;
    if (initial !== undefined && take(entry, initial)) {
      this.#options.onChange({ set: [initial], remove: [] });
      settle(entry);
    } else if (await this.#begin(entry)) this.#announce([entry.model!]);
    this.#watchAll();
  }

  /** In a while: a successor may claim the same ones. */
  #scheduleRelease(): void {
    if (this.#isReleasing || this.#closed) return;
    this.#isReleasing = true;
    setImmediate(() => {
      this.#isReleasing = false;
      if (this.#closed) return;
      const delta = this.prune();
      if (delta.remove.length > 0) this.#options.onChange(delta);
    });
  }

  #announce(set: readonly SecretModel[]): void {
    if (set.length === 0) return;
    this.#options.log.info('config', `${set.length} ${set.length === 1 ? 'secret has' : 'secrets have'} new content`);
    this.#options.onChange({ set, remove: [] });
  }

  #warn({ declared, model }: Entry, error: string): void {
    const kept = model === undefined ? '' : '; the last good one stays in use';
    this.#options.log.warn('config', `${describeSecret(declared)} is refused: ${error}${kept}`);
  }

  /** Undefined: it doesn't come in a file. */
  #fileOf(declared: DeclaredSecret): SecretFileSubscription | undefined {
    const { resource, path } = declared.subscription ?? {};
    if (resource === undefined || path === undefined) return undefined;
    const key = fileKey(declared);
    let file = this.#fileSubscriptions.get(key);
    if (file === undefined) {
      const { stats, clock } = this.#options;
      this.#fileSubscriptions.set(key, (file = new SecretFileSubscription(path, resource, stats, clock)));
    }
    return file;
  }

  /** True: there is another value than before. */
  async #load(entry: Entry): Promise<boolean> {
    const { declared } = entry;
    entry.file?.begin(entry);
    const load = await declared.load();
    if (load.outcome !== 'failed') entry.directories = load.directories;
    if (entry.file !== undefined) entry.file.end(entry, load);
    else this.#files.inc(load.outcome === 'loaded' ? FILES.reload : FILES.reload_failed);
    if (load.message !== undefined && declared.subscription !== undefined)
      entry.delivered = {
        name: declared.subscription.resource,
        message: load.message,
        versionInfo: load.versionInfo,
        lastUpdated: this.#options.clock.epoch(),
      };
    if (load.model !== undefined) return take(entry, load.model);
    this.#warn(entry, load.error);
    return false;
  }

  /** One watch a directory, however many secrets are in it. */
  #watchAll(): void {
    if (this.#closed) return;
    const wanted = new Set<string>();
    for (const { declared, directories } of this.#entries.values())
      for (const directory of [...declared.directories, ...directories]) wanted.add(directory);
    for (const [directory, watch] of this.#watches)
      if (!wanted.has(directory)) {
        watch.close();
        this.#watches.delete(directory);
      }
    for (const directory of wanted)
      if (!this.#watches.has(directory))
        this.#watches.set(
          directory,
          new DirectoryWatch(directory, this.#options.clock, () => this.#onDirectoryChanged(directory)),
        );
  }

  #onDirectoryChanged(directory: string): void {
    if (this.#closed) return;
    this.#changed.add(directory);
    this.#timer?.cancel();
    this.#timer = this.#options.clock.setTimer(SETTLE_MS, () => {
      this.#reloading = this.#reloading.then(() => this.#reload());
    });
  }

  async #reload(): Promise<void> {
    const changed = new Set(this.#changed);
    this.#changed.clear();
    const affected = [...this.#entries.values()].filter(({ declared, directories }) =>
      [...declared.directories, ...directories].some((directory) => changed.has(directory)),
    );
    const feeds = new Set(affected.flatMap(({ feed }) => feed ?? []));
    const files = affected.filter(({ feed }) => feed === undefined);
    const [results] = await Promise.all([
      Promise.all(files.map(async (entry) => ({ entry, isNew: await this.#load(entry) }))),
      ...[...feeds].map((feed) => feed.reread()),
    ]);
    if (this.#closed) return;
    this.#watchAll();
    this.#announce(results.filter(({ isNew }) => isNew).map(({ entry }) => entry.model!));
  }
}

/** True if the value is another one. */
function take(entry: Entry, model: SecretModel): boolean {
  const text = JSON.stringify(model, (_key, value: unknown) =>
    value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value,
  );
  const isNew = text !== entry.text;
  entry.model = model;
  entry.text = text;
  return isNew;
}

/** The same for all uses of one secret in one file. */
function fileKey({ subscription }: DeclaredSecret): string {
  return `${subscription?.path}:${subscription?.resource}`;
}
