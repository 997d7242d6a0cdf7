import { Timer, type TimerTask } from '../../lib/timer-wheel.ts';
import type { StatBlock } from '../../telemetry/stats/stats.ts';
import type { StreamResetReason } from '../codec/codec.ts';
import type { HeaderMap } from '../http/headers.ts';
import { CLUSTER_STATS } from '../upstream/cluster-stats.ts';
import type { CircuitBreaker, Host } from '../upstream/upstream.ts';
import type { WorkerContext } from '../worker-context.ts';
import { RetryHostPredicates } from './retry-host-predicates.ts';
import { ANY_GRPC, RetryOn, grpcStatusBit, parseRetryGrpcOn, parseRetryOn, type RetryPolicy } from './retry-policy.ts';
import { ROUTE_STATS } from './router-stats.ts';
import { parseUnsigned } from './timeouts.ts';
import type { ChargedRequest } from './upstream-charges.ts';

/** `overflow`: the retry breaker or budget is full; `limit`: no retries are left. */
export type RetryOutcome = 'yes' | 'no' | 'overflow' | 'limit';

export interface RetryOwner extends ChargedRequest {
  /** The back-off is over: make the next attempt. */
  onRetry(): void;
}

const CLUSTER = CLUSTER_STATS.at;
const ROUTE = ROUTE_STATS.at;
const ALWAYS = { numerator: 100, denominator: 100 };
const NONE: readonly number[] = [];

/** The names by which a request asks for retries itself; consumed, whether or not there is a policy. */
const RETRY_HEADERS = [
  'x-envoy-retry-on',
  'x-envoy-retry-grpc-on',
  'x-envoy-max-retries',
  'x-envoy-hedge-on-per-try-timeout',
  'x-envoy-retriable-header-names',
  'x-envoy-retriable-status-codes',
  'x-envoy-upstream-rq-per-try-timeout-ms',
] as const;

/** Decides and times the retries of one request. It holds one unit of the retry breaker from a retry to its outcome. */
export class RetryState implements TimerTask {
  readonly #owner: RetryOwner;
  readonly #worker: WorkerContext;
  readonly #cluster: StatBlock;
  readonly #breaker: CircuitBreaker;
  readonly #virtualCluster: StatBlock | undefined;
  readonly #route: StatBlock | undefined;
  readonly #policy: RetryPolicy | undefined;
  readonly #hosts: RetryHostPredicates | undefined;
  readonly #timer = new Timer(this);
  #retryOn: number;
  #remaining: number;
  #statusCodes: readonly number[] = NONE;
  #headerNames: readonly string[] | undefined = undefined;
  #nextBackOffMs: number;
  readonly #maxBackOffMs: number;
  /** From a rate-limited response: the least time to wait before the next retry. */
  #rateLimitedMs = 0;
  #held = false;
  #pending = false;
  #afterTimeout = false;

  private constructor(owner: RetryOwner, policy: RetryPolicy | undefined) {
    const { cluster, config, route } = owner;
    this.#owner = owner;
    this.#worker = config.worker;
    this.#cluster = cluster.stats;
    this.#breaker = cluster.breaker(route.action.kind === 'forward' ? route.action.priority : 'default');
    this.#virtualCluster = owner.virtualCluster?.stats;
    this.#route = route.stats;
    this.#policy = policy;
    this.#hosts = policy === undefined ? undefined : new RetryHostPredicates(policy);
    this.#retryOn = policy?.retryOn ?? 0;
    this.#remaining = policy?.model.numRetries ?? 1;
    this.#statusCodes = policy?.model.retriableStatusCodes ?? NONE;
    const configured = policy === undefined || policy.defaultBackOff ? undefined : policy.model;
    const base = configured?.backOffBaseMs ?? this.#worker.runtime.getNumber('upstream.base_retry_backoff_ms', 25);
    this.#nextBackOffMs = Math.max(1, base);
    this.#maxBackOffMs = Math.max(1, configured?.backOffMaxMs ?? base * 10);
  }

  /** Undefined: neither the route nor the request asks for retries. Consumes the request's retry headers. */
  static create(
    owner: RetryOwner,
    policy: RetryPolicy | undefined,
    headers: HeaderMap,
    controls: boolean,
  ): RetryState | undefined {
    let state: RetryState | undefined;
    const asks = controls && (headers.has('x-envoy-retry-on') || headers.has('x-envoy-retry-grpc-on'));
    if (asks || (policy !== undefined && policy.retryOn !== 0)) {
      state = new RetryState(owner, policy);
      state.#merge(headers, controls);
    }
    if (controls) for (const name of RETRY_HEADERS) headers.delete(name);
    return state;
  }

