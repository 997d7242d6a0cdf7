import type { AddressModel } from '../../config/common-model.ts';
import type { DynamicForwardProxyModel, HostModel } from '../../config/cluster-model.ts';
import { DYNAMIC_HOST, dynamicPort } from '../../filters/dns-cache.ts';
import type { StatBlock } from '../../telemetry/stats/stats.ts';
import { splitAuthority } from './authority.ts';
import type { WorkerDnsCache, DnsCacheListener } from './dns-cache.ts';
import type { CachedHost } from './dns-cache-host.ts';
import type { UpstreamHost } from './host.ts';
import { LocalHosts } from './local-hosts.ts';
import type { LoadBalancerContext } from './upstream.ts';

/**
 * The hosts of a dynamic forward proxy cluster on one worker: one for each name with an address in its DNS cache, which
 * filters fill.
 */
export class DynamicForwardProxyHosts implements DnsCacheListener {
  readonly #model: DynamicForwardProxyModel;
  readonly #cache: WorkerDnsCache;
  readonly #local: LocalHosts;
  readonly #hosts = new Map<string, UpstreamHost>();
  /** No longer in the cache, but with connections in use: their cells can't be given away. */
  #leaving: UpstreamHost[] = [];

  /** `prepare` gives a new host its transport socket. */
  constructor(
    model: DynamicForwardProxyModel,
    cache: WorkerDnsCache,
    stats: StatBlock,
    prepare: (host: UpstreamHost) => void,
  ) {
    this.#model = model;
    this.#cache = cache;
    this.#local = new LocalHosts(stats, prepare);
    cache.listen(this);
  }

  /** By filter state, the request's authority or the connection's SNI. Undefined: nobody has asked for its address. */
  pick({ streamInfo, requestHeaders }: LoadBalancerContext): UpstreamHost | undefined {
    const state = streamInfo?.filterState;
    const dynamic = state?.get(DYNAMIC_HOST);
    const authority =
      typeof dynamic === 'string'
        ? dynamic
        : requestHeaders === undefined
          ? streamInfo?.connection.requestedServerName
          : requestHeaders.get(':authority');
    if (authority === undefined || authority === '') return undefined;
    const defaultPort = (state === undefined ? undefined : dynamicPort(state)) ?? this.#model.defaultPort;
    const { host, port } = splitAuthority(authority, defaultPort);
    const cached = this.#cache.find(host, port);
    return cached === undefined ? undefined : this.#hosts.get(cached.key);
  }

  onHost(cached: CachedHost): void {
    const known = this.#hosts.get(cached.key);
    if (known !== undefined) return known.update({ ...known.model, ...addressesOf(cached) }, undefined);
    this.#sweep();
    const { address, additionalAddresses } = addressesOf(cached);
    const host = this.#local.make(address, additionalAddresses, cached.key);
    this.#hosts.set(cached.key, host);
    this.#local.count(1);
  }

  onHostRemoved(cached: CachedHost): void {
    const host = this.#hosts.get(cached.key);
    if (host === undefined) return;
    this.#hosts.delete(cached.key);
    host.drain();
    this.#leaving.push(host);
    this.#sweep();
    this.#local.count(-1);
  }

  /** The cluster is gone. */
  close(): void {
    this.#cache.unlisten(this);
    for (const host of this.#hosts.values()) host.drain();
    this.#local.count(-this.#hosts.size);
    this.#hosts.clear();
  }

  /** Gives the cells of those back that have no connection left. */
  #sweep(): void {
    this.#leaving = this.#leaving.filter((host) => {
      if (host.activeConnections > 0) return true;
      this.#local.free(host);
      return false;
    });
  }
}

function addressesOf({ addresses, port }: CachedHost): Pick<HostModel, 'address' | 'additionalAddresses'> {
  const [address, ...more] = addresses.map((host): AddressModel => ({ kind: 'socket', host, port, ipv4Compat: false }));
  return { address: address!, additionalAddresses: more };
}
