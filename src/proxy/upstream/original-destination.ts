import type { OriginalDestinationModel } from '../../config/cluster-model.ts';
import { parseIpAddress } from '../../lib/ip-address.ts';
import { Timer, type TimerTask } from '../../lib/timer-wheel.ts';
import type { StatBlock } from '../../telemetry/stats/stats.ts';
import type { Dispatcher } from '../dispatcher.ts';
import { CLUSTER_STATS } from './cluster-stats.ts';
import type { UpstreamHost } from './host.ts';
import { LocalHosts } from './local-hosts.ts';
import type { LoadBalancerContext } from './upstream.ts';

/** Filter state that says where to, before everything else. */
const FILTER_STATE = 'envoy.network.transport_socket.original_dst_address';

interface Entry {
  readonly host: UpstreamHost;
  /** Chosen since the last cleanup. */
  used: boolean;
}

/**
 * The hosts of an ORIGINAL_DST cluster on one worker: made when a connection wants to go there, forgotten when nobody
 * has for a while.
 */
export class OriginalDestinationHosts implements TimerTask {
  readonly #model: OriginalDestinationModel;
  readonly #dispatcher: Dispatcher;
  readonly #stats: StatBlock;
  readonly #local: LocalHosts;
  readonly #hosts = new Map<string, Entry>();
  readonly #timer = new Timer(this);

  /** `prepare` gives a new host its transport socket. */
  constructor(
    model: OriginalDestinationModel,
    dispatcher: Dispatcher,
    stats: StatBlock,
    prepare: (host: UpstreamHost) => void,
  ) {
    this.#model = model;
    this.#dispatcher = dispatcher;
    this.#stats = stats;
    this.#local = new LocalHosts(stats, prepare);
  }

  get size(): number {
    return this.#hosts.size;
  }

  /** Undefined: nobody knows where to. */
  pick(context: LoadBalancerContext): UpstreamHost | undefined {
    const found = this.#find(context);
    if (found === undefined) return undefined;
    const host = found.host;
    const port = this.#model.portOverride ?? found.port;
    const key = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
    const known = this.#hosts.get(key);
    if (known !== undefined) {
      known.used = true;
      return known.host;
    }
    return this.#add(key, host, port);
  }

  /** The cluster is gone. */
  close(): void {
    this.#dispatcher.disarm(this.#timer);
    for (const { host } of this.#hosts.values()) host.drain();
    this.#local.count(-this.#hosts.size);
    this.#hosts.clear();
  }

  onTimer(): void {
    const before = this.#hosts.size;
    for (const [key, entry] of this.#hosts) {
      const keep = entry.used || entry.host.activeConnections > 0;
      entry.used = false;
      if (keep) continue;
      this.#hosts.delete(key);
      entry.host.drain();
      this.#local.free(entry.host);
    }
    if (this.#hosts.size < before) this.#local.count(this.#hosts.size - before);
    if (this.#hosts.size > 0) this.#dispatcher.arm(this.#timer, this.#model.cleanupIntervalMs);
  }

  /** In Envoy's order: filter state, metadata, header, where the connection was going. */
  #find({ streamInfo, requestHeaders }: LoadBalancerContext): { host: string; port: number } | undefined {
    const { headerName, metadataKey } = this.#model;
    const state = streamInfo?.filterState.get(FILTER_STATE);
    if (state !== undefined) {
      const address = parseAddress(String(state));
      if (address !== undefined) return address;
    }
    if (metadataKey !== undefined) {
      let value: unknown = streamInfo?.dynamicMetadata.get(metadataKey.filter);
      for (const key of metadataKey.path)
        value = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined;
      const text: unknown = Array.isArray(value) ? value[0] : value;
      const address = typeof text === 'string' ? this.#parse(text) : undefined;
      if (address !== undefined) return address;
    }
    if (headerName !== undefined) {
      const value = requestHeaders?.get(headerName);
      const address = value === undefined ? undefined : this.#parse(value);
      if (address !== undefined) return address;
    }
    const connection = streamInfo?.connection;
    if (connection?.localAddressRestored !== true) return undefined;
    return { host: connection.localIp, port: connection.localPort };
  }

  #parse(text: string): { host: string; port: number } | undefined {
    const address = parseAddress(text);
    if (address === undefined) this.#stats.inc(CLUSTER_STATS.at.original_dst_host_invalid);
    return address;
  }

  #add(key: string, ip: string, port: number): UpstreamHost {
    const host = this.#local.make({ kind: 'socket', host: ip, port, ipv4Compat: false }, [], '');
    if (this.#hosts.size === 0) this.#dispatcher.arm(this.#timer, this.#model.cleanupIntervalMs);
    this.#hosts.set(key, { host, used: true });
    this.#local.count(1);
    return host;
  }
}

/** `ip:port` or `[ip6]:port`. */
function parseAddress(text: string): { host: string; port: number } | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const ip = parseIpAddress(match[1] ?? match[2]!);
  const port = Number(match[3]);
  if (ip === undefined || port > 65_535 || ip.v4 !== (match[1] === undefined)) return undefined;
  return { host: ip.text, port };
}
