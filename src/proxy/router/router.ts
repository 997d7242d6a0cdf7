import { ResponseFlag } from '../../filters/response-flags.ts';
import { Timer, type TimerTask } from '../../lib/timer-wheel.ts';
import type { StreamResetReason } from '../codec/codec.ts';
import type { HeaderMap } from '../http/headers.ts';
import type { RequestSink, RoutedStream, RouterLocalReply } from '../http/request-sink.ts';
import { PROXY_ERRORS } from '../proxy-error.ts';
import { CLUSTER_STATS } from '../upstream/cluster-stats.ts';
import type { Cluster } from '../upstream/upstream.ts';
import { isTunnel } from '../http/upgrade.ts';
import { Attempt, type AttemptOwner, type AttemptTimeout } from './attempt.ts';
import { Attempts } from './attempts.ts';
import { redirectInternally } from './internal-redirect.ts';
import type { CookieMaker } from './hash-policy.ts';
import { Mirrors } from './mirror.ts';
import { chargeAbort, countTimeout, judgeAnswer, judgeEnd } from './host-outcome.ts';
import { RequestFeed } from './request-feed.ts';
import { findInvalidControl, hasEnvoyHeader, takeHeader } from './request-controls.ts';
import { planRequest, type RequestPlan } from './request-plan.ts';
import { ResponseFlow } from './response-flow.ts';
import { RetryState, type RetryOutcome, type RetryOwner } from './retry-state.ts';
import { updateAuthority } from './route-rewrite.ts';
import type { ConnectModel, ForwardAction, Route, VirtualCluster } from './route.ts';
import type { RouterConfig } from './router-config.ts';
import { directReply, invalidControlReply, resetStatus, upstreamResetReply } from './router-replies.ts';
import { ROUTE_STATS, ROUTER_STATS } from './router-stats.ts';
import { setTimeoutHeaders, type RequestTimeouts } from './timeouts.ts';
import { recordTimeoutBudget } from './tracked-stats.ts';
import {
  chargeCode,
  chargeDrop,
  chargeRetriedCode,
  chargeTime,
  countDrop,
  isCanary,
  type ChargedRequest,
} from './upstream-charges.ts';

const AT = CLUSTER_STATS.at;
const ROUTER = ROUTER_STATS.at;
const ROUTE = ROUTE_STATS.at;
const NO_MAINTENANCE = { numerator: 0, denominator: 100 };

const createRouter = (stream: RoutedStream, config: RouterConfig): RequestSink => new Router(stream, config);

/**
 * The end of the filter chain for one request (Envoy's router filter): finds the cluster, makes attempts until one
 * answers or none may, and passes the answer on. It is over when it has handed on the whole response, has answered
 * itself, or is destroyed by its stream.
 */
export class Router implements RequestSink, AttemptOwner, RetryOwner, TimerTask, ChargedRequest, CookieMaker {
  readonly config: RouterConfig;
  readonly internal: boolean;
  alternateStatName = '';
  codesExcluded = false;
  virtualCluster: VirtualCluster | undefined = undefined;

  readonly #stream: RoutedStream;
  #route: Route | undefined = undefined;
  #action: ForwardAction | undefined = undefined;
  #cluster: Cluster | undefined = undefined;
  #plan: RequestPlan | undefined = undefined;

  readonly #attempts: Attempts;
  #attemptCount = 0;
  #retry: RetryState | undefined = undefined;
  readonly #feed: RequestFeed;
  readonly #flow = new ResponseFlow();
  /** set-cookie fields that the hash policy wants the response to have. */
  #cookies: string[] | undefined = undefined;
  #responseStarted = false;
  #over = false;
  /** The global timeout. */
  #timer: Timer | undefined = undefined;

  constructor(stream: RoutedStream, config: RouterConfig) {
    this.#stream = stream;
    this.config = config;
    this.internal = stream.internalRequest;
    this.#attempts = new Attempts(stream.requestHeaders);
    const { route } = stream;
    const limit = route?.action.kind === 'forward' ? route.action.requestBufferLimitBytes : undefined;
    // The stream's limit 0 is no limit.
    this.#feed = new RequestFeed(stream, this.#attempts, Math.min(stream.bufferLimit || Infinity, limit ?? Infinity));
  }

  get route(): Route {
    return this.#route!;
  }

  get cluster(): Cluster {
    return this.#cluster!;
  }

  get requestEnded(): boolean {
    return this.#feed.ended;
  }

