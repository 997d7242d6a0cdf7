import type { ConfigSource } from '../api/generated/envoy/config/core/v3/config_source_pb.js';
import { ListenerSchema, type Listener } from '../api/generated/envoy/config/listener/v3/listener_pb.js';
import { toJson, type JsonObject } from '@bufbuild/protobuf';
import type { TypeRegistry } from '../api/type-registry.ts';
import type { BuiltListener } from '../config/built-listener.ts';
import { Problems } from '../config/problem.ts';
import type { Clock } from '../lib/clock.ts';
import type { ProcessLog } from '../telemetry/log.ts';
import type { StatsScope } from '../telemetry/stats/stats.ts';
import { FormerNames } from './former-names.ts';
import type { DecodedResource, ResourceDecoder } from './resource-decoder.ts';
import { problemText, reportUnsupportedOf } from './resource-problems.ts';
import { RESOURCE_TYPES } from './resource-type.ts';
import type { ResourceUpdate, XdsResource } from './resource-update.ts';
import type { Subscription } from './subscription.ts';
import type { Subscriber } from './xds-sources.ts';

/** Where listeners go. */
export interface ListenerSink {
  /** '' or why it can't be had; may be told later on where it has to wait for something. */
  set(built: BuiltListener, versionInfo: string): Promise<string>;
  remove(name: string): void;
}

export interface LdsApiOptions {
  readonly source: ConfigSource;
  /** The collection that is asked for (`lds_resources_locator`); '' = everything there is. */
  readonly locator?: string;
  readonly subscriber: Subscriber;
  readonly decoder: ResourceDecoder;
  readonly types: TypeRegistry;
  readonly clock: Clock;
  /** The root scope. */
  readonly stats: StatsScope;
  readonly log: Pick<ProcessLog, 'info' | 'warn'>;
  readonly listeners: ListenerSink;
  /** What asked another source before, and is closed. */
  readonly former?: LdsApi | undefined;
  /** `problems` stands at the message. */
  build(message: Listener, configured: Listener, problems: Problems): Promise<BuiltListener>;
  /** The first update has come, or nobody is to wait for it any longer. Called once. */
  onInitialized(): void;
}

/** A listener's last update that was refused. */
export interface ListenerUpdateFailure {
  readonly failedConfiguration?: JsonObject;
  readonly versionInfo: string;
  /** ms since the epoch. */
  readonly lastUpdateAttempt: number;
  readonly details: string;
}

/** The listeners that a control plane serves (LDS). */
export class LdsApi {
  readonly #options: LdsApiOptions;
  readonly #subscription: Subscription;
  /** As it was last accepted: what is sent again unchanged costs a comparison. */
  readonly #bytes: Map<string, Uint8Array>;
  readonly #former: FormerNames;
  #failures: ReadonlyMap<string, ListenerUpdateFailure> = new Map();
  #versionInfo: string;
  #isInitialized = false;