  /** False: the policy is there, but this request is not one to retry. */
  get enabled(): boolean {
    return this.#retryOn !== 0;
  }

  /** A back-off is under way. */
  get pending(): boolean {
    return this.#pending;
  }

  /** The retry that began last, or is about to, is for a per-try timeout. */
  get afterTimeout(): boolean {
    return this.#afterTimeout;
  }

  get hostSelectionAttempts(): number {
    return this.#policy?.model.hostSelectionMaxAttempts ?? 1;
  }

  rejectHost(host: Host): boolean {
    return this.#hosts !== undefined && this.#hosts.rejects(host);
  }

  onHostAttempted(host: Host): void {
    this.#hosts?.onHostAttempted(host);
  }

  /** A response came. `yes`: the back-off has begun and `onRetry` follows. */
  shouldRetryHeaders(headers: HeaderMap): RetryOutcome {
    const would = this.wouldRetryHeaders(headers);
    const limits = this.#policy?.model.rateLimited;
    if (would && limits !== undefined) {
      for (const { name, format } of limits.resetHeaders) {
        const ms = resetIntervalMs(headers.get(name), format, this.#worker.dispatcher.epochNow);
        if (ms === undefined || ms > limits.maxIntervalMs) continue;
        if (ms > 1) this.#rateLimitedMs = ms;
        break;
      }
    }
    return this.#shouldRetry(would, false);
  }

  /** The attempt failed. `started`: its request headers had been written. `timeout`: by a per-try timeout. */
  shouldRetryReset(reason: StreamResetReason, started: boolean, timeout: boolean): RetryOutcome {
    return this.#shouldRetry(this.#wouldRetryReset(reason, started), timeout);
  }

  /** A per-try timeout with hedging, which retries whatever the conditions. */
  shouldHedge(): RetryOutcome {
    return this.#shouldRetry(true, true);
  }

  wouldRetryHeaders(headers: HeaderMap): boolean {
    const on = this.#retryOn;
    // Another Envoy limits us: only who asked for that retries.
    if (headers.has('x-envoy-ratelimited')) return (on & RetryOn.EnvoyRateLimited) !== 0;
    const { status } = headers;
    if ((on & RetryOn.FiveXx) !== 0 && status >= 500 && status < 600) return true;
    if ((on & RetryOn.GatewayError) !== 0 && status >= 502 && status <= 504) return true;
    if ((on & RetryOn.Retriable4xx) !== 0 && status === 409) return true;
    if ((on & RetryOn.RetriableStatusCodes) !== 0 && this.#statusCodes.includes(status)) return true;
    if ((on & RetryOn.RetriableHeaders) !== 0 && this.#hasRetriableHeader(headers)) return true;
    if ((on & ANY_GRPC) !== 0) {
      const grpc = parseUnsigned(headers.get('grpc-status') ?? '');
      if (grpc !== undefined && (on & grpcStatusBit(grpc)) !== 0) return true;
    }
    return false;
  }

  #wouldRetryReset(reason: StreamResetReason, started: boolean): boolean {
    // The cluster is full; one more request doesn't help.
    if (reason === 'overflow') return false;
    const on = this.#retryOn;
    if ((on & (RetryOn.Reset | RetryOn.FiveXx | RetryOn.GatewayError)) !== 0) return true;
    if ((on & RetryOn.ResetBeforeRequest) !== 0 && !started) return true;
    if ((on & RetryOn.RefusedStream) !== 0 && reason === 'remote refused stream reset') return true;
    return (
      (on & RetryOn.ConnectFailure) !== 0 &&
      (reason === 'local connection failure' ||
        reason === 'remote connection failure' ||
        reason === 'connection timeout')
    );
  }

  #hasRetriableHeader(headers: HeaderMap): boolean {
    const matchers = this.#policy?.retriableHeaders;
    if (matchers !== undefined) for (const matcher of matchers) if (matcher.matches(headers)) return true;
    const names = this.#headerNames;
    if (names !== undefined) for (const name of names) if (headers.has(name)) return true;
    return false;
  }

  #shouldRetry(would: boolean, timeout: boolean): RetryOutcome {
    // A retry was made, and what it brought needs no other one.
    if (this.#held && !would) this.#count(CLUSTER.upstream_rq_retry_success, ROUTE.upstream_rq_retry_success);
    this.#release();
    if (!would) return 'no';
    if (this.#remaining === 0) {
      this.#count(CLUSTER.upstream_rq_retry_limit_exceeded, ROUTE.upstream_rq_retry_limit_exceeded);
      return 'limit';
    }
    this.#remaining--;
    const { dispatcher, random, runtime } = this.#worker;
    if (!this.#breaker.tryRetry()) {
      // The breaker counted it for the cluster.
      this.#virtualCluster?.inc(ROUTE.upstream_rq_retry_overflow);
      this.#route?.inc(ROUTE.upstream_rq_retry_overflow);
      return 'overflow';
    }
    if (!runtime.featureEnabled('upstream.use_retry', ALWAYS, random.below(100))) {
      this.#breaker.releaseRetry();
      return 'no';
    }
    this.#held = true;
    this.#pending = true;
    this.#afterTimeout = timeout;
    this.#count(CLUSTER.upstream_rq_retry, ROUTE.upstream_rq_retry);
    dispatcher.arm(this.#timer, this.#backOffMs());
    return 'yes';
  }

  /** Full jitter over a doubling interval; after a rate-limited response 1 to 1.5 times what it asked for. */
  #backOffMs(): number {
    const { random } = this.#worker;
    const limited = this.#rateLimitedMs;
    if (limited > 0) {
      this.#rateLimitedMs = 0;
      this.#cluster.inc(CLUSTER.upstream_rq_retry_backoff_ratelimited);
      return limited + random.below(Math.max(1, Math.trunc(limited / 2)));
    }
    this.#cluster.inc(CLUSTER.upstream_rq_retry_backoff_exponential);
    const interval = this.#nextBackOffMs;
    this.#nextBackOffMs = interval < this.#maxBackOffMs / 2 ? interval * 2 : this.#maxBackOffMs;
    return random.below(interval);
  }

  onTimer(): void {
    this.#pending = false;
    this.#owner.onRetry();
  }

  /** Stops a back-off and gives the breaker its unit back. Idempotent. */
  dispose(): void {
    this.#release();
  }

  #release(): void {
    if (!this.#held) return;
    this.#held = false;
    this.#pending = false;
    this.#worker.dispatcher.disarm(this.#timer);
    this.#breaker.releaseRetry();
  }

  #count(clusterOffset: number, routeOffset: number): void {
    this.#cluster.inc(clusterOffset);
    this.#virtualCluster?.inc(routeOffset);
    this.#route?.inc(routeOffset);
  }