  get timeouts(): RequestTimeouts {
    return this.#plan!.timeouts;
  }

  get hash(): bigint | undefined {
    const { requestHeaders, info } = this.#stream;
    return this.#action!.hashPolicy?.hash(requestHeaders, info, this);
  }

  addCookie(setCookie: string): void {
    // Each attempt asks anew.
    if (this.#cookies?.includes(setCookie) !== true) (this.#cookies ??= []).push(setCookie);
  }

  // ---- the request -----------------------------------------------------------------------------------------------

  onHeaders(headers: HeaderMap, endStream: boolean): void {
    const { stats, worker, options } = this.config;
    const { route, info } = this.#stream;
    stats.inc(ROUTER.rq_total);
    if (route === undefined) {
      stats.inc(ROUTER.no_route);
      return this.#reply(PROXY_ERRORS.routeNotFound);
    }
    this.#route = route;
    const { action } = route;
    if (action.kind === 'redirect' || action.kind === 'direct-response') {
      stats.inc(ROUTER.rq_direct_response);
      return this.#reply(directReply(action, headers, !options.suppressEnvoyHeaders));
    }
    const cluster = action.kind === 'forward' ? worker.clusters.get(action.clusterName) : undefined;
    if (cluster === undefined || action.kind !== 'forward') {
      stats.inc(ROUTER.no_cluster);
      const status = action.kind === 'forward' ? action.clusterNotFoundStatus : PROXY_ERRORS.clusterNotFound.status;
      return this.#reply({ ...PROXY_ERRORS.clusterNotFound, status });
    }
    this.#action = action;
    this.#cluster = cluster;
    info.upstreamCluster = cluster.name;
    info.upstreamClusterObservable = cluster.model.altStatName;
    info.upstreamClusterMetadata = cluster.model.metadata;
    this.virtualCluster = route.virtualHost.virtualCluster(headers);
    if (this.virtualCluster !== undefined) info.virtualClusterName = this.virtualCluster.name;

    const controls = hasEnvoyHeader(headers);
    const refusal = this.#refusal(headers, controls);
    if (refusal !== undefined) return this.#reply(refusal);
    const plan = planRequest(this.#stream, this.config, route, action, cluster, headers, controls);
    this.#plan = plan;
    this.#attempts.perTryTimeoutMs = plan.timeouts.perTryMs;
    this.codesExcluded = plan.grpc && options.suppressGrpcRequestFailureCodeStats;
    const policy = action.retry === undefined ? undefined : this.config.retryPolicy(action.retry);
    this.#retry = RetryState.create(this, policy, headers, controls);
    this.#attemptCount = info.attemptCount = 1;
    if (action.mirrors.length > 0 && headers.method !== 'CONNECT') {
      const { globalMs } = plan.timeouts;
      this.#feed.mirrors = Mirrors.of(this.#stream, this.config, action.mirrors, headers, globalMs, createRouter);
    }
    if (!this.#attempt(endStream)) return;
    this.#feed.mirrors?.sendHeaders(endStream);
    // An upgrade's request has no end; what is timed is its handshake.
    if (endStream) this.#endRequest();
    else if (headers.protocol !== '') this.#armTimeout();
  }

  /** What keeps a request from its cluster at once. */
  #refusal(headers: HeaderMap, controls: boolean): RouterLocalReply | undefined {
    const { options, worker } = this.config;
    if (controls) {
      const invalid = findInvalidControl(headers, options.strictCheckHeaders);
      if (invalid !== undefined) return invalidControlReply(headers, invalid);
      this.alternateStatName = takeHeader(headers, 'x-envoy-upstream-alt-stat-name') ?? '';
    }
    const cluster = this.#cluster!;
    const key = this.config.maintenanceKey(cluster);
    if (!worker.runtime.featureEnabled(key, NO_MAINTENANCE, worker.random.below(100)))
      return cluster.dropOverload > 0 ? this.#dropOverload(cluster.dropOverload) : undefined;
    chargeDrop(this, PROXY_ERRORS.maintenanceMode.status, false);
    cluster.stats.inc(AT.upstream_rq_maintenance_mode);
    return { ...PROXY_ERRORS.maintenanceMode, headers: this.#replyHeaders(true) };
  }

  /** The control plane wants this share of the requests refused. */
  #dropOverload(share: number): RouterLocalReply | undefined {
    const all = share >= 1;
    if (!all && this.config.worker.random.unit() >= share) return undefined;
    const entry = all ? PROXY_ERRORS.unconditionalDropOverload : PROXY_ERRORS.dropOverload;
    chargeDrop(this, entry.status, true);
    const name = all ? 'x-envoy-unconditional-drop-overload' : 'x-envoy-drop-overload';
    const headers: (readonly [string, string])[] = this.config.options.suppressEnvoyHeaders ? [] : [[name, 'true']];
    return { ...entry, headers: [...headers, ...this.#replyHeaders(false)] };
  }

  /** Starts the next attempt. False: there was no host, and the request is answered. */
  #attempt(headersOnly: boolean): boolean {
    const { metadataMatch, priority } = this.#action!;
    const { requestHeaders, info } = this.#stream;
    const cluster = this.#cluster!;
    const avoid = this.#attemptCount > 1 ? this.#retry : undefined;
    const attempt = new Attempt(this, this.#stream, cluster, metadataMatch, avoid, headersOnly);
    const transport = this.config.transportOptions.of(cluster.model, requestHeaders, info);
    if (!attempt.pick(priority, transport, this.#connect)) {
      this.#noHealthyUpstream();
      return false;
    }
    this.#attempts.add(attempt);
    attempt.connect();
    return true;
  }

  /** Set: the request ends here, and its payload goes on over a TCP connection. */
  get #connect(): ConnectModel | undefined {
    const { connect } = this.#action!;
    if (connect === undefined) return undefined;
    const { method } = this.#stream.requestHeaders;
    return method === 'CONNECT' || (connect.allowPost && method === 'POST') ? connect : undefined;
  }

  #noHealthyUpstream(): void {
    const entry = PROXY_ERRORS.noHealthyUpstream;
    chargeCode(this, entry.status, undefined, undefined);
    this.#reply({ ...entry, headers: this.#replyHeaders(false) });
  }

  onData(chunk: Buffer, endStream: boolean): void {
    if (this.#over) return;
    if (this.#keepsBody && !this.#feed.hasRoomFor(chunk)) this.#abandonBody();
    if (this.#over) return;
    this.#feed.data(chunk, endStream, this.#keepsBody);
    if (endStream) this.#endRequest();
  }

  onTrailers(trailers: HeaderMap): void {
    if (this.#over) return;
    this.#feed.trailers(trailers);
    this.#endRequest();
  }

  /** A retry or a redirect may have to send the body again. */
  get #keepsBody(): boolean {
    if (this.#feed.overflowed || this.#responseStarted) return false;
    return (this.#retry !== undefined && this.#retry.enabled) || this.#action!.internalRedirect !== undefined;
  }

  /** The body is too long to be kept: there will be no retry. */
  #abandonBody(): void {
    this.#cluster!.stats.inc(AT.retry_or_shadow_abandoned);
    this.#dropRetry();
    this.#feed.overflowed = true;
    this.#feed.forget();
    // A retry was waiting for its turn, so there is nowhere to send the body to.
    if (this.#attempts.isEmpty)
      this.#reply({ ...PROXY_ERRORS.retryBufferExceeded, headers: this.#replyHeaders(false) });
  }

  #endRequest(): void {
    this.#feed.end(this.config.worker.dispatcher.now);
    // As in Envoy: a request that ends while a retry is waiting has no global timeout.
    if (this.#attempts.isEmpty) return;
    this.#armTimeout();
    this.#attempts.armTryTimers();
  }

  #armTimeout(): void {
    const { globalMs } = this.timeouts;
    if (globalMs <= 0 || this.#timer !== undefined) return;
    this.#timer = new Timer(this);
    this.config.worker.dispatcher.arm(this.#timer, globalMs);
  }

  // ---- from attempts ---------------------------------------------------------------------------------------------

  attemptReady(attempt: Attempt): void {
    const headers = this.#stream.requestHeaders;
    const { autoHostRewrite, appendXForwardedHost } = this.#action!;
    const { maxStreamDurationMs } = this.#plan!;
    const host = attempt.host!;
    this.#retry?.onHostAttempted(host);
    this.virtualCluster?.stats.inc(ROUTE.upstream_rq_total);
    this.#route!.stats?.inc(ROUTE.upstream_rq_total);
    const upgrade = asksForTunnel(headers);
    if (this.requestEnded || upgrade) attempt.armTryTimers();
    if (maxStreamDurationMs > 0) attempt.armMaxDuration(maxStreamDurationMs);
    if (autoHostRewrite && host.hostname !== '')
      updateAuthority(headers, host.hostname, appendXForwardedHost, !this.config.options.suppressEnvoyHeaders);
    if (this.config.schemeMatchUpstream)
      headers.scheme = attempt.stream!.connection.tls === undefined ? 'http' : 'https';
    attempt.payloadHeld = upgrade && !attempt.headersOnly;
    attempt.sendHeaders(headers);
    if (!attempt.payloadHeld) this.#feed.flush(attempt, this.#keepsBody);
  }

  attemptInformational(attempt: Attempt, headers: HeaderMap): void {
    chargeCode(this, headers.status, headers, attempt.host);
    this.#settleOn(attempt);
    // The client has heard from this upstream; no other one may answer now.
    this.#dropRetry();
    this.#stream.sendInformational(headers);
  }

  attemptHeaders(attempt: Attempt, headers: HeaderMap, endStream: boolean): void {
    const { config } = this;
    const stream = this.#stream;
    const host = attempt.host!;
    if (headers.has('x-envoy-immediate-health-check-fail')) host.failHealthCheck();
    if (attempt.payloadHeld && this.#failsHandshake(headers)) return;
    if (this.#retry !== undefined && this.#retryHeaders(attempt, headers)) return;
    if (this.#redirect(headers)) return;
    this.#dropRetry();
    if (this.#feed.ended && !config.options.suppressEnvoyHeaders) {
      const ms = Math.trunc(config.worker.dispatcher.now - this.#feed.endMs);
      headers.set('x-envoy-upstream-service-time', String(ms));
    }
    attempt.canary = isCanary(headers, host);
    chargeCode(this, headers.status, headers, host);
    if (headers.status < 500) judgeAnswer(attempt, headers, endStream, this.#plan!.grpc);
    stream.info.responseCodeDetails = 'via_upstream';
    stream.info.responseCode = headers.status;
    if (this.#cookies !== undefined) for (const cookie of this.#cookies) headers.append('set-cookie', cookie);
    this.#route!.finalizeResponse(headers, stream.requestHeaders, stream.info);
    if (this.#route!.virtualHost.includeAttemptCountInResponse)
      headers.set('x-envoy-attempt-count', String(this.#attemptCount));
    this.#settleOn(attempt);
    if (attempt.payloadHeld && isTunnel(stream.requestHeaders.method, headers.status)) this.#openTunnel(attempt);
    if (endStream) this.#finish(attempt);
    stream.sendHeaders(headers, endStream);
  }

  /** The upstream agreed: the payload starts, and may last. */
  #openTunnel(attempt: Attempt): void {
    attempt.disarmTryTimers();
    if (this.#timer !== undefined) this.config.worker.dispatcher.disarm(this.#timer);
    attempt.payloadHeld = false;
    this.#feed.flush(attempt, false);
  }

  /** A WebSocket handshake was answered with neither consent nor an error; the client gets the status alone. */
  #failsHandshake(headers: HeaderMap): boolean {
    const { status } = headers;
    if (status === 101 || status >= 400) return false;
    if (this.#stream.requestHeaders.protocol.toLowerCase() !== 'websocket') return false;
    this.#reply({ ...PROXY_ERRORS.websocketHandshakeUnsuccessful, status, headers: [...headers.entries()] });
    return true;
  }

  attemptData(attempt: Attempt, chunk: Buffer, endStream: boolean): void {
    if (endStream) {
      judgeEnd(attempt, undefined);
      this.#finish(attempt);
    }
    this.#stream.sendData(chunk, endStream);
  }

  attemptTrailers(attempt: Attempt, trailers: HeaderMap): void {
    judgeEnd(attempt, trailers);
    this.#finish(attempt);
    this.#stream.sendTrailers(trailers);
  }

  attemptReset(attempt: Attempt, reason: StreamResetReason, transportFailure: string): void {
    if (attempt.stream === undefined && attempt.host !== undefined) this.#retry?.onHostAttempted(attempt.host);
    if (this.#retryReset(attempt, reason, false)) return;
    chargeAbort(this, attempt, resetStatus(reason), this.#responseStarted);
    if (reason === 'overflow') countDrop(this, false);
    this.#attempts.drop(attempt);
    if (this.#othersMayAnswer) return;
    const reply = upstreamResetReply(reason, transportFailure, this.#responseStarted, this.#attemptCount > 1);
    this.#reply({ ...reply, headers: this.#replyHeaders(reason === 'overflow') });
  }

  attemptTimedOut(attempt: Attempt, which: AttemptTimeout): void {
    const { stats } = this.#cluster!;
    if (which === 'max-stream-duration') {
      stats.inc(AT.upstream_rq_max_duration_reached);
      attempt.abort();
      if (this.#retryReset(attempt, 'local reset', false)) return;
      const status = this.requestEnded ? PROXY_ERRORS.maxStreamDuration.status : 408;
      return this.#reply({ ...PROXY_ERRORS.maxStreamDuration, status, headers: this.#replyHeaders(false) });
    }
    // Once something went to the client, the global timeout alone counts.
    if (which === 'per-try' && this.#responseStarted) return;
    if (this.#plan!.hedging) return this.#hedge(attempt);
    stats.inc(which === 'per-try' ? AT.upstream_rq_per_try_timeout : AT.upstream_rq_per_try_idle_timeout);
    attempt.host?.requestTimedOut();
    attempt.abort();
    if (this.#retryReset(attempt, 'local reset', true)) return;
    chargeAbort(this, attempt, this.#plan!.timeoutStatus, this.#responseStarted);
    this.#attempts.drop(attempt);
    this.#timeOut(which === 'per-try' ? PROXY_ERRORS.perTryTimeout : PROXY_ERRORS.perTryIdleTimeout);
  }

  // ---- retries ---------------------------------------------------------------------------------------------------

  /** True: this response isn't the one for the client, since a retry follows or another attempt may do better. */
  #retryHeaders(attempt: Attempt, headers: HeaderMap): boolean {
    const retry = this.#retry!;
    if (attempt.retried) {
      if (!retry.wouldRetryHeaders(headers)) return false;
    } else {
      const outcome = retry.shouldRetryHeaders(headers);
      if (outcome === 'yes') {
        this.#giveUp(attempt);
        chargeRetriedCode(this, headers.status);
        return true;
      }
      if (!this.#flagUnretried(outcome)) return false;
    }
    if (!this.#othersMayAnswer) return false;
    this.#giveUp(attempt);
    return true;
  }

  /** Has a failed attempt tried again, if policy and limits allow. */
  #retryReset(attempt: Attempt, reason: StreamResetReason, timeout: boolean): boolean {
    if (this.#responseStarted || this.#retry === undefined || attempt.retried) return false;
    const outcome = this.#retry.shouldRetryReset(reason, attempt.stream !== undefined, timeout);
    if (outcome === 'yes') {
      this.#giveUp(attempt);
      return true;
    }
    this.#flagUnretried(outcome);
    return false;
  }

  /** What the attempt brought isn't for the client. */
  #giveUp(attempt: Attempt): void {
    attempt.host?.requestEnded(false);
    this.#attempts.drop(attempt);
  }

  /** The attempt is late: starts another one and lets it go on. */
  #hedge(attempt: Attempt): void {
    if (this.#responseStarted || this.#retry === undefined) return;
    const outcome = this.#retry.shouldHedge();
    if (outcome === 'yes') attempt.retried = true;
    else this.#flagUnretried(outcome);
  }

  /** True: a retry was due but couldn't be made. */
  #flagUnretried(outcome: RetryOutcome): boolean {
    if (outcome === 'overflow') this.#stream.info.setFlag(ResponseFlag.UO);
    else if (outcome === 'limit') this.#stream.info.setFlag(ResponseFlag.URX);
    else return false;
    return true;
  }

  onRetry(): void {
    if (this.#over) return;
    try {
      this.#startRetry();
    } catch (error) {
      this.#stream.fail(error);
    }
  }

  #startRetry(): void {
    const headers = this.#stream.requestHeaders;
    const { includeAttemptCountInRequest, includeIsTimeoutRetryHeader } = this.#route!.virtualHost;
    const { timeouts, grpc, hedging } = this.#plan!;
    this.#attemptCount++;
    this.#stream.info.attemptCount = this.#attemptCount;
    // It may have gone, or be another one by now.
    const cluster = this.config.worker.clusters.get(this.#action!.clusterName);
    if (cluster === undefined) return this.#noHealthyUpstream();
    this.#cluster = cluster;
    if (includeAttemptCountInRequest) headers.set('x-envoy-attempt-count', String(this.#attemptCount));
    if (includeIsTimeoutRetryHeader) headers.set('x-envoy-is-timeout-retry', String(this.#retry?.afterTimeout));
    const elapsedMs = this.#feed.ended ? this.config.worker.dispatcher.now - this.#feed.endMs : 0;
    const insert = !this.config.options.suppressEnvoyHeaders;
    setTimeoutHeaders(elapsedMs, timeouts, this.#action!, headers, insert, grpc, hedging);
    this.#attempt(this.#feed.isBare);
  }

  /** Some other attempt is still waiting for its answer, or about to start. */
  get #othersMayAnswer(): boolean {
    return this.#retry?.pending === true || this.#attempts.awaitsHeaders;
  }

  /** The proxy follows a redirect itself: this response is no answer, and the stream starts over. */
  #redirect(headers: HeaderMap): boolean {
    const policy = this.#action!.internalRedirect;
    if (policy === undefined || !policy.redirectResponseCodes.includes(headers.status)) return false;
    const { stats } = this.#cluster!;
    const redirected = redirectInternally(this.#stream, policy, this.#route!.name, headers, this.#feed, this.config);
    stats.inc(redirected ? AT.upstream_internal_redirect_succeeded_total : AT.upstream_internal_redirect_failed_total);
    return redirected;
  }

  // ---- the response ----------------------------------------------------------------------------------------------

  pauseResponse(): void {
    this.#flow.pause();
  }

  resumeResponse(): void {
    this.#flow.resume();
  }

  /** This attempt answers; the others are given up. */
  #settleOn(attempt: Attempt): void {
    this.#attempts.dropOthers(attempt);
    attempt.publish(this.#stream.info);
    this.#responseStarted = true;
    this.#feed.forget();
    this.#flow.begin(attempt);
  }

  /** The upstream is done. If the request isn't, the rest of it has nobody to go to. */
  #finish(attempt: Attempt): void {
    if (this.#feed.ended) {
      const ms = this.config.worker.dispatcher.now - this.#feed.endMs;
      recordTimeoutBudget(this.#cluster!, ms, this.timeouts.globalMs);
      chargeTime(this, ms, attempt.canary, attempt.host);
    }
    this.destroy();
  }

  // ---- the end ---------------------------------------------------------------------------------------------------

  /** The global timeout is up. */
  onTimer(): void {
    if (this.#over) return;
    try {
      this.#onTimeout();
    } catch (error) {
      this.#stream.fail(error);
    }
  }

  #onTimeout(): void {
    const attempts = this.#attempts;
    for (let attempt = attempts.takeNewest(); attempt !== undefined; attempt = attempts.takeNewest()) {
      countTimeout(this, attempt);
      const waiting = attempt.awaitingHeaders;
      if (waiting) chargeAbort(this, attempt, this.#plan!.timeoutStatus, this.#responseStarted);
      attempts.end(attempt, !waiting);
    }
    this.#timeOut(PROXY_ERRORS.upstreamTimeout);
  }

  #timeOut(error: RouterLocalReply): void {
    const { now } = this.config.worker.dispatcher;
    if (this.#feed.ended) recordTimeoutBudget(this.#cluster!, now - this.#feed.endMs, this.timeouts.globalMs);
    const status = this.#plan!.timeoutStatus;
    this.#reply({ ...error, status, body: status === 504 ? error.body : '', headers: this.#replyHeaders(false) });
  }

  #replyHeaders(overloaded: boolean): readonly (readonly [string, string])[] {
    const headers: [string, string][] = [];
    if (overloaded && !this.config.options.suppressEnvoyHeaders) headers.push(['x-envoy-overloaded', 'true']);
    if (this.#attemptCount > 0 && this.#route!.virtualHost.includeAttemptCountInResponse)
      headers.push(['x-envoy-attempt-count', String(this.#attemptCount)]);
    return headers;
  }

  /** Answers for the upstream; the stream resets itself instead where an answer has begun. */
  #reply(reply: RouterLocalReply): void {
    this.destroy();
    this.#stream.sendLocalReply(reply);
  }

  #dropRetry(): void {
    this.#retry?.dispose();
    this.#retry = undefined;
  }

  /** Ends everything; from then on no event has an effect. Idempotent. */
  destroy(): void {
    if (this.#over) return;
    this.#over = true;
    this.#attempts.dropOthers(undefined);
    this.#dropRetry();
    if (this.#timer !== undefined) this.config.worker.dispatcher.disarm(this.#timer);
    this.#feed.close();
  }
}

/** An upgrade or CONNECT: what comes behind its headers is payload of what they ask for. */
function asksForTunnel(headers: HeaderMap): boolean {
  return headers.protocol !== '' || headers.method === 'CONNECT';
}
