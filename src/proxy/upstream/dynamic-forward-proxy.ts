import type { AddressModel } from '../../config/common-model.ts';
import type { DynamicForwardProxyModel, HostModel } from '../../config/cluster-model.ts';
import { DYNAMIC_HOST, dynamicPort } from '../../filters/dns-cache.ts';
import { SharedCells } from '../../lib/shared-cells.ts';
import type { StatBlock } from '../../telemetry/stats/stats.ts';
import { splitAuthority } from './authority.ts';
import { CLUSTER_STATS } from './cluster-stats.ts';
import type { WorkerDnsCache, DnsCacheListener } from './dns-cache.ts';
import type { CachedHost } from './dns-cache-host.ts';
import { hostCellCount } from './host-cells.ts';
import { UpstreamHost } from './host.ts';
import type { LoadBalancerContext } from './upstream.ts';

/**
 * The hosts of a dynamic forward proxy cluster on one worker: one for each name with an address in its DNS cache, which
 * filters fill. As those of ORIGINAL_DST clusters they are this worker's own, with cells that no other thread sees.
 */
export class DynamicForwardProxyHosts implements DnsCacheListener {
  readonly #model: DynamicForwardProxyModel;
  readonly #cache: WorkerDnsCache;
  readonly #stats: StatBlock;
  readonly #prepare: (host: UpstreamHost) => void;
  readonly #cells = new SharedCells([], 1);
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
    this.#stats = stats;
    this.#prepare = prepare;
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
    const model: HostModel = {
      ...addressesOf(cached),
      hostname: cached.key,
      weight: 1,
      priority: 0,
      locality: 0,
      metadata: undefined,
      healthStatus: 'unknown',
      canary: false,
      sharedSlot: this.#cells.allocate(hostCellCount(1)),
    };
    const host = new UpstreamHost(model, undefined, this.#cells, 0);
    this.#prepare(host);
    this.#hosts.set(cached.key, host);
    this.#countHosts(1);
  }

  onHostRemoved(cached: CachedHost): void {
    const host = this.#hosts.get(cached.key);
    if (host === undefined) return;
    this.#hosts.delete(cached.key);
    host.drain();
    this.#leaving.push(host);
    this.#sweep();
    this.#countHosts(-1);
  }

  /** The cluster is gone. */
  close(): void {
    this.#cache.unlisten(this);
    for (const host of this.#hosts.values()) host.drain();
    this.#countHosts(-this.#hosts.size);
    this.#hosts.clear();
  }

  /** Gives the cells of those back that have no connection left. */
  #sweep(): void {
    this.#leaving = this.#leaving.filter((host) => {
      if (host.activeConnections > 0) return true;
      this.#cells.free(host.sharedSlot, hostCellCount(1));
      return false;
    });
  }

  #countHosts(change: number): void {
    if (change === 0) return;
    this.#stats.inc(CLUSTER_STATS.at.membership_change);
    this.#stats.add(CLUSTER_STATS.at.membership_total, change);
    this.#stats.add(CLUSTER_STATS.at.membership_healthy, change);
  }
}

function addressesOf({ addresses, port }: CachedHost): Pick<HostModel, 'address' | 'additionalAddresses'> {
  const [address, ...more] = addresses.map((host): AddressModel => ({ kind: 'socket', host, port, ipv4Compat: false }));
  return { address: address!, additionalAddresses: more };
}
