import type { ThresholdsModel } from '../../config/cluster-model.ts';
import type { SharedCells } from '../../lib/shared-cells.ts';
import type { StatBlock } from '../../telemetry/stats/stats.ts';
import { CLUSTER_STATS } from './cluster-stats.ts';
import type { CircuitBreaker } from './upstream.ts';

export type RoutingPriority = 'default' | 'high';

/**
 * The layout of one cluster's cells in SharedCells: a generation that grows with every change of its hosts' health
 * flags, two 64-bit counters of requests that no host got (for load reports), then per priority the counts of connections, pending requests, requests and retries on all workers, then the
 * same per priority for each lane.
 */
export const CLUSTER_GENERATION_CELL = 0;
const DROPPED_CELL = 1;
const DROPPED_OVERLOAD_CELL = 3;
const FIRST_COUNT = 5;
const COUNTS = 4;
const CONNECTIONS = 0;
const PENDING = 1;
const REQUESTS = 2;
const RETRIES = 3;
const PRIORITIES = 2;

export function clusterCellCount(lanes: number): number {
  return FIRST_COUNT + COUNTS * PRIORITIES * (lanes + 1);
}

const commonCell = (slot: number, priority: RoutingPriority): number =>
  slot + FIRST_COUNT + (priority === 'high' ? COUNTS : 0);
const laneCell = (slot: number, priority: RoutingPriority, lane: number): number =>
  commonCell(slot, priority) + COUNTS * PRIORITIES * (lane + 1);

/** Main thread: a worker died; gives back what it held. */
export function settleClusterLane(shared: SharedCells, slot: number, lane: number): void {
  for (const priority of ['default', 'high'] as const)
    for (let i = 0; i < COUNTS; i++) shared.settle(commonCell(slot, priority) + i, laneCell(slot, priority, lane) + i);
}

/** Counts a request that was dropped: by an overflow, maintenance mode or, with `overload`, the control plane's wish. */
export function countDrop(shared: SharedCells, slot: number, overload: boolean): void {
  shared.count(slot + DROPPED_CELL);
  if (overload) shared.count(slot + DROPPED_OVERLOAD_CELL);
}

/** Requests dropped since the cluster came up, over all workers; `overload` of the `total` by `drop_overloads`. */
export function readDrops(shared: SharedCells, slot: number): { readonly total: number; readonly overload: number } {
  return { total: shared.counted(slot + DROPPED_CELL), overload: shared.counted(slot + DROPPED_OVERLOAD_CELL) };
}

/** How many things of each kind are in flight, over all workers. */
export interface BreakerUse {
  readonly connections: number;
  readonly pendingRequests: number;
  readonly requests: number;
  readonly retries: number;
}

export function readBreaker(shared: SharedCells, slot: number, priority: RoutingPriority): BreakerUse {
  const at = commonCell(slot, priority);
  return {
    connections: shared.load(at + CONNECTIONS),
    pendingRequests: shared.load(at + PENDING),
    requests: shared.load(at + REQUESTS),
    retries: shared.load(at + RETRIES),
  };
}

/** The retries that may be in flight now: `max_retries`, or what the retry budget gives (Envoy's circuit breaking docs). */
export function retryLimit(thresholds: ThresholdsModel, active: number): number {
  const budget = thresholds.retryBudget;
  if (budget === undefined) return thresholds.maxRetries;
  return Math.max(Math.floor((budget.budgetPercent / 100) * active), budget.minRetryConcurrency);
}

/** The limits of one priority of one cluster, as one worker counts against them. */
export class SharedCircuitBreaker implements CircuitBreaker {
  readonly thresholds: ThresholdsModel;
  readonly #shared: SharedCells;
  readonly #stats: StatBlock;
  readonly #common: number;
  readonly #lane: number;

  constructor(
    thresholds: ThresholdsModel,
    priority: RoutingPriority,
    slot: number,
    lane: number,
    shared: SharedCells,
    stats: StatBlock,
  ) {
    this.thresholds = thresholds;
    this.#shared = shared;
    this.#stats = stats;
    this.#common = commonCell(slot, priority);
    this.#lane = laneCell(slot, priority, lane);
  }

  /** Requests in flight on all workers. */
  get activeRequests(): number {
    return this.#shared.load(this.#common + REQUESTS);
  }

  tryConnection(): boolean {
    return this.#try(CONNECTIONS, this.thresholds.maxConnections);
  }

  /** Counts a connection over the limit: a pool without any may always open one, or its requests would wait for ever. */
  forceConnection(): void {
    this.#shared.add(this.#common + CONNECTIONS, 1);
    this.#shared.bump(this.#lane + CONNECTIONS, 1);
  }

  releaseConnection(): void {
    this.#release(CONNECTIONS);
  }

  canConnect(): boolean {
    return this.#shared.load(this.#common + CONNECTIONS) < this.thresholds.maxConnections;
  }

  tryPending(): boolean {
    return this.#try(PENDING, this.thresholds.maxPendingRequests);
  }

  releasePending(): void {
    this.#release(PENDING);
  }

  tryRequest(): boolean {
    return this.#try(REQUESTS, this.thresholds.maxRequests);
  }

  releaseRequest(): void {
    this.#release(REQUESTS);
  }

  tryRetry(): boolean {
    let active = 0;
    if (this.thresholds.retryBudget !== undefined)
      active = this.#shared.load(this.#common + REQUESTS) + this.#shared.load(this.#common + PENDING);
    if (this.#try(RETRIES, retryLimit(this.thresholds, active))) return true;
    this.#stats.inc(CLUSTER_STATS.at.upstream_rq_retry_overflow);
    return false;
  }

  releaseRetry(): void {
    this.#release(RETRIES);
  }

  #try(count: number, limit: number): boolean {
    if (!this.#shared.acquire(this.#common + count, limit)) return false;
    this.#shared.bump(this.#lane + count, 1);
    return true;
  }

  #release(count: number): void {
    this.#shared.release(this.#common + count);
    this.#shared.bump(this.#lane + count, -1);
  }
}
