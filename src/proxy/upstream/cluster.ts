import type { ClusterModel, HostSetModel } from '../../config/cluster-model.ts';
import type { Random } from '../../lib/random.ts';
import type { SharedCells } from '../../lib/shared-cells.ts';
import type { StatBlock, StatsScope } from '../../telemetry/stats/stats.ts';
import { sanitizeStatName } from '../../telemetry/stats/stats.ts';
import { CLUSTER_GENERATION_CELL, SharedCircuitBreaker, type RoutingPriority } from './circuit-breaker.ts';
import { CLUSTER_STATS, TIMEOUT_BUDGET_STATS, TRACKED_STATS, UPSTREAM_HTTP1_STATS } from './cluster-stats.ts';
import { UpstreamHost } from './host.ts';
import { buildHostLevels } from './load-balancer/host-set.ts';
import { PriorityPicker } from './load-balancer/priority-picker.ts';
import { ResponseStats } from './response-stats.ts';
import type { CircuitBreaker, Cluster, Host, LoadBalancerContext, Pool, TcpPool } from './upstream.ts';

/** A pool as its cluster closes it: idle connections at once, busy ones after their stream, pending requests last. */
export interface DrainablePool extends Pool {
  drain(): void;
}

/** What a cluster is given by its worker. */
export interface ClusterEnvironment {
  readonly shared: SharedCells;
  /** This worker's lane in SharedCells. */
  readonly lane: number;
  readonly random: Random;
  readonly stats: StatsScope;
  createPool(cluster: UpstreamCluster, host: UpstreamHost, priority: RoutingPriority): DrainablePool;
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
  #picker: PriorityPicker;
  #http1Stats: StatBlock | undefined = undefined;

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
    this.#hostSet = {
      cluster: model.name,
      hosts: [],
      localities: [],
      overprovisioningFactor: 1.4,
      weightedPriorityHealth: false,
    };
    this.#picker = this.#buildPicker();
  }

  get hosts(): readonly UpstreamHost[] {
    return this.#hosts;
  }

  /** `cluster.<name>.http1.`; from the first HTTP/1 connection on. */
  get http1Stats(): StatBlock {
    return (this.#http1Stats ??= this.#scope.block(UPSTREAM_HTTP1_STATS, 'http1.'));
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
        host.update(hostModel, locality);
      }
      hosts.push(host);
      byAddress.set(host.address, host);
    }
    this.#hostSet = model;
    this.#hosts = hosts;
    this.#byAddress = byAddress;
    this.#picker = this.#buildPicker();
    for (const host of former.values()) drainHost(host);
    if (this.model.closeConnectionsOnHostSetChange) for (const host of hosts) drainHost(host);
  }

  pickHost(context: LoadBalancerContext): Host | undefined {
    if (this.#environment.shared.load(this.#generationSlot) !== this.#generation) this.#onHealthChange();
    if (context.overrideHost !== undefined) {
      const host = this.#byAddress.get(context.overrideHost);
      if (host !== undefined && this.model.overrideHostStatuses.includes(host.status)) return host;
      if (context.overrideHostStrict) return this.#noHost();
    }
    return this.#picker.pick(context) ?? this.#noHost();
  }

  pool(host: Host, priority: RoutingPriority): Pool {
    const upstream = host as UpstreamHost;
    if (priority === 'high') return (upstream.highPool ??= this.#environment.createPool(this, upstream, priority));
    return (upstream.defaultPool ??= this.#environment.createPool(this, upstream, priority));
  }

  tcpPool(_host: Host, _priority: RoutingPriority): TcpPool {
    throw new Error('not implemented');
  }

  breaker(priority: RoutingPriority): CircuitBreaker {
    return priority === 'high' ? this.high : this.default;
  }

  chargeResponse(status: number, internal: boolean, canary: boolean): void {
    this.#responses.charge(status, internal, canary);
  }

  chargeResponseTime(ms: number, internal: boolean, canary: boolean): void {
    this.#responses.chargeTime(ms, internal, canary);
  }

  /** The cluster is gone or replaced: streams in flight end by themselves, nothing new starts. */
  drain(): void {
    for (const host of this.#hosts) drainHost(host);
  }

  /** Gives the claim on the stats back; after `drain`, and after the cluster that replaces this one has its own. */
  releaseStats(): void {
    this.#scope.release();
  }

  #noHost(): undefined {
    this.stats.inc(CLUSTER_STATS.at.upstream_cx_none_healthy);
    return undefined;
  }

  #onHealthChange(): void {
    this.#picker = this.#buildPicker();
    if (this.model.closeConnectionsOnHostHealthFailure)
      for (const host of this.#hosts) if (host.health === 'unhealthy') drainHost(host);
  }

  #buildPicker(): PriorityPicker {
    this.#generation = this.#environment.shared.load(this.#generationSlot);
    const { model, stats } = this;
    const { random } = this.#environment;
    const levels = buildHostLevels(this.#hosts, this.#hostSet, {
      loadBalancer: model.loadBalancer,
      localityWeighted: model.localityWeighted,
      random,
    });
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

function drainHost(host: UpstreamHost): void {
  const { defaultPool, highPool } = host;
  host.defaultPool = undefined;
  host.highPool = undefined;
  defaultPool?.drain();
  highPool?.drain();
}
