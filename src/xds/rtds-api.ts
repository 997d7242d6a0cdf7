import type { JsonObject } from '@bufbuild/protobuf';
import { RuntimeSchema } from '../api/generated/envoy/service/runtime/v3/rtds_pb.js';
import { Problems } from '../config/problem.ts';
import type { RuntimeDiscovery } from '../config/runtime-layers.ts';
import type { StatsScope } from '../telemetry/stats/stats.ts';
import type { ResourceDecoder } from './resource-decoder.ts';
import { problemText } from './resource-problems.ts';
import { RESOURCE_TYPES } from './resource-type.ts';
import type { ResourceUpdate } from './resource-update.ts';
import type { Subscription } from './subscription.ts';
import type { Subscriber } from './xds-sources.ts';

export interface RtdsApiOptions {
  readonly layers: readonly RuntimeDiscovery[];
  readonly subscriber: Subscriber;
  readonly decoder: ResourceDecoder;
  /** The root scope: all layers count under `runtime.`, as in Envoy. */
  readonly stats: StatsScope;
  /** Takes over the values of a layer. What can't be one is reported, and changes nothing then. */
  setLayer(layer: string, fields: JsonObject, problems: Problems): void;
}

/** Layers of the runtime that a control plane serves (RTDS). */
export class RtdsApi {
  readonly #options: RtdsApiOptions;
  readonly #subscriptions: Subscription[] = [];
  readonly #waitingFor = new Set<RuntimeDiscovery>();
  readonly #waiting: (() => void)[] = [];

  constructor(options: RtdsApiOptions) {
    this.#options = options;
    const scope = options.stats.scope('runtime.');
    for (const layer of options.layers) {
      this.#waitingFor.add(layer);
      this.#subscriptions.push(
        options.subscriber.subscribe(layer.source, {
          typeUrl: RESOURCE_TYPES.rtds,
          names: [layer.name],
          stats: scope,
          onUpdate: (update) => this.#onUpdate(layer, update),
          onFetchTimeout: () => this.#setReady(layer),
          onRejected: () => this.#setReady(layer),
        }),
      );
    }
  }

  /** Layers of which nothing has been heard yet, by the names of their resources. */
  get waitingFor(): readonly string[] {
    return Array.from(this.#waitingFor, ({ name }) => name);
  }

  /** Resolves when each layer has come, or nobody is to wait for it any longer. */
  async initialized(): Promise<void> {
    if (this.#waitingFor.size > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  close(): void {
    for (const subscription of this.#subscriptions) subscription.close();
    this.#waitingFor.clear();
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async #onUpdate(layer: RuntimeDiscovery, { set, removed }: ResourceUpdate): Promise<string> {
    const { decoder, setLayer } = this.#options;
    const problems = new Problems();
    if (set.length > 1) return `Unexpected RTDS resource length, number of added resources ${set.length}, expected 1`;
    const resource = set[0];
    if (resource === undefined) {
      if (removed.length > 0) setLayer(layer.layer, {}, problems);
    } else {
      const decoded = await decoder.decode(RuntimeSchema, resource.value);
      if (decoded === undefined) return `Unable to parse the Runtime ${resource.name}`;
      if (decoded.error !== '') return decoded.error;
      const { name, layer: fields = {} } = decoded.message;
      if (name !== layer.name) return `Unexpected RTDS runtime (expecting ${layer.name}): ${name}`;
      setLayer(layer.layer, fields, problems);
      if (problems.hasErrors) return problemText(problems.list);
    }
    this.#setReady(layer);
    return '';
  }

  #setReady(layer: RuntimeDiscovery): void {
    if (!this.#waitingFor.delete(layer) || this.#waitingFor.size > 0) return;
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
