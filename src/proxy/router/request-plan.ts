import type { HeaderMap } from '../http/headers.ts';
import type { RoutedStream } from '../http/request-sink.ts';
import type { Cluster } from '../upstream/upstream.ts';
import { ensureScheme, takeHeader, takeHedging } from './request-controls.ts';
import type { ForwardAction, Route } from './route.ts';
import type { RouterConfig } from './router-config.ts';
import { isGrpcRequest, parseUnsigned, requestTimeouts, setTimeoutHeaders, type RequestTimeouts } from './timeouts.ts';

/** What route and headers decide about all attempts of one request. */
export interface RequestPlan {
  readonly timeouts: RequestTimeouts;
  readonly grpc: boolean;
  /** A per-try timeout starts another attempt and lets the first go on. */
  readonly hedging: boolean;
  /** 204 for `x-envoy-upstream-rq-timeout-alt-response`. */
  readonly timeoutStatus: 504 | 204;
  /** Of one attempt; 0 = none. */
  readonly maxStreamDurationMs: number;
}

/**
 * Makes the plan and turns the request's headers into those that go upstream. The order of the steps is Envoy's, since
 * it shows in the order of the headers. `controls`: the request has some x-envoy header.
 */
export function planRequest(
  stream: RoutedStream,
  config: RouterConfig,
  route: Route,
  action: ForwardAction,
  cluster: Cluster,
  headers: HeaderMap,
  controls: boolean,
): RequestPlan {
  const { suppressEnvoyHeaders, respectExpectedRqTimeout } = config.options;
  const { info } = stream;
  const grpc = isGrpcRequest(headers);
  const hedging = controls ? takeHedging(headers, action.hedgeOnPerTryTimeout) : action.hedgeOnPerTryTimeout;
  const timeouts = requestTimeouts(action, headers, controls, grpc, respectExpectedRqTimeout);
  setTimeoutHeaders(0, timeouts, action, headers, !suppressEnvoyHeaders, grpc, hedging);
  let timeoutStatus: 504 | 204 = 504;
  let { maxStreamDurationMs } = cluster.model;
  if (controls) {
    const duration = takeHeader(headers, 'x-envoy-upstream-stream-duration-ms');
    if (duration !== undefined) maxStreamDurationMs = parseUnsigned(duration) ?? maxStreamDurationMs;
    if (takeHeader(headers, 'x-envoy-upstream-rq-timeout-alt-response') !== undefined) timeoutStatus = 204;
  }
  if (route.virtualHost.includeAttemptCountInRequest) headers.set('x-envoy-attempt-count', '1');
  route.finalizeRequest(headers, info, !suppressEnvoyHeaders);
  ensureScheme(headers, info.connection.tls !== undefined);
  return { timeouts, grpc, hedging, timeoutStatus, maxStreamDurationMs };
}
