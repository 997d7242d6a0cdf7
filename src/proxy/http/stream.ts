import type { HttpFilter, LocalReply } from '../../filters/http/filter.ts';
import { ResponseFlag } from '../../filters/response-flags.ts';
import { Timer, type TimerTask } from '../../lib/timer-wheel.ts';
import { wireText } from '../../lib/wire-text.ts';
import { HTTP_STATS } from '../../telemetry/stats/http-stats.ts';
import type { FormatContext } from '../../telemetry/access-log/access-log.ts';
import type { CodecError, ServerStream, ServerStreamEvents, StreamResetReason } from '../codec/codec.ts';
import { reasonPhrase } from '../codec/h1/reason-phrase.ts';
import { PROXY_ERRORS } from '../proxy-error.ts';
import { Router } from '../router/router.ts';
import type { Route, RouteTable } from '../router/route.ts';
import { streamDuration } from '../router/timeouts.ts';
import type { WorkerContext } from '../worker-context.ts';
import type { ConnectionManager } from './connection-manager.ts';
import type { ConnectionManagerConfig } from './connection-manager-config.ts';
import type { CompiledFilter } from './compiled-filter.ts';
import { FilterPass, type Direction, type PassOwner } from './filter-pass.ts';
import { FilterStream } from './filter-stream.ts';
import { HeaderMap } from './headers.ts';
import { isGrpc } from './normalize.ts';
import type { RequestSink, RoutedStream, RouterLocalReply, RouterOptions } from './request-sink.ts';
import { MutableStreamInfo } from './stream-info.ts';
import { isTunnel, upgradeType } from './upgrade.ts';

const AT = HTTP_STATS.at;
/** A gRPC status. */
const DEADLINE_EXCEEDED = 4;
const CONTINUE = new HeaderMap();
CONTINUE.status = 100;

/**
 * One downstream request and its response: the meeting point of codec, filters and router (Envoy's ActiveStream).
 * It lives from the first byte of the request until the response is out, the client is gone or a timeout ended it;
 * `#finish` runs exactly once, however that was.
 */
export class HttpStream implements ServerStreamEvents, RoutedStream, PassOwner, TimerTask, FormatContext {
  readonly worker: WorkerContext;
  info: MutableStreamInfo;
  requestHeaders: HeaderMap = new HeaderMap();
  responseHeaders: HeaderMap | undefined = undefined;
  responseTrailers: HeaderMap | undefined = undefined;
  localReplyBody = '';
  accessLogType = 'NotSet';
  route: Route | undefined = undefined;
  internalRequest = false;
  isGrpcRequest: boolean | undefined = undefined;
  overrideHost: string | undefined = undefined;
  overrideHostStrict = false;
  bufferLimit: number;

  readonly #config: ConnectionManagerConfig;
  readonly #connection: ConnectionManager;
  readonly #handle: ServerStream;
  readonly #routes: RouteTable | undefined;
  readonly #randomValue: number;
  #filters: HttpFilter[] = [];
  #requestPass: FilterPass | undefined = undefined;
  #responsePass: FilterPass | undefined = undefined;
  #router: RequestSink | undefined = undefined;
  #routeResolved = false;
  #requestEnded = false;
  /** Response headers went to the codec. */
  #responseStarted = false;
  #finished = false;
  #isHead = false;
  /** The response that is made closes the connection. */
  #closes = false;
  #isLocalReply = false;
  /** It was let through as an upgrade or CONNECT. */
  #upgraded = false;
  /** The downstream is over its high watermark, and the router has been told to pause. */
  #blocked = false;
  #signal: AbortController | undefined = undefined;
  #idleMs: number;
  readonly #idleTimer = new Timer(this);
  #requestTimer: Timer | undefined = undefined;
  #headersTimer: Timer | undefined = undefined;
  #durationTimer: Timer | undefined = undefined;
  #periodicLogTimer: Timer | undefined = undefined;