  /** Adds what the request's own headers ask for. */
  #merge(headers: HeaderMap, controls: boolean): void {
    if (controls) {
      this.#retryOn |= parseRetryOn(headers.get('x-envoy-retry-on') ?? '').bits;
      this.#retryOn |= parseRetryGrpcOn(headers.get('x-envoy-retry-grpc-on') ?? '').bits;
    }
    const required = this.#policy?.retriableRequestHeaders;
    if (required !== undefined && required.length > 0 && !required.some((matcher) => matcher.matches(headers)))
      this.#retryOn = 0;
    if (!controls) return;
    if (this.#retryOn !== 0)
      this.#remaining = parseUnsigned(headers.get('x-envoy-max-retries') ?? '') ?? this.#remaining;
    const codes = headers.get('x-envoy-retriable-status-codes');
    if (codes !== undefined) {
      const parsed = codes.split(',').map(parseUnsigned);
      this.#statusCodes = [...this.#statusCodes, ...parsed.filter((code) => code !== undefined)];
    }
    const names = headers.get('x-envoy-retriable-header-names');
    if (names !== undefined) this.#headerNames = names.split(',').map((name) => name.trim().toLowerCase());
  }
}

/** When a rate-limited response says to come back, in ms from now; undefined: it doesn't. */
function resetIntervalMs(
  value: string | undefined,
  format: 'seconds' | 'unix-timestamp',
  epochMs: number,
): number | undefined {
  const seconds = value === undefined ? undefined : parseUnsigned(value);
  if (seconds === undefined) return undefined;
  if (format === 'seconds') return seconds * 1_000;
  const now = Math.trunc(epochMs / 1_000);
  return seconds < now ? undefined : (seconds - now) * 1_000;
}
