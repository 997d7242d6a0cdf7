import type { ClusterModel, HostSetModel } from '../../config/cluster-model.ts';
import type { RawBufferModel, UpstreamTransportSocketModel } from '../../config/transport-socket-model.ts';
import type { Metadata } from '../../filters/stream-info.ts';
import type { Random } from '../../lib/random.ts';
import type { SharedCells } from '../../lib/shared-cells.ts';
import type { StatBlock, StatsScope } from '../../telemetry/stats/stats.ts';
import { HTTP2_CODEC_STATS } from '../../telemetry/stats/http2-stats.ts';
import { sanitizeStatName } from '../../telemetry/stats/stats.ts';
import { CLUSTER_GENERATION_CELL, countDrop, SharedCircuitBreaker, type RoutingPriority } from './circuit-breaker.ts';
import { CLUSTER_STATS, TIMEOUT_BUDGET_STATS, TRACKED_STATS, UPSTREAM_HTTP1_STATS } from './cluster-stats.ts';
import type { WorkerDnsCaches } from './dns-cache.ts';
import { DynamicForwardProxyHosts } from './dynamic-forward-proxy.ts';
import { UpstreamHost } from './host.ts';
import { HashPicker, showHashStats } from './load-balancer/hash-picker.ts';
import { buildHostLevels } from './load-balancer/host-set.ts';
import { PriorityPicker } from './load-balancer/priority-picker.ts';
import { ResponseStats } from './response-stats.ts';
import type { HttpProtocol } from '../codec/codec.ts';
import type { Dispatcher } from '../dispatcher.ts';
import {
  NO_TRANSPORT_OPTIONS,
  type UpstreamTransportOptions,
  type UpstreamTransportSocket,
} from '../transport-socket/transport-socket.ts';
import { OriginalDestinationHosts } from './original-destination.ts';
import type { PooledHttpVersion } from './pool/http-protocol.ts';
import type { PoolScope } from './pool/stream-pool.ts';
import { matchTransportSocket } from './transport-socket-choice.ts';
import type { CircuitBreaker, Cluster, Host, LoadBalancerContext, Pool, TcpPool } from './upstream.ts';

/** A pool as its cluster closes it: idle connections at once, busy ones after their stream, pending requests last. */
export interface DrainablePool extends Pool {
  drain(): void;
}

export interface DrainableTcpPool extends TcpPool {
  drain(): void;
  /** Closes connections in use, too. */
  closeConnections(): void;
}

export interface PoolFactory {
  createPool(scope: PoolScope, version: PooledHttpVersion): DrainablePool;
  createTcpPool(scope: PoolScope): DrainableTcpPool;
}

/** `scope`: the cluster's. Never asked for plain bytes. */
export type TransportSocketFactory = (
  model: Exclude<UpstreamTransportSocketModel, RawBufferModel>,
  scope: StatsScope,
) => UpstreamTransportSocket;

/** What a cluster is given by its worker. */
export interface ClusterEnvironment {
  readonly shared: SharedCells;
  /** This worker's lane in SharedCells. */
  readonly lane: number;
  readonly random: Random;
  readonly stats: StatsScope;
  readonly dispatcher: Dispatcher;
  readonly pools: PoolFactory;
  /** Absent: plain bytes is all there is. */
  readonly createTransportSocket?: TransportSocketFactory;
  /** Absent: there are no dynamic forward proxy clusters. */
  readonly dnsCaches?: WorkerDnsCaches;
}

/** One cluster on one worker. A changed model makes a new object; a changed host set doesn't. */
export class UpstreamCluster implements Cluster {
  readonly name: string;
  readonly model: ClusterModel;
  readonly stats: StatBlock;
  readonly trackedStats: StatBlock | undefined;
  readonly default: SharedCircuitBreaker;
  readonly high: SharedCircuitBreaker;

  readonly #environment: ClusterEnvironment;
  readonly #scope: StatsScope;
  readonly #responses: ResponseStats;
  readonly #generationSlot: number;
  #hostSet: HostSetModel;
  #hosts: readonly UpstreamHost[] = [];
  #byAddress: ReadonlyMap<string, UpstreamHost> = new Map();
  #generation = 0;
  #picker: PriorityPicker | HashPicker;
  #http1Stats: StatBlock | undefined = undefined;
  #http2Stats: StatBlock | undefined = undefined;
  readonly #transportSocket: UpstreamTransportSocket | undefined;
  readonly #matchedTransportSockets: readonly (UpstreamTransportSocket | undefined)[];
  readonly #originalDestination: OriginalDestinationHosts | undefined = undefined;
  readonly #dynamicForwardProxy: DynamicForwardProxyHosts | undefined = undefined;
  /** The version of a pool that nothing special was asked of. */
  readonly #httpVersion: PooledHttpVersion;