  constructor(connection: ConnectionManager, handle: ServerStream) {
    this.#connection = connection;
    this.#config = connection.config;
    this.#handle = handle;
    this.worker = connection.worker;
    const { dispatcher } = this.worker;
    const { now, epochNow } = dispatcher;
    this.info = new MutableStreamInfo(connection.info, handle.protocol, now, epochNow, connection.streamInfo);
    this.#routes = this.#config.routes();
    this.#randomValue = this.worker.random.below(0x1_0000_0000);
    this.bufferLimit = connection.bufferLimit;

    const { model, stats } = this.#config;
    stats.inc(AT.downstream_rq_total);
    stats.inc(AT.downstream_rq_active);
    stats.inc(connection.multiplexed ? AT.downstream_rq_http2_total : AT.downstream_rq_http1_total);
    this.#idleMs = model.streamIdleTimeoutMs;
    if (this.#idleMs > 0) dispatcher.arm(this.#idleTimer, this.#idleMs);
    if (model.requestHeadersTimeoutMs > 0) {
      this.#headersTimer = new Timer(this);
      dispatcher.arm(this.#headersTimer, model.requestHeadersTimeoutMs);
    }
    if (model.requestTimeoutMs > 0) {
      this.#requestTimer = new Timer(this);
      dispatcher.arm(this.#requestTimer, model.requestTimeoutMs);
    }
    if (model.maxStreamDurationMs > 0) this.#armDuration(model.maxStreamDurationMs);
  }

  get routerOptions(): RouterOptions {
    return this.#config.routerOptions;
  }

  get hasEnded(): boolean {
    return this.#finished;
  }

  /** Aborted when the stream ends. */
  get signal(): AbortSignal {
    this.#signal ??= new AbortController();
    if (this.#finished) this.#signal.abort();
    return this.#signal.signal;
  }

  // ---- from the codec: the request -----------------------------------------------------------------------------

  onHeaders(headers: HeaderMap, endStream: boolean): void {
    if (this.#finished) return;
    try {
      this.#onHeaders(headers, endStream);
    } catch (error) {
      this.fail(error);
    }
  }

  #onHeaders(headers: HeaderMap, endStream: boolean): void {
    // The HTTP/2 codec has done so.
    const malformed = this.#connection.multiplexed ? undefined : this.#config.normalizer.checkFields(headers);
    if (malformed !== undefined) {
      // As if the codec had refused it: the stream has seen no headers.
      this.#config.stats.inc(AT.downstream_cx_protocol_error);
      return this.sendLocalReply(malformed);
    }
    this.requestHeaders = headers;
    this.#isHead = headers.method === 'HEAD';
    this.info.headerBytesReceived = headers.byteSize();
    this.info.protocol = this.#handle.protocol;
    if (this.#headersTimer !== undefined) this.worker.dispatcher.disarm(this.#headersTimer);
    this.#touch();
    if (endStream) this.#endRequest();

    const { model } = this.#config;
    const { normalizer } = this.#config;
    const refusal = normalizer.request(headers, this.info, this.#routes?.model.internalOnlyHeaders);
    this.internalRequest = normalizer.internal;
    this.info.streamId = headers.get('x-request-id') ?? '';
    if (refusal !== undefined) return this.#refuse(refusal);

    this.#resolveRoute();
    if (!model.proxy100Continue && headers.get('expect')?.toLowerCase() === '100-continue') {
      headers.delete('expect');
      this.#config.chargeResponse(CONTINUE.status);
      this.#handle.sendInformational(CONTINUE);
    }
    if (model.flushAccessLogOnNewRequest) this.#log('DownstreamStart');
    this.#startPeriodicLog();
    this.#runRequest(headers, endStream);
  }

  onData(chunk: Buffer, endStream: boolean): void {
    if (this.#finished) return;
    try {
      this.info.bytesReceived += chunk.length;
      this.#touch();
      this.#sendRequestData(chunk, endStream);
      // A reply to this very chunk came before the request was complete, as in Envoy.
      if (endStream && !this.#isFinished()) this.#endRequest();
    } catch (error) {
      this.fail(error);
    }
  }

  onTrailers(trailers: HeaderMap): void {
    if (this.#finished) return;
    try {
      this.#touch();
      this.#endRequest();
      this.#sendRequestTrailers(trailers);
    } catch (error) {
      this.fail(error);
    }
  }

  #sendRequestData(chunk: Buffer, endStream: boolean): void {
    if (this.#requestPass !== undefined) this.#requestPass.data(chunk, endStream);
    else this.#router?.onData(chunk, endStream);
  }

  #sendRequestTrailers(trailers: HeaderMap): void {
    if (this.#requestPass !== undefined) this.#requestPass.trailers(trailers);
    else this.#router?.onTrailers(trailers);
  }

  onProtocolError(error: CodecError): void {
    if (this.#finished) return;
    this.info.setFlag(ResponseFlag.DPE);
    this.#config.stats.inc(AT.downstream_cx_protocol_error);
    if (this.#responseStarted) {
      this.info.responseCodeDetails = error.detail;
      this.#handle.reset('protocol error');
      return this.#finish();
    }
    this.sendLocalReply({ status: error.status, flag: 0, details: error.detail, body: reasonPhrase(error.status) });
  }

  onReset(reason: StreamResetReason, detail: string): void {
    if (this.#finished) return;
    const { info } = this;
    if (detail !== '') info.responseCodeDetails = detail;
    else if (info.responseCodeDetails === '' || info.responseCodeDetails === 'via_upstream')
      info.responseCodeDetails = 'downstream_remote_disconnect';
    info.setFlag(downstreamResetFlag(reason, detail));
    this.#config.stats.inc(AT.downstream_rq_rx_reset);
    this.#finish();
  }

  onWritable(): void {
    if (this.#finished || !this.#blocked) return;
    this.#blocked = false;
    try {
      this.#router?.resumeResponse();
    } catch (error) {
      this.fail(error);
    }
  }

  /** A bug of ours, met while this stream was served: it costs this stream, and nobody else's. */
  fail(error: unknown): void {
    this.worker.log.error(
      'http',
      `a stream failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    );
    if (this.#finished) return;
    this.#config.stats.inc(AT.downstream_rq_filter_error);
    try {
      this.#endPasses();
      this.sendLocalReply(PROXY_ERRORS.internalError);
    } catch {
      this.#handle.reset('local reset');
      this.#finish();
    }
  }

  #endRequest(): void {
    this.#requestEnded = true;
    this.info.requestCompleteMs = this.worker.dispatcher.now;
    if (this.#requestTimer !== undefined) this.worker.dispatcher.disarm(this.#requestTimer);
  }

  /** Any progress in either direction: the stream isn't idle. */
  #touch(): void {
    if (this.#idleMs > 0) this.worker.dispatcher.arm(this.#idleTimer, this.#idleMs);
  }

  // ---- the request pass ------------------------------------------------------------------------------------------

  #runRequest(headers: HeaderMap, endStream: boolean): void {
    let { filters } = this.#config;
    let refused = false;
    if (headers.protocol !== '' || headers.method === 'CONNECT') {
      const type = upgradeType(headers);
      if (this.#allowsUpgrade(type)) {
        filters = this.#config.upgrades.get(type)?.filters ?? filters;
        this.#beginUpgrade(type);
        // Without a route that is what the answer tells of.
      } else refused = this.route !== undefined;
    }
    if (!this.#createFilters(filters)) return;
    if (refused) {
      this.#config.stats.inc(AT.downstream_rq_ws_on_non_ws_route);
      // What comes behind might be the payload of what was refused; nobody shall take it for requests.
      this.#closes = true;
      return this.sendLocalReply(PROXY_ERRORS.upgradeFailed);
    }
    if (this.#requestPass === undefined) return this.passHeaders('request', headers, endStream);
    this.isGrpcRequest = isGrpc(headers);
    this.#requestPass.headers(headers, endStream);
  }

  #beginUpgrade(type: string): void {
    if (this.#upgraded) return;
    this.#upgraded = true;
    const { stats } = this.#config;
    stats.inc(AT.downstream_cx_upgrades_total);
    stats.inc(AT.downstream_cx_upgrades_active);
    // Its request has no end to wait for; that of CONNECT is timed all the same, as in Envoy.
    if (type !== 'connect' && this.#requestTimer !== undefined) this.worker.dispatcher.disarm(this.#requestTimer);
  }

  /** False: one of them could not be made, and the request is answered. */
  #createFilters(filters: readonly CompiledFilter[]): boolean {
    try {
      for (let i = 0; i < filters.length; i++) {
        const compiled = filters[i]!;
        if (compiled.isDisabled(this.route)) continue;
        const filter = compiled.create(new FilterStream(this, compiled));
        if (filter !== undefined) this.#filters.push(filter);
      }
      if (this.#filters.length > 0) {
        this.#requestPass = new FilterPass(this.#filters, 'request', this, this.bufferLimit);
        this.#responsePass = new FilterPass(this.#filters, 'response', this, this.bufferLimit);
      }
      return true;
    } catch (error) {
      this.filterFailed('request', error);
      return false;
    }
  }

  #resolveRoute(): void {
    this.#routeResolved = true;
    const route = this.#routes?.resolve(this.requestHeaders, this.info, this.#randomValue);
    this.route = route;
    const { info } = this;
    if (route === undefined) {
      info.routeName = '';
      info.virtualHostName = '';
      info.routeMetadata = undefined;
      info.upstreamCluster = '';
      return;
    }
    info.routeName = route.name;
    info.virtualHostName = route.virtualHost.name;
    info.routeMetadata = route.metadata;
    if (route.action.kind !== 'forward') return;
    const cluster = this.worker.clusters.get(route.action.clusterName);
    if (cluster !== undefined) {
      info.upstreamCluster = cluster.name;
      info.upstreamClusterObservable = cluster.model.altStatName;
      info.upstreamClusterMetadata = cluster.model.metadata;
    }
    this.#armDuration(streamDuration(route.action, this.requestHeaders, this.#config.model.maxStreamDurationMs));
    const { idleTimeoutMs, requestBufferLimitBytes } = route.action;
    if (idleTimeoutMs !== undefined && idleTimeoutMs !== this.#idleMs) {
      this.#idleMs = idleTimeoutMs;
      if (idleTimeoutMs > 0) this.worker.dispatcher.arm(this.#idleTimer, idleTimeoutMs);
      else this.worker.dispatcher.disarm(this.#idleTimer);
    }
    if (requestBufferLimitBytes !== undefined) this.bufferLimit = requestBufferLimitBytes;
  }

  /** How long the stream may last, from its start; 0 = without limit. */
  #armDuration(durationMs: number): void {
    const { dispatcher } = this.worker;
    if (durationMs > 0) {
      this.#durationTimer ??= new Timer(this);
      dispatcher.timers.arm(this.#durationTimer, this.info.startMs + durationMs);
    } else if (this.#durationTimer !== undefined) dispatcher.disarm(this.#durationTimer);
  }

  /** A filter changed what routing looks at; the next one to need the route gets a fresh one. */
  clearRoute(): void {
    if (this.#router === undefined) this.#resolveRoute();
  }

  setBufferLimit(bytes: number): void {
    this.bufferLimit = bytes;
    if (this.#requestPass !== undefined) this.#requestPass.limit = bytes;
    if (this.#responsePass !== undefined) this.#responsePass.limit = bytes;
  }

  /** The route's word counts more than the connection manager's. */
  #allowsUpgrade(type: string): boolean {
    const ofRoute = this.route?.action.kind === 'forward' ? this.route.action.upgrades.get(type) : undefined;
    return ofRoute ?? this.#config.upgrades.get(type)?.enabled ?? false;
  }

  passHeaders(direction: Direction, headers: HeaderMap, endStream: boolean): void {
    if (this.#finished) return;
    if (direction === 'response') return this.#encodeHeaders(headers, endStream);
    this.#router = new Router(this, this.#config.router);
    this.#router.onHeaders(headers, endStream);
  }

  passData(direction: Direction, chunk: Buffer, endStream: boolean): void {
    if (this.#finished) return;
    if (direction === 'response') this.#encodeData(chunk, endStream);
    else this.#router?.onData(chunk, endStream);
  }

  passTrailers(direction: Direction, trailers: HeaderMap): void {
    if (this.#finished) return;
    if (direction === 'response') this.#encodeTrailers(trailers);
    else this.#router?.onTrailers(trailers);
  }

  pauseSource(direction: Direction): void {
    if (direction === 'request') this.pauseRequest();
    else this.#router?.pauseResponse();
  }

  resumeSource(direction: Direction): void {
    if (this.#finished) return;
    if (direction === 'request') this.resumeRequest();
    else this.#router?.resumeResponse();
  }

  filterReply(_direction: Direction, reply: LocalReply): void {
    const { status, headers, grpcStatus } = reply;
    const details = reply.details.replaceAll(' ', '_');
    this.sendLocalReply({ status, flag: 0, details, body: wireText(reply.body ?? ''), headers, grpcStatus });
  }

  filterFailed(_direction: Direction, error: unknown): void {
    this.#config.stats.inc(AT.downstream_rq_filter_error);
    this.worker.log.error(
      'filter',
      `a filter failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    );
    this.sendLocalReply(PROXY_ERRORS.filterError);
  }

  bodyTooLarge(direction: Direction): void {
    if (direction === 'request') this.#config.stats.inc(AT.downstream_rq_too_large);
    else this.#config.stats.inc(AT.rs_too_large);
    this.sendLocalReply(
      direction === 'request' ? PROXY_ERRORS.requestPayloadTooLarge : PROXY_ERRORS.responsePayloadTooLarge,
    );
  }

  turn(body: () => void): void {
    this.worker.dispatcher.turn(body);
  }

  // ---- from the router: the response -----------------------------------------------------------------------------

  sendInformational(headers: HeaderMap): void {
    if (this.#finished || this.#responseStarted || !this.#config.model.proxy100Continue) return;
    this.#config.chargeResponse(headers.status);
    this.#handle.sendInformational(headers);
  }

  sendHeaders(headers: HeaderMap, endStream: boolean): void {
    if (this.#finished) return;
    this.#touch();
    if (this.#responsePass !== undefined) this.#responsePass.headers(headers, endStream);
    else this.#encodeHeaders(headers, endStream);
  }

  sendData(chunk: Buffer, endStream: boolean): void {
    if (this.#finished) return;
    this.#touch();
    if (this.#responsePass !== undefined) this.#responsePass.data(chunk, endStream);
    else this.#encodeData(chunk, endStream);
  }

  sendTrailers(trailers: HeaderMap): void {
    if (this.#finished) return;
    this.#touch();
    if (this.#responsePass !== undefined) this.#responsePass.trailers(trailers);
    else this.#encodeTrailers(trailers);
  }

  pauseRequest(): void {
    if (!this.#finished) this.#handle.pause();
  }

  resumeRequest(): void {
    if (!this.#finished) this.#handle.resume();
  }

  reset(details: string, flag: number): void {
    if (this.#finished) return;
    this.info.setFlag(flag);
    this.info.responseCodeDetails = details;
    this.#resetDownstream();
  }

  /** The response can't be completed: the stream (with HTTP/1 its connection) ends, which counts as a reset both ways. */
  #resetDownstream(): void {
    const { stats } = this.#config;
    stats.inc(AT.downstream_rq_tx_reset);
    stats.inc(AT.downstream_rq_rx_reset);
    this.#handle.reset(this.#resetReason());
    this.#finish();
  }

  /** What an HTTP/2 client is told of a stream that it can't send on. */
  #resetReason(): StreamResetReason {
    const { flags } = this.info;
    if (this.#upgraded && (flags & (ResponseFlag.UF | ResponseFlag.UC)) !== 0)
      return 'remote error with CONNECT request';
    return (flags & ResponseFlag.UPE) !== 0 ? 'protocol error' : 'local reset';
  }

  recreate(headers: HeaderMap, response: HeaderMap, body: readonly Buffer[] = [], trailers?: HeaderMap): boolean {
    if (this.#finished || this.#responseStarted || !this.#requestEnded) return false;
    this.#endPasses();
    this.requestHeaders = headers;
    this.#redirected(response);
    const refusal = this.#config.normalizer.target(headers, this.info.connection.localPort);
    if (refusal !== undefined) {
      this.#refuse(refusal);
      return true;
    }
    this.#resolveRoute();
    this.#runRequest(headers, body.length === 0 && trailers === undefined);
    // As in Envoy, a body that is sent again is counted again.
    for (const chunk of body) this.info.bytesReceived += chunk.length;
    for (let i = 0; i < body.length; i++)
      this.#sendRequestData(body[i]!, i === body.length - 1 && trailers === undefined);
    if (trailers !== undefined) this.#sendRequestTrailers(trailers);
    return true;
  }

  /** What was so far is a stream of its own in logs and counters, as in Envoy. */
  #redirected(response: HeaderMap): void {
    const { stats } = this.#config;
    const former = this.info;
    former.responseCode = response.status;
    former.responseCodeDetails = 'internal_redirect';
    this.responseHeaders = response;
    former.endMs = this.worker.dispatcher.now;
    this.#log('DownstreamEnd');
    this.responseHeaders = undefined;
    stats.inc(AT.downstream_rq_total);
    stats.inc(this.#connection.multiplexed ? AT.downstream_rq_http2_total : AT.downstream_rq_http1_total);
    this.info = former.restarted(this.worker.dispatcher.now, this.worker.dispatcher.epochNow);
  }

  resolveRoute(headers: HeaderMap): Route | undefined {
    return this.#routes?.resolve(headers, this.info, this.#randomValue);
  }

  /** Answers for the upstream: a local reply, made by the router, a filter, a timeout or this stream. */
  sendLocalReply(reply: RouterLocalReply): void {
    if (this.#finished) return;
    this.#dropRouter();
    this.#requestPass?.end();
    const { info } = this;
    info.setFlag(reply.flag);
    info.responseCodeDetails = reply.details;
    if (this.#responseStarted) {
      return this.#resetDownstream();
    }
    const { headers, body } = this.#config.localReplies.render(reply, this);
    // A bad request says that the two sides may not agree about the framing.
    if (
      reply.status === 400 &&
      !this.#connection.multiplexed &&
      !this.#config.http1Settings.overrideStreamErrorOnInvalidHttpMessage
    )
      this.#closes = true;
    this.#isLocalReply = true;
    this.localReplyBody = body;
    const endStream = body === '' || this.#isHead;
    const pass = this.#responsePass;
    // In place of a response that filters have seen, or refused themselves, it doesn't go through them again.
    if (pass !== undefined && !pass.hasBegun) {
      pass.headers(headers, endStream);
      if (!endStream) pass.data(Buffer.from(body, 'latin1'), true);
    } else {
      pass?.end();
      this.#encodeHeaders(headers, endStream);
      if (!endStream && !this.#finished) this.#encodeData(Buffer.from(body, 'latin1'), true);
    }
  }

  /** Normalising refused the request, or asks for a redirect to its normalised path. */
  #refuse(outcome: RouterLocalReply): void {
    if (!this.#routeResolved) this.#createFilters(this.#config.filters);
    this.sendLocalReply(outcome);
  }

  #encodeHeaders(headers: HeaderMap, endStream: boolean): void {
    const { info } = this;
    const config = this.#config;
    this.responseHeaders = headers;
    this.#responseStarted = true;
    const connection = this.#connection;
    let close = connection.closesAfterResponse(this.#closes);
    // An HTTP/1 connection whose request isn't complete can't be waited for.
    if (!connection.multiplexed) close ||= this.#handle.closesConnection || !this.#requestEnded;
    config.normalizer.response(headers, this.requestHeaders, close);
    if (close) this.#handle.closeAfterResponse(!this.#requestEnded || this.#isLocalReply);
    info.responseCode = headers.status;
    info.headerBytesSent = headers.byteSize();
    info.downstreamFirstTxMs = this.worker.dispatcher.now;
    config.chargeResponse(headers.status);
    if (!this.#requestEnded) config.stats.inc(AT.downstream_rq_response_before_rq_complete);
    this.#handle.sendHeaders(headers, endStream);
    const tunnel = this.#upgraded && isTunnel(this.requestHeaders.method, headers.status);
    if (tunnel && this.#requestTimer !== undefined) this.worker.dispatcher.disarm(this.#requestTimer);
    if (endStream) this.#endResponse();
    else if (tunnel && config.model.flushAccessLogOnTunnelEstablished)
      this.#log('DownstreamTunnelSuccessfullyEstablished');
  }

  #isFinished(): boolean {
    return this.#finished;
  }

  #encodeData(chunk: Buffer, endStream: boolean): void {
    this.info.bytesSent += chunk.length;
    if (!this.#handle.sendData(chunk, endStream) && !endStream && !this.#blocked) {
      this.#blocked = true;
      this.#router?.pauseResponse();
    }
    if (endStream) this.#endResponse();
  }

  #encodeTrailers(trailers: HeaderMap): void {
    this.responseTrailers = trailers;
    this.#handle.sendTrailers(trailers);
    this.#endResponse();
  }

  #endResponse(): void {
    this.info.downstreamLastTxMs = this.worker.dispatcher.now;
    if (!this.#requestEnded) {
      this.#config.stats.inc(AT.downstream_rq_rx_reset);
      // Nobody reads the rest of the request. HTTP/1 closes the connection by itself.
      if (this.#connection.multiplexed) this.#handle.reset(this.#resetReason());
    }
    this.#finish();
  }

  // ---- timeouts ---------------------------------------------------------------------------------------------------

  onTimer(timer: Timer): void {
    if (this.#finished) return;
    try {
      this.#onTimer(timer);
    } catch (error) {
      this.fail(error);
    }
  }

  #onTimer(timer: Timer): void {
    const { stats } = this.#config;
    if (timer === this.#idleTimer) {
      stats.inc(AT.downstream_rq_idle_timeout);
      this.#timeOut(PROXY_ERRORS.streamIdleTimeout);
    } else if (timer === this.#requestTimer) {
      stats.inc(AT.downstream_rq_timeout);
      this.sendLocalReply(PROXY_ERRORS.requestTimeout);
    } else if (timer === this.#headersTimer) {
      stats.inc(AT.downstream_rq_header_timeout);
      this.sendLocalReply(PROXY_ERRORS.requestHeaderTimeout);
    } else if (timer === this.#durationTimer) {
      stats.inc(AT.downstream_rq_max_duration_reached);
      this.#timeOut({ ...PROXY_ERRORS.downstreamDurationTimeout, grpcStatus: DEADLINE_EXCEEDED });
    } else if (timer === this.#periodicLogTimer) {
      this.#log('DownstreamPeriodic');
      this.worker.dispatcher.arm(timer, this.#config.model.accessLogFlushIntervalMs);
    }
  }

  /** 408 while the request is still coming, 504 after it, as Envoy's maybeRequestTimeoutCode. */
  #timeOut(error: RouterLocalReply): void {
    this.sendLocalReply(this.#requestEnded ? { ...error, status: 504 } : error);
  }

  // ---- the end ----------------------------------------------------------------------------------------------------

  #log(type: string): void {
    const { accessLoggers } = this.#config;
    if (accessLoggers.length === 0) return;
    this.info.wireBytesReceived = this.#handle.wireBytesReceived;
    this.info.wireBytesSent = this.#handle.wireBytesSent;
    this.accessLogType = type;
    for (const logger of accessLoggers) logger.log(this);
  }

  /** Starts periodic access-log records, where configured. */
  #startPeriodicLog(): void {
    const intervalMs = this.#config.model.accessLogFlushIntervalMs;
    if (intervalMs <= 0) return;
    this.#periodicLogTimer = new Timer(this);
    this.worker.dispatcher.arm(this.#periodicLogTimer, intervalMs);
  }

  #dropRouter(): void {
    const router = this.#router;
    this.#router = undefined;
    router?.destroy();
  }

  #endPasses(): void {
    this.#requestPass?.end();
    this.#responsePass?.end();
    this.#requestPass = undefined;
    this.#responsePass = undefined;
    this.#dropRouter();
    const filters = this.#filters;
    this.#filters = [];
    for (const filter of filters) {
      try {
        filter.onDestroy?.();
      } catch (error) {
        this.worker.log.error('filter', `onDestroy failed: ${String(error)}`);
      }
    }
  }

  #finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    const { dispatcher } = this.worker;
    dispatcher.disarm(this.#idleTimer);
    if (this.#requestTimer !== undefined) dispatcher.disarm(this.#requestTimer);
    if (this.#headersTimer !== undefined) dispatcher.disarm(this.#headersTimer);
    if (this.#durationTimer !== undefined) dispatcher.disarm(this.#durationTimer);
    if (this.#periodicLogTimer !== undefined) dispatcher.disarm(this.#periodicLogTimer);
    this.#endPasses();
    this.#signal?.abort();
    const { info } = this;
    const { stats } = this.#config;
    info.endMs = dispatcher.now;
    stats.dec(AT.downstream_rq_active);
    if (this.#upgraded) stats.dec(AT.downstream_cx_upgrades_active);
    stats.record(AT.downstream_rq_time, Math.floor(info.endMs - info.startMs));
    this.#log('DownstreamEnd');
    this.#connection.streamEnded();
  }
}

/** Whose doing the end of a downstream stream was. */
function downstreamResetFlag(reason: StreamResetReason, detail: string): number {
  switch (reason) {
    case 'remote reset':
    case 'remote refused stream reset':
    case 'remote error with CONNECT request':
      return ResponseFlag.DR;
    case 'protocol error':
      return ResponseFlag.DPE;
    case 'overload manager reset':
      return ResponseFlag.OM;
    case 'local reset':
      // The codec's own doing: the client broke a rule.
      return detail !== '' ? ResponseFlag.DPE : ResponseFlag.DC;
    default:
      return ResponseFlag.DC;
  }
}
