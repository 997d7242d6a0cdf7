import { describe, expect, test } from 'vitest';
import type { ThresholdsModel } from '../../../src/config/cluster-model.ts';
import { SharedCells } from '../../../src/lib/shared-cells.ts';
import {
  SharedCircuitBreaker,
  clusterCellCount,
  countDrop,
  readBreaker,
  readDrops,
  settleClusterLane,
} from '../../../src/proxy/upstream/circuit-breaker.ts';
import { CLUSTER_STATS } from '../../../src/proxy/upstream/cluster-stats.ts';
import { ThreadStats } from '../../../src/telemetry/stats/arena.ts';
import { thresholds } from '../../support/upstream-models.ts';

/** The breakers of two workers over the same memory. */
function twoWorkers(limits: ThresholdsModel) {
  const main = new SharedCells([], 2);
  const slot = main.allocate(clusterCellCount(2));
  const stats = [0, 1].map(() => new ThreadStats().block(CLUSTER_STATS, 'cluster.backend.'));
  const [first, second] = stats.map(
    (block, lane) => new SharedCircuitBreaker(limits, 'default', slot, lane, new SharedCells(main.chunks), block),
  );
  return { main, slot, stats, first: first!, second: second! };
}

describe('SharedCircuitBreaker', () => {
  test('a limit holds across workers', () => {
    const { first, second } = twoWorkers(thresholds({ maxRequests: 3 }));
    expect([first.tryRequest(), second.tryRequest(), first.tryRequest()]).toEqual([true, true, true]);
    expect(second.tryRequest()).toBe(false);
    first.releaseRequest();
    expect(second.tryRequest()).toBe(true);
  });

  test('connections, pending requests, requests and retries are counted apart, and priorities too', () => {
    const { main, slot, first, stats } = twoWorkers(thresholds({ maxConnections: 1, maxPendingRequests: 1 }));
    const high = new SharedCircuitBreaker(thresholds(), 'high', slot, 0, main, stats[0]!);
    expect([first.tryConnection(), first.tryPending(), first.tryRequest(), first.tryRetry()]).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect([first.tryConnection(), first.tryPending(), high.tryConnection()]).toEqual([false, false, true]);
    first.forceConnection();
    expect(readBreaker(main, slot, 'default')).toEqual({ connections: 2, pendingRequests: 1, requests: 1, retries: 1 });
    expect(readBreaker(main, slot, 'high').connections).toBe(1);
  });

  test('drops are counted over all workers, and stay when one dies', () => {
    const { main, slot, first } = twoWorkers(thresholds());
    first.tryRequest();
    countDrop(new SharedCells(main.chunks), slot, false);
    countDrop(main, slot, true);
    settleClusterLane(main, slot, 0);
    expect(readDrops(main, slot)).toEqual({ total: 2, overload: 1 });
    expect(readBreaker(main, slot, 'default')).toEqual({ connections: 0, pendingRequests: 0, requests: 0, retries: 0 });
  });

  test('what a dead worker held is given back, the rest stays', () => {
    const { main, slot, first, second } = twoWorkers(thresholds({ maxRequests: 4 }));
    first.tryRequest();
    first.tryRequest();
    first.tryConnection();
    second.tryRequest();
    settleClusterLane(main, slot, 0);
    expect(readBreaker(main, slot, 'default')).toEqual({ connections: 0, pendingRequests: 0, requests: 1, retries: 0 });
    second.releaseRequest();
    expect(readBreaker(main, slot, 'default').requests).toBe(0);
  });

  test('max_retries, and a retry too many is counted', () => {
    const { first, second, stats } = twoWorkers(thresholds({ maxRetries: 1 }));
    expect([first.tryRetry(), second.tryRetry()]).toEqual([true, false]);
    expect(stats[1]!.get(CLUSTER_STATS.at.upstream_rq_retry_overflow)).toBe(1);
  });

  test('a retry budget is a share of the requests on all workers, with a minimum', () => {
    const budget = { budgetPercent: 25, minRetryConcurrency: 1 };
    const { first, second } = twoWorkers(thresholds({ maxRetries: 0, retryBudget: budget }));
    expect([first.tryRetry(), first.tryRetry()]).toEqual([true, false]);
    for (let i = 0; i < 7; i++) second.tryRequest();
    second.tryPending();
    // 25 % of 8 = 2, one is taken.
    expect([first.tryRetry(), first.tryRetry()]).toEqual([true, false]);
  });
});
