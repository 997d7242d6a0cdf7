import type {
  AssignmentModel,
  BuiltCluster,
  ClusterModel,
  EdsModel,
  HostSetModel,
} from '../../config/cluster-model.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import type { SharedCells } from '../../lib/shared-cells.ts';
import { sanitizeStatName, type StatBlock, type StatsScope } from '../../telemetry/stats/stats.ts';
import type { CellReclaimer } from './cell-reclaimer.ts';
import {
  clusterCellCount,
  readBreaker,
  retryLimit,
  settleClusterLane,
  type RoutingPriority,
} from './circuit-breaker.ts';
import { BREAKER_REMAINING_STATS, BREAKER_STATS, CLUSTER_STATS, CLUSTER_UPDATE_STATS } from './cluster-stats.ts';
import type { DnsEnvironment } from './discovery/dns-refresh.ts';
import type { DnsResolverFactory } from './discovery/dns-resolver.ts';
import { EdsDiscovery, type EndpointSource } from './discovery/eds.ts';
import type { HostDiscovery } from './discovery/host-discovery.ts';
import { LogicalDnsDiscovery } from './discovery/logical-dns.ts';
import { Membership } from './discovery/membership.ts';
import { StaticDiscovery } from './discovery/static.ts';
import { StrictDnsDiscovery } from './discovery/strict-dns.ts';
import { settleHostLane } from './host-cells.ts';

/** Where the secrets that clusters use come in. */
export interface SecretArrivals {
  /**
   * Calls `ready` once each of the secrets has come or has had its chance (`initial_fetch_timeout`), inside of the call
   * if that is so already. Returns what gives the wait up.
   */
  wait(names: readonly string[], ready: () => void): () => void;
}

/** What the control side of every cluster uses. */
export interface ClusterControlEnvironment {
  readonly clock: Clock;
  readonly random: Random;
  readonly cells: SharedCells;
  /** The main thread's root scope. */
  readonly stats: StatsScope;
  readonly resolver: DnsResolverFactory;
  /** Absent: clusters of type EDS have no hosts. */
  readonly endpoints?: EndpointSource;
  /** Absent: all secrets are there. */
  readonly secrets?: SecretArrivals;
}

/** What a cluster reports to the registry. */
export interface ClusterControlOwner {
  onHosts(cluster: ClusterControl, hosts: HostSetModel): void;
  onInitialized(cluster: ClusterControl): void;
  /** What the active cluster of this name has been told of the same endpoints. */
  heldAssignment(name: string, model: EdsModel): AssignmentModel | undefined;
}

