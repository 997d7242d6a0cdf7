import type { HeaderMap } from '../http/headers.ts';
import type { Attempt } from './attempt.ts';
import { ROUTE_STATS, ROUTER_STATS } from './router-stats.ts';
import { CLUSTER_STATS } from '../upstream/cluster-stats.ts';
import { parseUnsigned } from './timeouts.ts';
import { chargeCode, type ChargedRequest } from './upstream-charges.ts';

/** Success or failure of a host that answered below 500. For gRPC its status decides, which may be in the trailers. */
export function judgeAnswer(attempt: Attempt, headers: HeaderMap, endStream: boolean, grpc: boolean): void {
  if (!grpc) attempt.host!.requestEnded(true);
  else if (endStream) attempt.host!.requestEnded(grpcSucceeded(headers));
  else attempt.grpcOutcomePending = true;
}

/** The response is complete; `trailers` if it has any. gRPC without trailers has no status, and so has failed. */
export function judgeEnd(attempt: Attempt, trailers: HeaderMap | undefined): void {
  if (attempt.grpcOutcomePending) attempt.host!.requestEnded(trailers !== undefined && grpcSucceeded(trailers));
}

/** Counts an attempt that failed, for the client with `status` unless its response has begun. */
export function chargeAbort(request: ChargedRequest, attempt: Attempt, status: number, responseStarted: boolean): void {
  const { host } = attempt;
  if (!responseStarted) {
    chargeCode(request, status, undefined, host);
    // A client may have asked to be told 204; an error it is.
    if (status < 500) host?.requestEnded(false);
  } else if (attempt.grpcOutcomePending) {
    host?.requestEnded(false);
    request.config.stats.inc(ROUTER_STATS.at.rq_reset_after_downstream_response_started);
  }
}

/** Counts an attempt that the global timeout cuts off. */
export function countTimeout(request: ChargedRequest, attempt: Attempt): void {
  request.cluster.stats.inc(CLUSTER_STATS.at.upstream_rq_timeout);
  request.virtualCluster?.stats.inc(ROUTE_STATS.at.upstream_rq_timeout);
  request.route.stats?.inc(ROUTE_STATS.at.upstream_rq_timeout);
  attempt.host?.requestTimedOut();
}

/** A grpc-status is there and doesn't stand for a 5xx. */
function grpcSucceeded(headers: HeaderMap): boolean {
  const status = parseUnsigned(headers.get('grpc-status') ?? '');
  // UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS.
  return status !== undefined && ![2, 4, 12, 13, 14, 15].includes(status);
}
