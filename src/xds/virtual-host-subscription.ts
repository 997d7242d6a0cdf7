import type { ConfigSource } from '../api/generated/envoy/config/core/v3/config_source_pb.js';
import { VirtualHostSchema, type VirtualHost } from '../api/generated/envoy/config/route/v3/route_components_pb.js';
import type { StatsScope } from '../telemetry/stats/stats.ts';
import type { ResourceDecoder } from './resource-decoder.ts';
import { RESOURCE_TYPES } from './resource-type.ts';
import type { ResourceUpdate } from './resource-update.ts';
import type { Subscription } from './subscription.ts';
import type { Subscriber } from './xds-sources.ts';

export interface VirtualHostSubscriptionOptions {
  /** Of the route configuration: its virtual hosts are named `<route configuration>/<name>`. */
  readonly routeConfigName: string;
  readonly source: ConfigSource;
  readonly subscriber: Subscriber;
  readonly decoder: ResourceDecoder;
  /** `http.<prefix>.vhds.<route configuration>.` */
  readonly stats: StatsScope;
  /** There are other virtual hosts than before; '' or why they are refused: then those before stay. */
  onChange(): Promise<string>;
  /** The first update has come, or nobody is to wait for it any longer. */
  onInitialized(): void;
}

/** The virtual hosts of one route configuration that are delivered apart from it (VHDS). */
export class VirtualHostSubscription {
  readonly #options: VirtualHostSubscriptionOptions;
  readonly #subscription: Subscription;
  #hosts: ReadonlyMap<string, VirtualHost> = new Map();

  constructor(options: VirtualHostSubscriptionOptions) {
    this.#options = options;
    this.#subscription = options.subscriber.subscribe(options.source, {
      typeUrl: RESOURCE_TYPES.vhds,
      names: undefined,
      stats: options.stats,
      onUpdate: (update) => this.#onUpdate(update),
      onFetchTimeout: () => options.onInitialized(),
      onRejected: () => options.onInitialized(),
    });
  }

  get virtualHosts(): readonly VirtualHost[] {
    return [...this.#hosts.values()];
  }

  close(): void {
    this.#subscription.close();
  }

  /** A server may send the virtual hosts of all route configurations: the name tells which are ours. */
  async #onUpdate({ set, removed }: ResourceUpdate): Promise<string> {
    const { decoder, routeConfigName, onChange, onInitialized } = this.#options;
    const former = this.#hosts;
    const hosts = new Map(former);
    let isChanged = false;
    for (const name of removed) isChanged = hosts.delete(name) || isChanged;
    for (const { name, value } of set) {
      if (!name.startsWith(`${routeConfigName}/`)) continue;
      const decoded = await decoder.decode(VirtualHostSchema, value);
      if (decoded === undefined) return `Unable to parse the VirtualHost ${name}`;
      if (decoded.error !== '') return decoded.error;
      hosts.set(name, decoded.message);
      isChanged = true;
    }
    if (isChanged) {
      this.#hosts = hosts;
      const error = await onChange();
      if (error !== '') {
        this.#hosts = former;
        return error;
      }
    }
    onInitialized();
    return '';
  }
}
