import type { Any } from '@bufbuild/protobuf/wkt';
import { unpackAny } from '../api/any.ts';
import {
  TypedExtensionConfigSchema,
  type TypedExtensionConfig,
} from '../api/generated/envoy/config/core/v3/extension_pb.js';
import type { TypeRegistry } from '../api/type-registry.ts';
import type { ExtensionReference } from '../config/listener-extensions.ts';
import type { Clock } from '../lib/clock.ts';
import { EXTENSION_DISCOVERY_STATS } from '../telemetry/stats/extension-discovery-stats.ts';
import { sanitizeStatName, type StatBlock, type StatsScope } from '../telemetry/stats/stats.ts';
import { ClaimLatch, type LatchClaim } from './claim-latch.ts';
import type { ResourceDecoder } from './resource-decoder.ts';
import { RESOURCE_TYPES } from './resource-type.ts';
import type { ResourceUpdate } from './resource-update.ts';
import type { Subscription } from './subscription.ts';
import type { Subscriber } from './xds-sources.ts';
import { typeNameOf } from '../api/type-name.ts';

const AT = EXTENSION_DISCOVERY_STATS.at;

export interface EcdsApiOptions {
  readonly subscriber: Subscriber;
  readonly decoder: ResourceDecoder;
  readonly types: TypeRegistry;
  readonly clock: Clock;
  /** The root scope. */
  readonly stats: StatsScope;
}

/** Who uses the config of a discovered filter. */
export interface ExtensionUser {
  /** There is another config: '' or why it can't be used; then the one before stays. */
  prepare(): Promise<string>;
  /** What was prepared is to be used. */
  commit(): Promise<void>;
  /** A first config has come, or isn't to be waited for. Called once, never inside of `claim`. */
  onReady(): void;
}

/** A use of a discovered config. */
export interface ExtensionClaim extends LatchClaim {
  /** The config as it is now: what has come, else the default. Undefined: there is none. */
  readonly config: Any | undefined;
}

/** A config as it was last accepted, for `/config_dump`. */
export interface DiscoveredExtension {
  readonly name: string;
  readonly message: TypedExtensionConfig;
  readonly versionInfo: string;
  /** ms since the epoch. */
  readonly lastUpdatedMs: number;
}

interface Entry {
  readonly key: string;
  readonly reference: ExtensionReference;
  readonly scope: StatsScope;
  readonly block: StatBlock;
  readonly users: Set<ExtensionUser>;
  subscription: Subscription | undefined;
  bytes: Uint8Array | undefined;
  accepted: DiscoveredExtension | undefined;
  config: Any | undefined;
  readonly latch: ClaimLatch;
}

/** Configs of filters that are delivered apart from their listeners (ECDS), subscribed to while some listener uses them. */
export class EcdsApi {
  readonly #options: EcdsApiOptions;
  readonly #entries = new Map<string, Entry>();

  constructor(options: EcdsApiOptions) {
    this.#options = options;
  }

  /** What has been accepted. */
  get extensions(): readonly DiscoveredExtension[] {
    return [...this.#entries.values()].flatMap(({ accepted }) => (accepted === undefined ? [] : [accepted]));
  }

  /** Uses a config from now on. */
  claim(reference: ExtensionReference, user: ExtensionUser): ExtensionClaim {
    const key = `${reference.kind} ${reference.name}`;
    const entry = this.#entries.get(key) ?? this.#open(key, reference);
    entry.users.add(user);
    const claim = entry.latch.claim(() => user.onReady());
    return {
      get isReady() {
        return claim.isReady || reference.appliesDefault;
      },
      get config() {
        return entry.config ?? reference.defaultConfig;
      },
      close: () => {
        entry.users.delete(user);
        claim.close();
      },
    };
  }

  close(): void {
    for (const { subscription } of this.#entries.values()) subscription?.close();
    this.#entries.clear();
  }

  #open(key: string, reference: ExtensionReference): Entry {
    const { stats, subscriber } = this.#options;
    const { kind, name, source } = reference;
    const scope = stats.scope(`extension_config_discovery.${kind}.${sanitizeStatName(name)}.`);
    const entry: Entry = {
      key,
      reference,
      scope,
      block: scope.block(EXTENSION_DISCOVERY_STATS),
      users: new Set(),
      subscription: undefined,
      bytes: undefined,
      accepted: undefined,
      config: undefined,
      latch: new ClaimLatch(() => this.#close(entry)),
    };
    this.#entries.set(key, entry);
    entry.subscription = subscriber.subscribe(source, {
      typeUrl: RESOURCE_TYPES.ecds,
      names: [name],
      stats: scope,
      onUpdate: (update) => this.#onUpdate(entry, update),
      onFetchTimeout: () => entry.latch.setReady(),
      onRejected: () => {
        entry.block.inc(AT.config_fail);
        entry.latch.setReady();
      },
    });
    return entry;
  }

  #close(entry: Entry): void {
    if (this.#entries.get(entry.key) !== entry) return;
    this.#entries.delete(entry.key);
    entry.subscription?.close();
    entry.scope.release();
  }

  async #onUpdate(entry: Entry, { set, removed, version }: ResourceUpdate): Promise<string> {
    const resource = set[0];
    if (resource === undefined) {
      // Back to the default, where there is one.
      if (removed.length > 0) await this.#replace(entry, undefined);
      return '';
    }
    if (set.length > 1) return `Unexpected number of resources in ExtensionConfigDS response: ${set.length}`;
    if (entry.bytes !== undefined && Buffer.compare(entry.bytes, resource.value) === 0) return '';
    const { decoder, types } = this.#options;
    const decoded = await decoder.decode(TypedExtensionConfigSchema, resource.value);
    if (decoded === undefined) return `Unable to parse the TypedExtensionConfig ${resource.name}`;
    if (decoded.error !== '') return decoded.error;
    const { name, typedConfig: config } = decoded.message;
    if (name !== entry.reference.name) return `Unexpected resource name in ExtensionConfigDS response: ${name}`;
    const typeName = config === undefined ? '' : unpackAny(types, config).typeName || typeNameOf(config.typeUrl);
    const { typeUrls } = entry.reference;
    if (typeUrls.length > 0 && !typeUrls.some((url) => typeNameOf(url) === typeName))
      return `Error: filter config has type URL ${typeName} but expect ${typeUrls.map(typeNameOf).join(', ')}.`;
    const error = await this.#replace(entry, config);
    if (error !== '') return error;
    entry.bytes = new Uint8Array(resource.value);
    entry.accepted = {
      name,
      message: decoded.configured,
      versionInfo: resource.version === '' ? version : resource.version,
      lastUpdatedMs: this.#options.clock.epoch(),
    };
    entry.latch.setReady();
    return '';
  }

  async #replace(entry: Entry, config: Any | undefined): Promise<string> {
    const former = entry.config;
    entry.config = config;
    const users = [...entry.users];
    const errors = (await Promise.all(users.map((user) => user.prepare()))).filter((error) => error !== '');
    if (errors.length > 0) {
      entry.config = former;
      return [...new Set(errors)].join('; ');
    }
    if (config === undefined) entry.bytes = entry.accepted = undefined;
    entry.block.inc(AT.config_reload);
    await Promise.all(users.filter((user) => entry.users.has(user)).map((user) => user.commit()));
    return '';
  }
}