  constructor(options: LdsApiOptions) {
    this.#options = options;
    const { former } = options;
    this.#bytes = former === undefined ? new Map<string, Uint8Array>() : former.#bytes;
    this.#former = new FormerNames(this.#bytes.keys());
    this.#versionInfo = former?.versionInfo ?? '';
    const { locator = '' } = options;
    this.#subscription = options.subscriber.subscribe(options.source, {
      typeUrl: RESOURCE_TYPES.lds,
      ...(locator === '' ? { names: undefined } : { names: [locator], isCollection: true }),
      stats: options.stats.scope('listener_manager.lds.'),
      onUpdate: (update) => this.#onUpdate(update),
      onFetchTimeout: () => this.#initialize(),
      onRejected: () => this.#initialize(),
    });
  }

  /** Of the last response that was accepted. */
  get versionInfo(): string {
    return this.#versionInfo;
  }

  /** By listener: what the last response had refused. */
  get failures(): ReadonlyMap<string, ListenerUpdateFailure> {
    return this.#failures;
  }

  close(): void {
    this.#subscription.close();
  }

  /** Removes what was delivered; to be called once it is closed. */
  clear(): void {
    for (const name of this.#bytes.keys()) this.#remove(name);
  }

  async #onUpdate(update: ResourceUpdate): Promise<string> {
    const { decoder } = this.#options;
    const { version, set } = update;
    const changed = set.filter(({ name, value }) => !sameBytes(this.#bytes.get(name), value));
    const decoded: { readonly resource: XdsResource; readonly listener: DecodedResource<typeof ListenerSchema> }[] = [];
    const malformed: string[] = [];
    for (const resource of changed) {
      const listener = await decoder.decode(ListenerSchema, resource.value);
      if (listener === undefined) malformed.push(`Unable to parse the Listener ${resource.name}`);
      else if (listener.error !== '') malformed.push(`${resource.name}: ${listener.error}`);
      else decoded.push({ resource, listener });
    }
    // Nothing of a response that breaks the rules of its messages is used, as in Envoy.
    if (malformed.length > 0) return malformed.join('\n');
    let applied = 0;
    for (const name of this.#former.removedBy(update)) if (this.#remove(name)) applied++;
    const failures = new Map<string, ListenerUpdateFailure>();
    const seen = new Set<string>();
    const errors: string[] = [];
    const outcomes = await Promise.all(
      decoded.map(async ({ resource, listener }) => {
        const { name } = resource;
        if (seen.has(name)) return `duplicate listener ${name} found`;
        seen.add(name);
        return this.#take(resource, resource.version === '' ? version : resource.version, listener);
      }),
    );
    for (const [index, error] of outcomes.entries()) {
      const { resource, listener } = decoded[index]!;
      if (error === '') continue;
      errors.push(`${resource.name}: ${error}`);
      failures.set(resource.name, this.#failure(listener.configured, version, error));
    }
    this.#failures = failures;
    applied += outcomes.length - errors.length;
    // As in Envoy: of the last response of which anything was used.
    if (applied > 0) this.#versionInfo = version;
    this.#initialize();
    return errors.length === 0 ? '' : `Error adding/updating listener(s) ${errors.map((each) => `${each}\n`).join('')}`;
  }

  /** False: it was not one of these. */
  #remove(name: string): boolean {
    const isKnown = this.#bytes.delete(name);
    this.#options.listeners.remove(name);
    this.#options.log.info('upstream', `lds: remove listener '${name}'`);
    return isKnown;
  }

  async #take(
    { name, value }: XdsResource,
    versionInfo: string,
    { message, configured }: DecodedResource<typeof ListenerSchema>,
  ): Promise<string> {
    const { build, listeners, log } = this.#options;
    const problems = new Problems();
    const built = await build(message, configured, problems);
    if (problems.hasErrors) return problemText(problems.list);
    reportUnsupportedOf(`listener '${name}'`, problems.list, log);
    const error = await listeners.set(built, versionInfo);
    if (error !== '') return error;
    // A copy: the bytes may be a small part of a large response, which would stay in memory with them.
    this.#bytes.set(name, new Uint8Array(value));
    log.info('upstream', `lds: add/update listener '${name}'`);
    return '';
  }

  #failure(configured: Listener, versionInfo: string, details: string): ListenerUpdateFailure {
    const { types, clock } = this.#options;
    let failedConfiguration: JsonObject | undefined;
    try {
      const json = toJson(ListenerSchema, configured, { registry: types.loaded, useProtoFieldName: true });
      failedConfiguration = {
        '@type': RESOURCE_TYPES.lds,
        ...(json as JsonObject),
      };
    } catch {
      // It holds a type that nobody knows.
    }
    return {
      ...(failedConfiguration !== undefined && { failedConfiguration }),
      versionInfo,
      lastUpdateAttempt: clock.epoch(),
      details,
    };
  }

  #initialize(): void {
    if (this.#isInitialized) return;
    this.#isInitialized = true;
    this.#options.onInitialized();
  }
}

function sameBytes(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && Buffer.compare(a, b) === 0;
}
