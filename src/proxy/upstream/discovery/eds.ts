import type { AssignmentModel, EdsModel } from '../../../config/cluster-model.ts';
import type { Clock, ClockTimer } from '../../../lib/clock.ts';
import type { StatBlock, StatsScope } from '../../../telemetry/stats/stats.ts';
import { CLUSTER_STATS } from '../cluster-stats.ts';
import type { DiscoverySink, HostDiscovery } from './host-discovery.ts';

const AT = CLUSTER_STATS.at;

/** Control planes that name the endpoints of clusters. */
export interface EndpointSource {
  /** Subscribes to what `model` says, counting under `stats`, the cluster's scope. The sink is called later. */
  subscribe(model: EdsModel, stats: StatsScope, sink: EndpointSink): EndpointSubscription;
}

export interface EndpointSink {
  /** The same object again: sent anew without a change. */
  onAssignment(assignment: AssignmentModel): void;
  /** There was an answer, but nothing in it for this cluster. */
  onEmpty(): void;
  /** Nothing that is of use came: within `initial_fetch_timeout`, or what came was refused. */
  onUnavailable(): void;
}

export interface EndpointSubscription {
  /** Nothing is called after this. Idempotent. */
  close(): void;
}

export interface EdsEnvironment {
  readonly source: EndpointSource;
  readonly clock: Clock;
  /** The cluster's scope, and CLUSTER_STATS in it. */
  readonly scope: StatsScope;
  readonly stats: StatBlock;
  /** What the cluster that this one is about to replace has been told of the same endpoints. */
  readonly held: () => AssignmentModel | undefined;
}

/**
 * EDS: a control plane says which hosts there are. What it takes back it has to say so by an empty assignment: a
 * resource that is removed or left out leaves the hosts as they are, as in Envoy.
 */
export class EdsDiscovery implements HostDiscovery {
  readonly identity = 'address';
  readonly #model: EdsModel;
  readonly #environment: EdsEnvironment;
  #assignment: AssignmentModel | undefined = undefined;
  #sink: DiscoverySink | undefined = undefined;
  #subscription: EndpointSubscription | undefined = undefined;
  #staleTimer: ClockTimer | undefined = undefined;
  #initialized = false;

  constructor(model: EdsModel, environment: EdsEnvironment) {
    this.#model = model;
    this.#environment = environment;
  }

  /** What was said last, unless it has become stale. */
  get assignment(): AssignmentModel | undefined {
    return this.#assignment;
  }

  start(sink: DiscoverySink): void {
    this.#sink = sink;
    const { source, scope, stats } = this.#environment;
    this.#subscription = source.subscribe(this.#model, scope, {
      onAssignment: (assignment) => this.#use(assignment),
      onEmpty: () => {
        stats.inc(AT.update_empty);
        this.#initialize();
      },
      onUnavailable: () => this.#onUnavailable(),
    });
  }

  close(): void {
    this.#sink = undefined;
    this.#staleTimer?.cancel();
    this.#subscription?.close();
  }

  #use(assignment: AssignmentModel): void {
    this.#staleTimer?.cancel();
    this.#staleTimer = undefined;
    this.#assignment = assignment;
    const { clock, stats } = this.#environment;
    if (assignment.staleAfterMs > 0) {
      stats.inc(AT.assignment_timeout_received);
      this.#staleTimer = clock.setTimer(assignment.staleAfterMs, () => this.#onStale());
    }
    this.#sink?.onEndpoints(assignment);
    this.#initialize();
  }

  #onUnavailable(): void {
    const held = this.#initialized ? undefined : this.#environment.held();
    if (held === undefined) return this.#initialize();
    this.#environment.stats.inc(AT.assignment_use_cached);
    this.#use(held);
  }

  #onStale(): void {
    this.#staleTimer = undefined;
    const former = this.#assignment;
    if (former === undefined) return;
    this.#assignment = undefined;
    this.#environment.stats.inc(AT.assignment_stale);
    this.#sink?.onEndpoints({ ...former, localities: [], endpoints: [] });
  }

  #initialize(): void {
    if (this.#initialized) return;
    this.#initialized = true;
    this.#sink?.onInitialized();
  }
}
