import type { DeclaredSecret, SecretDiscovery, SecretLoad } from '../config/secrets/declared-secret.ts';
import type { StatBlock, StatsScope } from '../telemetry/stats/stats.ts';
import { SDS_ROTATION_STATS } from '../telemetry/stats/secret-stats.ts';
import { RESOURCE_TYPES } from '../xds/resource-type.ts';
import type { ResourceUpdate } from '../xds/resource-update.ts';
import type { Subscription } from '../xds/subscription.ts';
import type { Subscriber } from '../xds/xds-sources.ts';

/** One who uses a delivered secret; the feed reads it for each in its own way. */
export interface SecretConsumer {
  readonly declared: DeclaredSecret;
}

export interface SecretFeedOptions<Consumer extends SecretConsumer> {
  readonly subscriber: Subscriber;
  readonly stats: StatsScope;
  /** All consumers have a good secret, those of one delivery together. */
  onSecrets(loads: readonly (readonly [Consumer, SecretLoad])[], versionInfo: string): void;
  /** Whoever waits for a first secret waits no more: it came, was refused, or took too long. */
  onSettled(consumers: Iterable<Consumer>): void;
  /** What came is not used. */
  onRefused(consumer: Consumer, error: string): void;
}

/**
 * The subscription to one secret (Envoy's SdsApi), shared by all that use it. What is bad is refused as a whole, and
 * the last good secret stays; so it does when the source is gone.
 */
export class SecretFeed<Consumer extends SecretConsumer> {
  readonly #options: SecretFeedOptions<Consumer>;
  /** Each with the number of the latest reading for it: of two readings the one that began later counts. */
  readonly #consumers = new Map<Consumer, number>();
  readonly #subscription: Subscription;
  readonly #scope: StatsScope;
  readonly #rotation: StatBlock;
  readonly #resource: string;
  #last: { readonly value: Uint8Array; readonly version: string } | undefined = undefined;
  #readings = 0;
  #isSettled = false;
  #closed = false;

  constructor(resource: string, { source }: SecretDiscovery, options: SecretFeedOptions<Consumer>) {
    this.#options = options;
    this.#resource = resource;
    this.#scope = options.stats.scope(`sds.${resource}.`);
    this.#rotation = this.#scope.block(SDS_ROTATION_STATS);
    this.#subscription = options.subscriber.subscribe(source, {
      typeUrl: RESOURCE_TYPES.sds,
      names: [resource],
      stats: this.#scope,
      onUpdate: (update) => this.#onUpdate(update),
      onRejected: () => this.#settle(),
      onFetchTimeout: () => this.#settle(),
    });
  }

  get isUnused(): boolean {
    return this.#consumers.size === 0;
  }

  /** It is given what is there already, later. */
  add(consumer: Consumer): void {
    this.#consumers.set(consumer, 0);
    if (this.#last !== undefined) {
      const { value, version } = this.#last;
      void this.#read([consumer], value, version).then(() => this.#options.onSettled([consumer]));
    } else if (this.#isSettled) this.#options.onSettled([consumer]);
  }

  remove(consumer: Consumer): void {
    this.#consumers.delete(consumer);
  }

  /** Files that the secret names have changed. */
  async reread(): Promise<void> {
    if (this.#last === undefined) return;
    const error = await this.#read([...this.#consumers.keys()], this.#last.value, this.#last.version);
    if (error !== '') this.#rotation.inc(SDS_ROTATION_STATS.at.key_rotation_failed);
  }

  /** Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#subscription.close();
    this.#scope.release();
  }

  #onUpdate({ set, removed, version }: ResourceUpdate): string | Promise<string> {
    const [resource] = set;
    // Secrets go when nothing uses them any more, not when the source says so.
    if (resource === undefined)
      return removed.length > 0 ? '' : `Missing SDS resources for ${this.#resource} in onConfigUpdate()`;
    if (set.length > 1) return `Unexpected SDS secrets length: ${set.length}`;
    // A delta has a version for each resource.
    return this.#accept(resource.value, resource.version === '' ? version : resource.version);
  }

  async #accept(value: Uint8Array, version: string): Promise<string> {
    const consumers = [...this.#consumers.keys()];
    const error = await this.#read(consumers, value, version);
    if (error !== '') return error;
    this.#last = { value, version };
    this.#settle();
    // Who came meanwhile was shown the last one.
    const missed = [...this.#consumers.keys()].filter((consumer) => !consumers.includes(consumer));
    return missed.length === 0 ? '' : this.#read(missed, value, version);
  }

  /** '' or why it was refused: then nobody gets it. */
  async #read(consumers: readonly Consumer[], value: Uint8Array, version: string): Promise<string> {
    const reading = ++this.#readings;
    for (const consumer of consumers) if (this.#consumers.has(consumer)) this.#consumers.set(consumer, reading);
    const loads = await Promise.all(
      consumers.map(async (consumer) => {
        const { discovery } = consumer.declared.subscription!;
        return [consumer, await discovery!.read(value)] as const;
      }),
    );
    if (this.#closed) return '';
    const refused = loads.filter(([, { model }]) => model === undefined);
    for (const [consumer, { error }] of refused) this.#options.onRefused(consumer, error);
    if (refused.length > 0) return [...new Set(refused.map(([, { error }]) => error))].join('; ');
    const current = loads.filter(([consumer]) => this.#consumers.get(consumer) === reading);
    if (current.length > 0) this.#options.onSecrets(current, version);
    return '';
  }

  #settle(): void {
    this.#isSettled = true;
    if (!this.#closed) this.#options.onSettled(this.#consumers.keys());
  }
}