  constructor(model: ClusterModel, environment: ClusterEnvironment) {
    this.name = model.name;
    this.model = model;
    this.#environment = environment;
    this.#scope = environment.stats.scope(`cluster.${sanitizeStatName(model.altStatName)}.`);
    this.stats = this.#scope.block(CLUSTER_STATS);
    this.#responses = new ResponseStats(this.stats, this.#scope);
    if (model.trackRequestResponseSizes) this.trackedStats = this.#scope.block(TRACKED_STATS);
    else if (model.trackTimeoutBudgets) this.trackedStats = this.#scope.block(TIMEOUT_BUDGET_STATS);
    const { shared, lane } = environment;
    const { thresholds, sharedSlot } = model;
    this.default = new SharedCircuitBreaker(thresholds.default, 'default', sharedSlot, lane, shared, this.stats);
    this.high = new SharedCircuitBreaker(thresholds.high, 'high', sharedSlot, lane, shared, this.stats);
    this.#generationSlot = sharedSlot + CLUSTER_GENERATION_CELL;
    this.#transportSocket = this.#createTransportSocket(model.transportSocket);
    this.#matchedTransportSockets = model.transportSocketMatches.map(({ socket }) =>
      this.#createTransportSocket(socket),
    );
    this.#httpVersion = model.httpVersion === 'downstream' ? 'http1' : model.httpVersion;
    if (model.originalDestination !== undefined)
      this.#originalDestination = new OriginalDestinationHosts(
        model.originalDestination,
        environment.dispatcher,
        this.stats,
        (host) => this.#prepareOnDemand(host),
      );
    if (model.dynamicForwardProxy !== undefined && environment.dnsCaches !== undefined)
      this.#dynamicForwardProxy = new DynamicForwardProxyHosts(
        model.dynamicForwardProxy,
        environment.dnsCaches.cache(model.dynamicForwardProxy.cache),
        this.stats,
        (host) => this.#prepareOnDemand(host),
      );
    this.#hostSet = {
      cluster: model.name,
      hosts: [],
      localities: [],
      overprovisioningFactor: 1.4,
      weightedPriorityHealth: false,
      dropOverload: 0,
    };
    this.#picker = this.#buildPicker();
  }

  get dropOverload(): number {
    return this.#hostSet.dropOverload;
  }

  get hosts(): readonly UpstreamHost[] {
    return this.#hosts;
  }

  /** `cluster.<name>.http1.`; from the first HTTP/1 connection on. */
  get http1Stats(): StatBlock {
    return (this.#http1Stats ??= this.#scope.block(UPSTREAM_HTTP1_STATS, 'http1.'));
  }

  /** `cluster.<name>.http2.`; from the first HTTP/2 connection on. */
  get http2Stats(): StatBlock {
    return (this.#http2Stats ??= this.#scope.block(HTTP2_CODEC_STATS, 'http2.'));
  }

  /** Replaces the host set. Hosts that keep their cells keep their object and connections; the others drain. */
  setHosts(model: HostSetModel): void {
    const former = new Map(this.#hosts.map((host) => [host.sharedSlot, host]));
    const byAddress = new Map<string, UpstreamHost>();
    const hosts: UpstreamHost[] = [];
    for (const hostModel of model.hosts) {
      const locality = model.localities[hostModel.locality];
      let host = former.get(hostModel.sharedSlot);
      if (host === undefined) {
        host = new UpstreamHost(hostModel, locality, this.#environment.shared, this.#environment.lane);
      } else {
        former.delete(hostModel.sharedSlot);
        if (host.model === hostModel) host.zone = locality?.zone ?? '';
        else host.update(hostModel, locality);
      }
      this.#prepare(host, locality?.metadata);
      hosts.push(host);
      byAddress.set(host.address, host);
    }
    this.#hostSet = model;
    this.#hosts = hosts;
    this.#byAddress = byAddress;
    this.#picker = this.#buildPicker();
    for (const host of former.values()) host.drain();
    if (this.model.closeConnectionsOnHostSetChange) for (const host of hosts) host.drain();
  }

  pickHost(context: LoadBalancerContext): Host | undefined {
    if (this.#originalDestination !== undefined) return this.#originalDestination.pick(context) ?? this.#noHost();
    if (this.#dynamicForwardProxy !== undefined) return this.#dynamicForwardProxy.pick(context) ?? this.#noHost();
    if (this.#environment.shared.load(this.#generationSlot) !== this.#generation) this.#onHealthChange();
    if (context.overrideHost !== undefined) {
      const host = this.#byAddress.get(context.overrideHost);
      if (host !== undefined && this.model.overrideHostStatuses.includes(host.status)) return host;
      if (context.overrideHostStrict) return this.#noHost();
    }
    return this.#picker.pick(context) ?? this.#noHost();
  }

  pool(host: Host, priority: RoutingPriority, transport?: UpstreamTransportOptions, downstream?: HttpProtocol): Pool {
    const upstream = host as UpstreamHost;
    const version = this.model.httpVersion === 'downstream' && downstream === 'HTTP/2' ? 'http2' : this.#httpVersion;
    if (version !== this.#httpVersion || (transport !== undefined && transport.key !== ''))
      return this.#keyedPool(upstream, priority, version, transport ?? NO_TRANSPORT_OPTIONS);
    if (priority === 'high') return (upstream.highPool ??= this.#createPool(upstream, priority, version));
    return (upstream.defaultPool ??= this.#createPool(upstream, priority, version));
  }

  tcpPool(host: Host, priority: RoutingPriority, transport = NO_TRANSPORT_OPTIONS): TcpPool {
    const upstream = host as UpstreamHost;
    const pools = upstream.keyedPools.tcp;
    const key = `${priority} ${transport.key}`;
    let pool = pools.get(key);
    if (pool === undefined) {
      const made = this.#environment.pools.createTcpPool({
        cluster: this,
        host: upstream,
        priority,
        transport,
        onEmpty: () => {
          if (pools.get(key) === made) pools.delete(key);
        },
      });
      pools.set(key, made);
      pool = made;
    }
    return pool;
  }

  /** Pools by what few requests ask for; those that are empty are forgotten, as their number has no bound. */
  #keyedPool(
    host: UpstreamHost,
    priority: RoutingPriority,
    version: PooledHttpVersion,
    transport: UpstreamTransportOptions,
  ): Pool {
    const pools = host.keyedPools.http;
    const key = `${priority} ${version} ${transport.key}`;
    let pool = pools.get(key);
    if (pool === undefined) {
      const made = this.#environment.pools.createPool(
        {
          cluster: this,
          host,
          priority,
          transport,
          onEmpty: () => {
            if (pools.get(key) === made) pools.delete(key);
          },
        },
        version,
      );
      pools.set(key, made);
      pool = made;
    }
    return pool;
  }

  #createPool(host: UpstreamHost, priority: RoutingPriority, version: PooledHttpVersion): DrainablePool {
    const scope = { cluster: this, host, priority, transport: NO_TRANSPORT_OPTIONS, onEmpty: undefined };
    return this.#environment.pools.createPool(scope, version);
  }

  breaker(priority: RoutingPriority): CircuitBreaker {
    return priority === 'high' ? this.high : this.default;
  }

  chargeResponse(status: number, internal: boolean, canary: boolean): void {
    this.#responses.charge(status, internal, canary);
  }

  countDrop(overload: boolean): void {
    countDrop(this.#environment.shared, this.model.sharedSlot, overload);
  }

  chargeResponseTime(ms: number, internal: boolean, canary: boolean): void {
    this.#responses.chargeTime(ms, internal, canary);
  }

  /** The cluster is gone or replaced: streams in flight end by themselves, nothing new starts. */
  drain(): void {
    for (const host of this.#hosts) host.drain();
    this.#originalDestination?.close();
    this.#dynamicForwardProxy?.close();
    this.#transportSocket?.close();
    for (const socket of this.#matchedTransportSockets) socket?.close();
  }

  /** Gives the claim on the stats back; after `drain`, and after the cluster that replaces this one has its own. */
  releaseStats(): void {
    this.#scope.release();
  }

  #noHost(): undefined {
    this.stats.inc(CLUSTER_STATS.at.upstream_cx_none_healthy);
    return undefined;
  }

  #createTransportSocket(model: UpstreamTransportSocketModel): UpstreamTransportSocket | undefined {
    if (model.kind === 'raw-buffer') return undefined;
    const create = this.#environment.createTransportSocket;
    if (create === undefined) throw new Error(`no transport sockets here, but ${this.name} wants one`);
    return create(model, this.#scope);
  }

  /** Chooses the transport socket of a host. */
  #prepare(host: UpstreamHost, locality: Metadata | undefined): void {
    const index = matchTransportSocket(this.model.transportSocketMatches, host.metadata, locality);
    host.transportSocket = index === -1 ? this.#transportSocket : this.#matchedTransportSockets[index];
  }

  /** The control thread, which counts for all other hosts, doesn't know of it. */
  #prepareOnDemand(host: UpstreamHost): void {
    this.#prepare(host, undefined);
    if (host.transportSocket === this.#transportSocket) this.stats.inc(CLUSTER_STATS.at['default.total_match_count']);
  }

  #onHealthChange(): void {
    this.#picker = this.#buildPicker();
    if (this.model.closeConnectionsOnHostHealthFailure)
      for (const host of this.#hosts) if (host.health === 'unhealthy') host.disconnect();
  }

  #buildPicker(): PriorityPicker | HashPicker {
    this.#generation = this.#environment.shared.load(this.#generationSlot);
    const { model, stats } = this;
    const { random, lane } = this.#environment;
    const { loadBalancer, localityWeighted } = model;
    const levels = buildHostLevels(this.#hosts, this.#hostSet, { loadBalancer, localityWeighted, random });
    if (loadBalancer.policy === 'ring-hash' || loadBalancer.policy === 'maglev') {
      const picker = new HashPicker(levels, {
        loadBalancer,
        hostSet: this.#hostSet,
        localityWeighted,
        panicThreshold: model.healthyPanicThresholdPercent,
        random,
        stats,
        activeRequests: () => this.default.activeRequests + this.high.activeRequests,
      });
      if (lane === 0) showHashStats(loadBalancer.policy, picker, this.#scope);
      return picker;
    }
    return new PriorityPicker(
      levels,
      this.#hostSet.overprovisioningFactor,
      model.healthyPanicThresholdPercent,
      model.failTrafficOnPanic,
      random,
      stats,
    );
  }
}
