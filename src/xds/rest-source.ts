import { create, toJsonString } from '@bufbuild/protobuf';
import type { Node } from '../api/generated/envoy/config/core/v3/base_pb.js';
import {
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from '../api/generated/envoy/service/discovery/v3/discovery_pb.js';
import type { TypeRegistry } from '../api/type-registry.ts';
import { readConfig } from '../config/read-config.ts';
import type { Clock, ClockTimer } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import { deliverUpdate } from './deliver-update.ts';
import type { ResourceWatcher, XdsWatch } from './resource-update.ts';
import type { RestClient } from './rest-client.ts';
import { updateOf } from './whole-response.ts';
import type { XdsSource } from './xds-source.ts';

export interface RestSourceOptions {
  /** For messages: the cluster. */
  readonly destination: string;
  readonly path: string;
  readonly client: () => Promise<RestClient>;
  readonly node: Node;
  readonly types: TypeRegistry;
  readonly clock: Clock;
  readonly random: Random;
  readonly refreshDelayMs: number;
  readonly requestTimeoutMs: number;
  readonly log: { warn(component: string, message: string): void };
}

const OK = 200;
const NOT_MODIFIED = 304;

/**
 * Resources that are asked for again and again over REST: the next request leaves one to two refresh delays after the
 * answer to the last. It serves one subscription.
 */
export class RestSource implements XdsSource {
  readonly #options: RestSourceOptions;
  #polling: Polling | undefined = undefined;

  constructor(options: RestSourceOptions) {
    this.#options = options;
  }

  watch(typeUrl: string, names: readonly string[] | undefined, watcher: ResourceWatcher): XdsWatch {
    this.#polling?.close();
    const polling = new Polling(this.#options, typeUrl, names ?? [], watcher);
    this.#polling = polling;
    return { setNames: (next) => polling.setNames(next), close: () => polling.close() };
  }

  close(): void {
    this.#polling?.close();
  }
}

class Polling {
  readonly #options: RestSourceOptions;
  readonly #typeUrl: string;
  readonly #watcher: ResourceWatcher;
  readonly #abort = new AbortController();
  #names: readonly string[];
  #version = '';
  #held: ReadonlySet<string> = new Set();
  #timer: ClockTimer | undefined = undefined;
  #client: RestClient | undefined = undefined;

  constructor(options: RestSourceOptions, typeUrl: string, names: readonly string[], watcher: ResourceWatcher) {
    this.#options = options;
    this.#typeUrl = typeUrl;
    this.#names = names;
    this.#watcher = watcher;
    queueMicrotask(() => void this.#poll());
  }

  /** The next request asks for them. */
  setNames(names: readonly string[]): void {
    this.#names = names;
  }

  close(): void {
    this.#abort.abort();
    this.#timer?.cancel();
    this.#client?.close();
  }

  get #closed(): boolean {
    return this.#abort.signal.aborted;
  }

  async #poll(): Promise<void> {
    if (this.#closed) return;
    const { clock, random, refreshDelayMs } = this.#options;
    this.#watcher.onAttempt?.();
    const body = await this.#fetch();
    if (this.#closed) return;
    if (body !== undefined) await this.#take(body);
    if (this.#closed) return;
    const delayMs = refreshDelayMs + random.below(Math.max(1, Math.floor(refreshDelayMs)));
    this.#timer = clock.setTimer(delayMs, () => void this.#poll());
  }

  /** Undefined: there is nothing new, or no answer. */
  async #fetch(): Promise<Buffer | undefined> {
    const { client, node, path, requestTimeoutMs, types, log, destination } = this.#options;
    const request = create(DiscoveryRequestSchema, {
      node,
      typeUrl: this.#typeUrl,
      versionInfo: this.#version,
      resourceNames: this.#names.toSorted(),
    });
    let reason: string;
    try {
      const body = toJsonString(DiscoveryRequestSchema, request, { useProtoFieldName: true, registry: types.loaded });
      this.#client ??= await client();
      const response = await this.#client.post(path, body, requestTimeoutMs, this.#abort.signal);
      if (response.status === OK) return response.body;
      if (response.status === NOT_MODIFIED) return undefined;
      reason = `status ${response.status}`;
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error);
    }
    if (this.#closed) return undefined;
    log.warn('config', `REST update for ${path} from ${destination} failed: ${reason}`);
    this.#watcher.onConnectionFailure?.();
    return undefined;
  }

  async #take(body: Buffer): Promise<void> {
    const { types, path } = this.#options;
    await types.load([DiscoveryResponseSchema.typeName]);
    const { message, problems } = await readConfig(types, DiscoveryResponseSchema, path, body, 'json', true);
    if (this.#closed) return;
    const wrong = problems.filter(({ severity }) => severity === 'error');
    const result =
      wrong.length > 0
        ? wrong
            .map((problem) => (problem.path === '' ? problem.message : `${problem.path}: ${problem.message}`))
            .join('; ')
        : updateOf(message, this.#typeUrl, this.#held);
    if (typeof result === 'string') return this.#watcher.onRejected?.(result);
    const error = await deliverUpdate(this.#watcher, result.update);
    this.#held = error === '' ? result.names : new Set([...result.names, ...this.#held]);
    if (error === '') this.#version = message.versionInfo;
    else if (!this.#closed) this.#watcher.onRejected?.(error);
  }
}
