import type { Clock, ClockTimer } from '../../lib/clock.ts';
import type { SharedCells } from '../../lib/shared-cells.ts';
import { clusterCellCount, readBreaker, settleClusterLane } from './circuit-breaker.ts';
import { hostCellCount, readHostStats, settleHostLane } from './host-cells.ts';

/** Long enough for every worker to have taken over the snapshot without what was retired. */
const GRACE_MS = 60_000;

interface Retired {
  readonly kind: 'host' | 'cluster';
  readonly slot: number;
  readonly sinceMs: number;
}

/**
 * Cells of hosts and clusters that are gone. Workers may still count on them, as connections drain; they are given back
 * when a grace time has passed and nothing is in flight any more.
 */
export class CellReclaimer {
  readonly #cells: SharedCells;
  readonly #clock: Clock;
  #retired: Retired[] = [];
  #timer: ClockTimer | undefined = undefined;

  constructor(cells: SharedCells, clock: Clock) {
    this.#cells = cells;
    this.#clock = clock;
  }

  get size(): number {
    return this.#retired.length;
  }

  retireHost(slot: number): void {
    this.#retire('host', slot);
  }

  retireCluster(slot: number): void {
    this.#retire('cluster', slot);
  }

  /** A worker died. */
  settleLane(lane: number): void {
    for (const { kind, slot } of this.#retired) {
      if (kind === 'host') settleHostLane(this.#cells, slot, lane);
      else settleClusterLane(this.#cells, slot, lane);
    }
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #retire(kind: Retired['kind'], slot: number): void {
    this.#retired.push({ kind, slot, sinceMs: this.#clock.monotonic() });
    this.#timer ??= this.#clock.setTimer(GRACE_MS, () => this.#sweep());
  }

  #sweep(): void {
    this.#timer = undefined;
    const now = this.#clock.monotonic();
    this.#retired = this.#retired.filter((entry) => {
      if (now - entry.sinceMs < GRACE_MS || !this.#isIdle(entry)) return true;
      const { lanes } = this.#cells;
      this.#cells.free(entry.slot, entry.kind === 'host' ? hostCellCount(lanes) : clusterCellCount(lanes));
      return false;
    });
    if (this.#retired.length > 0) this.#timer = this.#clock.setTimer(GRACE_MS, () => this.#sweep());
  }

  #isIdle({ kind, slot }: Retired): boolean {
    if (kind === 'host') {
      const { cxActive, rqActive, rqPendingActive } = readHostStats(this.#cells, slot);
      return cxActive === 0 && rqActive === 0 && rqPendingActive === 0;
    }
    return (['default', 'high'] as const).every((priority) => {
      const use = readBreaker(this.#cells, slot, priority);
      return use.connections === 0 && use.pendingRequests === 0 && use.requests === 0 && use.retries === 0;
    });
  }
}
