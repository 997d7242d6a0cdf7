import type { SecretModel } from './config/secret-model.ts';
import type { DeclaredSecret, SecretLoad } from './config/secrets/declared-secret.ts';
import type { ResourceDelta } from './config/snapshot.ts';
import type { Clock, ClockTimer } from './lib/clock.ts';
import { DirectoryWatch } from './lib/directory-watch.ts';
import { hash64 } from './lib/hash64.ts';
import type { ProcessLog } from './telemetry/log.ts';
import { SDS_STATS, SECRET_FILE_STATS } from './telemetry/stats/secret-stats.ts';
import type { StatBlock, StatsScope, TextReadout } from './telemetry/stats/stats.ts';

export interface SecretStoreOptions {
  readonly clock: Clock;
  readonly log: Pick<ProcessLog, 'info' | 'warn'>;
  readonly stats: StatsScope;
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

/** Files change in bursts: a certificate, then its key. */
const SETTLE_MS = 100;

const SDS = SDS_STATS.at;
const FILES = SECRET_FILE_STATS.at;

interface Entry {
  declared: DeclaredSecret;
  model: SecretModel | undefined;
  /** As text, to tell whether it changed. */
  text: string;
  directories: readonly string[];
  delivered: DeliveredSecret | undefined;
  readonly subscription: SubscriptionStats | undefined;
}

interface SubscriptionStats {
  readonly scope: StatsScope;
  readonly block: StatBlock;
  readonly version: TextReadout;
}

/**
 * The secrets that listeners and clusters use by name, on the main thread: their values, and the watch over the files
 * that they come from. A value that turns out bad is reported, and the last good one stays in use.
 */
export class SecretStore {
  readonly #options: SecretStoreOptions;
  readonly #files: StatBlock;
  readonly #entries = new Map<string, Entry>();
  readonly #watches = new Map<string, DirectoryWatch>();
  readonly #changed = new Set<string>();
  #timer: ClockTimer | undefined;
  /** Reloads go one after the other, so that an older content never replaces a newer one. */
  #reloading: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: SecretStoreOptions) {
    this.#options = options;
    this.#files = options.stats.block(SECRET_FILE_STATS, 'outrigger.secret_files.');
  }

  /** The value of a secret by the name that workers know. */
  get(name: string): SecretModel | undefined {
    return this.#entries.get(name)?.model;
  }

  /** What discovery has delivered. */
  get delivered(): readonly DeliveredSecret[] {
    return [...this.#entries.values()].flatMap(({ delivered }) => (delivered === undefined ? [] : [delivered]));
  }

  /**
   * Takes over what a new configuration declares; resolves, when all is loaded that can be, to what changed. Secrets
   * that it has no more stay until `prune`: listeners may still use them.
   */
  async update(declared: readonly DeclaredSecret[]): Promise<ResourceDelta<SecretModel>> {
    const set: SecretModel[] = [];
    await Promise.all(
      declared.map(async (secret) => {
        const entry = this.#entryOf(secret);
        entry.declared = secret;
        if (secret.initial === undefined) {
          if (await this.#load(entry)) set.push(entry.model!);
        } else if (take(entry, secret.initial)) set.push(secret.initial);
      }),
    );
    this.#watchAll();
    return { set, remove: [] };
  }

  /** Forgets what the configuration has no more; to be called when nothing uses it. */
  prune(declared: readonly DeclaredSecret[]): ResourceDelta<SecretModel> {
    const names = new Set(declared.map(({ name }) => name));
    const remove = [...this.#entries.keys()].filter((name) => !names.has(name));
    for (const name of remove) {
      this.#entries.get(name)?.subscription?.scope.release();
      this.#entries.delete(name);
    }
    this.#watchAll();
    return { set: [], remove };
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    for (const watch of this.#watches.values()) watch.close();
    this.#watches.clear();
  }

  #entryOf(declared: DeclaredSecret): Entry {
    let entry = this.#entries.get(declared.name);
    if (entry === undefined) {
      const subscription = declared.subscription && this.#subscriptionStats(declared.subscription.resource);
      entry = { declared, model: undefined, text: '', directories: [], delivered: undefined, subscription };
      this.#entries.set(declared.name, entry);
    }
    return entry;
  }

  #subscriptionStats(resource: string): SubscriptionStats {
    const scope = this.#options.stats.scope(`sds.${resource}.`);
    return { scope, block: scope.block(SDS_STATS), version: scope.textReadout('version_text') };
  }

  /** True: there is another value than before. */
  async #load(entry: Entry): Promise<boolean> {
    const { declared } = entry;
    entry.subscription?.block.inc(SDS.update_attempt);
    const load = await declared.load();
    if (load.outcome !== 'failed') entry.directories = load.directories;
    this.#count(entry, load);
    if (load.message !== undefined && declared.subscription !== undefined)
      entry.delivered = {
        name: declared.subscription.resource,
        message: load.message,
        versionInfo: load.versionInfo,
        lastUpdated: this.#options.clock.epoch(),
      };
    if (load.model !== undefined) return take(entry, load.model);
    const kept = entry.model === undefined ? '' : '; the last good one stays in use';
    this.#options.log.warn('config', `${describe(declared)} is refused: ${load.error}${kept}`);
    return false;
  }

  #count({ subscription, model }: Entry, { outcome, versionInfo }: SecretLoad): void {
    if (subscription === undefined) {
      this.#files.inc(outcome === 'loaded' ? FILES.reload : FILES.reload_failed);
      return;
    }
    const { block, version } = subscription;
    switch (outcome) {
      case 'loaded':
        block.inc(SDS.update_success);
        block.set(SDS.update_time, Math.floor(this.#options.clock.epoch()));
        block.set(SDS.version, Number(hash64(versionInfo)));
        version.set(versionInfo);
        break;
      case 'rejected':
        block.inc(SDS.update_rejected);
        if (model !== undefined) block.inc(SDS.key_rotation_failed);
        break;
      case 'failed':
        block.inc(SDS.update_failure);
        break;
    }
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
    const results = await Promise.all(affected.map(async (entry) => ({ entry, isNew: await this.#load(entry) })));
    if (this.#closed) return;
    this.#watchAll();
    const set = results.filter(({ isNew }) => isNew).map(({ entry }) => entry.model!);
    if (set.length === 0) return;
    this.#options.log.info('config', `${set.length} ${set.length === 1 ? 'secret has' : 'secrets have'} new content`);
    this.#options.onChange({ set, remove: [] });
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

function describe({ subscription, directories, name }: DeclaredSecret): string {
  if (subscription !== undefined) return `the secret '${subscription.resource}'`;
  const kind = name.split(':')[1] ?? 'secret';
  return directories.length === 0 ? `the ${kind}` : `the ${kind} in ${directories.join(', ')}`;
}
