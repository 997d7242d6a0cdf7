import type { HeaderMap } from '../http/headers.ts';
import { TRACKED_STATS } from '../upstream/cluster-stats.ts';
import type { Cluster } from '../upstream/upstream.ts';
import type { Attempt } from './attempt.ts';

const AT = TRACKED_STATS.at;

/** Hundredths of `timeoutMs` that `ms` are; of no timeout nothing is ever used. */
const percent = (ms: number, timeoutMs: number): number => (timeoutMs === 0 ? 0 : Math.trunc((ms * 100) / timeoutMs));

/** Records how much of the global timeout a request used, where the cluster tracks it. */
export function recordTimeoutBudget(cluster: Cluster, ms: number, timeoutMs: number): void {
  const stats = cluster.trackedStats;
  if (stats === undefined || !cluster.model.trackTimeoutBudgets) return;
  stats.record(AT.upstream_rq_timeout_budget_percent_used, percent(ms, timeoutMs));
}

/** Records what a cluster tracks of each attempt, when it is over. `budget`: its own timeout came into play. */
export function recordAttempt(attempt: Attempt, requestHeaders: HeaderMap, perTryMs: number, budget: boolean): void {
  const { cluster } = attempt;
  const stats = cluster.trackedStats;
  if (stats === undefined) return;
  if (budget && cluster.model.trackTimeoutBudgets)
    stats.record(AT.upstream_rq_timeout_budget_per_try_percent_used, percent(attempt.elapsedMs, perTryMs));
  if (!cluster.model.trackRequestResponseSizes) return;
  stats.record(AT.upstream_rq_headers_size, requestHeaders.byteSize());
  stats.record(AT.upstream_rq_headers_count, fieldCount(requestHeaders));
  stats.record(AT.upstream_rq_body_size, attempt.bodyBytesSent);
  if (attempt.responseHeadersBytes === -1) return;
  stats.record(AT.upstream_rs_headers_size, attempt.responseHeadersBytes);
  stats.record(AT.upstream_rs_headers_count, attempt.responseHeadersCount);
  stats.record(AT.upstream_rs_body_size, attempt.bodyBytesReceived);
}

/** Fields including the pseudo-header ones. */
function fieldCount(headers: HeaderMap): number {
  let count = headers.size;
  for (const value of [headers.method, headers.path, headers.authority, headers.scheme, headers.protocol])
    if (value !== '') count++;
  return count;
}