/** One cluster on the control thread: its discovery, its memberships, its place in shared memory, its gauges. */
export class ClusterControl {
  readonly built: BuiltCluster;
  /** The model with its cells; what workers get. */
  readonly model: ClusterModel;
  readonly addedViaApi: boolean;
  readonly #environment: ClusterControlEnvironment;
  readonly #reclaimer: CellReclaimer;
  readonly #owner: ClusterControlOwner;
  readonly #scope: StatsScope;
  readonly #stats: StatBlock;
  readonly #breakerStats: readonly {
    readonly priority: RoutingPriority;
    readonly open: StatBlock;
    readonly remaining: StatBlock | undefined;
  }[];
  readonly #discovery: HostDiscovery;
  readonly #membership: Membership;
  #initialized = false;
  /** What warming waits for. */
  #waitsForHosts = true;
  #waitsForSecrets = true;
  #giveUpSecrets: (() => void) | undefined = undefined;
  #closed = false;

  constructor(
    built: BuiltCluster,
    addedViaApi: boolean,
    environment: ClusterControlEnvironment,
    reclaimer: CellReclaimer,
    owner: ClusterControlOwner,
  ) {
    const { cells, stats } = environment;
    this.built = built;
    this.addedViaApi = addedViaApi;
    this.#environment = environment;
    this.#reclaimer = reclaimer;
    this.#owner = owner;
    this.model = { ...built.model, sharedSlot: cells.allocate(clusterCellCount(cells.lanes)) };
    this.#scope = stats.scope(`cluster.${sanitizeStatName(this.model.altStatName)}.`);
    this.#stats = this.#scope.block(CLUSTER_STATS);
    this.#breakerStats = (['default', 'high'] as const).map((priority) => ({
      priority,
      open: this.#scope.block(BREAKER_STATS, `circuit_breakers.${priority}.`),
      remaining: this.model.thresholds[priority].trackRemaining
        ? this.#scope.block(BREAKER_REMAINING_STATS, `circuit_breakers.${priority}.`)
        : undefined,
    }));
    this.#discovery = this.#buildDiscovery();
    this.#membership = new Membership(
      this.model.name,
      this.#discovery.identity,
      built.discovery.kind === 'strict-dns',
      cells,
      reclaimer,
      this.#stats,
      {
        matches: this.model.transportSocketMatches,
        counters: this.model.transportSocketMatches.map(({ name }) =>
          this.#scope.counter(`${sanitizeStatName(name)}.total_match_count`),
        ),
      },
    );
  }

  get initialized(): boolean {
    return this.#initialized;
  }

  /** The hosts as they were last found. */
  get hostSet(): HostSetModel {
    return this.#membership.hostSet;
  }

  /** What load reports call requests that were refused for `drop_overloads`. */
  get dropCategory(): string {
    return this.#membership.dropCategory;
  }

  /** What it was told by a control plane, if it asks one. */
  get assignment(): AssignmentModel | undefined {
    return this.#discovery instanceof EdsDiscovery ? this.#discovery.assignment : undefined;
  }

  start(): void {
    this.refreshStats();
    this.#stats.set(CLUSTER_STATS.at.warming_state, 1);
    this.#discovery.start({
      onEndpoints: (assignment) => {
        if (this.#closed) return;
        const hosts = this.#membership.update(assignment);
        if (hosts !== undefined) this.#owner.onHosts(this, hosts);
        else if (this.built.discovery.kind !== 'static') this.#stats.inc(CLUSTER_STATS.at.update_no_rebuild);
      },
      onInitialized: () => {
        this.#waitsForHosts = false;
        this.#tryInitialize();
      },
    });
    const { secrets } = this.#environment;
    const onSecrets = (): void => {
      this.#waitsForSecrets = false;
      this.#tryInitialize();
    };
    if (secrets === undefined || this.built.secrets.length === 0) onSecrets();
    else this.#giveUpSecrets = secrets.wait(this.built.secrets, onSecrets);
    // Nobody is to wait for the first answer.
    if (!this.built.waitForWarmOnInit) this.#initialize();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#giveUpSecrets?.();
    this.#discovery.close();
    this.#membership.close();
    this.#reclaimer.retireCluster(this.model.sharedSlot);
    this.#scope.release();
  }

  /** Sets the gauges that follow from counts in shared memory. Before stats are read. */
  refreshStats(): void {
    const { cells } = this.#environment;
    const { sharedSlot, thresholds } = this.model;
    for (const { priority, open, remaining } of this.#breakerStats) {
      const limits = thresholds[priority];
      const use = readBreaker(cells, sharedSlot, priority);
      const retries = retryLimit(limits, use.requests + use.pendingRequests);
      const { at } = BREAKER_STATS;
      open.set(at.cx_open, isOpen(use.connections, limits.maxConnections));
      open.set(at.rq_open, isOpen(use.requests, limits.maxRequests));
      open.set(at.rq_pending_open, isOpen(use.pendingRequests, limits.maxPendingRequests));
      open.set(at.rq_retry_open, isOpen(use.retries, retries));
      if (remaining === undefined) continue;
      const left = BREAKER_REMAINING_STATS.at;
      remaining.set(left.remaining_cx, Math.max(0, limits.maxConnections - use.connections));
      remaining.set(left.remaining_pending, Math.max(0, limits.maxPendingRequests - use.pendingRequests));
      remaining.set(left.remaining_rq, Math.max(0, limits.maxRequests - use.requests));
      remaining.set(left.remaining_retries, Math.max(0, retries - use.retries));
      // An unlimited number of pools, as Envoy prints it (2^64 - 1, as near as a double gets).
      remaining.set(
        left.remaining_cx_pools,
        Number.isFinite(limits.maxConnectionPools) ? limits.maxConnectionPools : 2 ** 64,
      );
    }
  }

  /** A worker died. */
  settleLane(lane: number): void {
    const { cells } = this.#environment;
    settleClusterLane(cells, this.model.sharedSlot, lane);
    for (const host of this.hostSet.hosts) settleHostLane(cells, host.sharedSlot, lane);
  }

  #tryInitialize(): void {
    if (!this.#waitsForHosts && !this.#waitsForSecrets) this.#initialize();
  }

  #initialize(): void {
    if (this.#initialized || this.#closed) return;
    this.#initialized = true;
    this.#stats.set(CLUSTER_STATS.at.warming_state, 0);
    this.#owner.onInitialized(this);
  }

  #buildDiscovery(): HostDiscovery {
    const { discovery } = this.built;
    if (discovery.kind === 'eds') return this.#buildEds(discovery);
    const updates = this.#scope.block(CLUSTER_UPDATE_STATS);
    if (discovery.kind === 'static') return new StaticDiscovery(discovery.assignment);
    const { clock, random, resolver } = this.#environment;
    const environment: DnsEnvironment = {
      clock,
      random,
      resolver: resolver(discovery.dns.resolvers),
      dns: discovery.dns,
      onAttempt: () => updates.inc(CLUSTER_UPDATE_STATS.at.update_attempt),
    };
    return discovery.kind === 'strict-dns'
      ? new StrictDnsDiscovery(discovery.assignment, environment, updates)
      : new LogicalDnsDiscovery(discovery.assignment, environment, updates);
  }

  #buildEds(model: EdsModel): HostDiscovery {
    const { clock, endpoints } = this.#environment;
    return new EdsDiscovery(model, {
      source: endpoints ?? NO_ENDPOINTS,
      clock,
      scope: this.#scope,
      stats: this.#stats,
      held: () => this.#owner.heldAssignment(this.model.name, model),
    });
  }
}

/** Nobody to ask. */
const NO_ENDPOINTS: EndpointSource = {
  subscribe(_model, _stats, sink) {
    sink.onUnavailable();
    return { close: () => {} };
  },
};

/** A limit of 0 that nothing has run into isn't shown as open, as in Envoy. */
const isOpen = (use: number, limit: number): number => (use > 0 && use >= limit ? 1 : 0);
