import type { Metadata } from '../../filters/stream-info.ts';
import { Timer, type TimerTask } from '../../lib/timer-wheel.ts';
import type { HttpProtocol, StreamResetReason } from '../codec/codec.ts';
import type { Dispatcher } from '../dispatcher.ts';
import type { HeaderMap } from '../http/headers.ts';
import type { RoutedStream } from '../http/request-sink.ts';
import type { MutableStreamInfo } from '../http/stream-info.ts';
import { CLUSTER_STATS } from '../upstream/cluster-stats.ts';
import type {
  Cluster,
  Host,
  LoadBalancerContext,
  Pool,
  PoolFailureReason,
  PoolRequest,
  UpstreamStream,
} from '../upstream/upstream.ts';
import type { UpstreamTransportOptions } from '../transport-socket/transport-socket.ts';
import type { RequestBody } from './request-body.ts';
import type { RetryState } from './retry-state.ts';
import type { ConnectModel } from './route.ts';
import { connectPreamble, TcpTunnel } from './tcp-tunnel.ts';
import type { RequestTimeouts } from './timeouts.ts';

export type AttemptTimeout = 'per-try' | 'per-try-idle' | 'max-stream-duration';

/** Whom an attempt reports to: the router. Nothing is reported once an attempt has ended. */
export interface AttemptOwner {
  readonly timeouts: RequestTimeouts;
  /** The request has come in completely. */
  readonly requestEnded: boolean;
  /** What the load balancer may choose a host by. */
  readonly hash: bigint | undefined;
  /** A host took the attempt; its stream is there and no byte was sent yet. */
  attemptReady(attempt: Attempt): void;
  attemptInformational(attempt: Attempt, headers: HeaderMap): void;
  attemptHeaders(attempt: Attempt, headers: HeaderMap, endStream: boolean): void;
  attemptData(attempt: Attempt, chunk: Buffer, endStream: boolean): void;
  attemptTrailers(attempt: Attempt, trailers: HeaderMap): void;
  /** It failed before or after its stream was there; it has ended. */
  attemptReset(attempt: Attempt, reason: StreamResetReason, transportFailure: string): void;
  attemptTimedOut(attempt: Attempt, which: AttemptTimeout): void;
}

const AT = CLUSTER_STATS.at;
const EMPTY = Buffer.alloc(0);

/** One try of one request: a host, a place in its pool, a stream (Envoy's UpstreamRequest). */
export class Attempt implements PoolRequest, LoadBalancerContext, TimerTask {
  readonly metadataMatch: Metadata | undefined;
  readonly overrideHost: string | undefined;
  readonly overrideHostStrict: boolean;
  readonly hostSelectionRetries: number;

  readonly cluster: Cluster;
  host: Host | undefined = undefined;
  stream: UpstreamStream | undefined = undefined;
  /** The headers are the whole request. */
  readonly headersOnly: boolean;
  awaitingHeaders = true;
  /** A hedged retry has been started in its place. */
  retried = false;
  /** The outcome for the host depends on the grpc-status in the trailers. */
  grpcOutcomePending = false;
  canary = false;
  /** Upgrades: the payload waits until the upstream has accepted. */
  payloadHeld = false;
  responseHeadersBytes = -1;
  responseHeadersCount = 0;
  bodyBytesSent = 0;
  bodyBytesReceived = 0;

  readonly #owner: AttemptOwner;
  readonly #stream: RoutedStream;
  readonly #dispatcher: Dispatcher;
  /** Only on retries: what their choice of a host avoids. */
  readonly #avoid: RetryState | undefined;
  readonly #startMs: number;
  #pool: Pool | undefined = undefined;
  #ended = false;
  #sentEnd = false;
  #receivedEnd = false;
  #informed = false;
  #perTry: Timer | undefined = undefined;
  #perTryIdle: Timer | undefined = undefined;
  #maxDuration: Timer | undefined = undefined;
  #requestPauses = 0;
  #firstTxMs = -1;
  #lastTxMs = -1;
  #firstRxMs = -1;
  #lastRxMs = -1;

  constructor(
    owner: AttemptOwner,
    stream: RoutedStream,
    cluster: Cluster,
    metadataMatch: Metadata | undefined,
    avoid: RetryState | undefined,
    headersOnly: boolean,
  ) {
    this.#owner = owner;
    this.#stream = stream;
    this.#dispatcher = stream.worker.dispatcher;
    this.cluster = cluster;
    this.metadataMatch = metadataMatch;
    this.overrideHost = stream.overrideHost;
    this.overrideHostStrict = stream.overrideHostStrict;
    this.#avoid = avoid;
    this.hostSelectionRetries = avoid === undefined ? 1 : avoid.hostSelectionAttempts;
    this.headersOnly = headersOnly;
    this.#startMs = this.#dispatcher.now;
  }

  /** Asked only by load balancers that hash. */
  get hash(): bigint | undefined {
    return this.#owner.hash;
  }

  /** For ORIGINAL_DST clusters. */
  get streamInfo(): MutableStreamInfo {
    return this.#stream.info;
  }

  get requestHeaders(): HeaderMap {
    return this.#stream.requestHeaders;
  }

  rejectHost(host: Host): boolean {
    return this.#avoid !== undefined && this.#avoid.rejectHost(host);
  }

  /** Chooses a host and its pool. False: there is none. `connect`: the payload goes on over a TCP connection. */
  pick(
    priority: 'default' | 'high',
    transport: UpstreamTransportOptions | undefined,
    connect: ConnectModel | undefined,
  ): boolean {
    const host = this.cluster.pickHost(this);
    this.host = host;
    if (host === undefined) return false;
    const { info } = this.#stream;
    if (connect === undefined) this.#pool = this.cluster.pool(host, priority, transport, info.protocol as HttpProtocol);
    else {
      const pool = this.cluster.tcpPool(host, priority, transport);
      this.#pool = new TcpTunnel(pool, this.#dispatcher, connectPreamble(connect, info.connection));
    }
    this.publish(info);
    return true;
  }

  /** Asks the pool for a stream; `attemptReady` may be called from inside. */
  connect(): void {
    const stream = this.#pool!.newStream(this);
    if (stream !== undefined) this.onPoolReady(stream);
  }

  /** Body and trailers can be sent. */
  get takesBody(): boolean {
    return this.stream !== undefined && !this.payloadHeld;
  }

  // ---- the request -----------------------------------------------------------------------------------------------

  sendHeaders(headers: HeaderMap): void {
    this.#firstTxMs = this.#dispatcher.now;
    this.stream!.sendHeaders(headers, this.headersOnly);
    if (this.headersOnly) this.#endSending();
    this.publish(this.#stream.info);
  }

  /** Sends what has come of the body so far; `complete`: there is no more. */
  sendBody(body: RequestBody | undefined, complete: boolean): void {
    const trailers = body?.trailers;
    const chunks = body?.chunks;
    const count = chunks === undefined ? 0 : chunks.length;
    const endWithData = complete && trailers === undefined;
    for (let i = 0; i < count && !this.#ended; i++) this.sendData(chunks![i]!, endWithData && i === count - 1);
    if (this.#ended) return;
    if (count === 0 && endWithData) this.sendData(EMPTY, true);
    else if (trailers !== undefined) this.sendTrailers(trailers);
  }

  sendData(chunk: Buffer, endStream: boolean): void {
    this.bodyBytesSent += chunk.length;
    const more = this.stream!.sendData(chunk, endStream);
    if (endStream) this.#endSending();
    else if (!more) {
      this.#requestPauses++;
      this.cluster.stats.inc(AT.upstream_flow_control_backed_up_total);
      this.#stream.pauseRequest();
    }
  }

  sendTrailers(trailers: HeaderMap): void {
    this.stream!.sendTrailers(trailers);
    this.#endSending();
  }

  onWritable(): void {
    if (!this.#ended) this.#resumeRequest();
  }

  #endSending(): void {
    this.#sentEnd = true;
    this.#lastTxMs = this.#dispatcher.now;
    this.#stream.info.upstreamLastTxMs = this.#lastTxMs;
  }

  #resumeRequest(): void {
    for (; this.#requestPauses > 0; this.#requestPauses--) {
      this.cluster.stats.inc(AT.upstream_flow_control_drained_total);
      this.#stream.resumeRequest();
    }
  }

  pauseResponse(): void {
    if (this.#ended) return;
    this.cluster.stats.inc(AT.upstream_flow_control_paused_reading_total);
    this.stream!.pause();
  }

  resumeResponse(): void {
    if (this.#ended) return;
    this.cluster.stats.inc(AT.upstream_flow_control_resumed_reading_total);
    this.stream!.resume();
  }

  // ---- from the pool and the codec -------------------------------------------------------------------------------

  onPoolReady(stream: UpstreamStream): void {
    if (this.#ended) return stream.reset('local reset');
    this.stream = stream;
    this.host = stream.host;
    const { info } = this.#stream;
    info.upstreamHost = stream.host;
    info.upstreamConnection = stream.connection;
    info.upstreamProtocol = stream.protocol;
    try {
      this.#owner.attemptReady(this);
    } catch (error) {
      this.#stream.fail(error);
    }
  }

  onPoolFailure(reason: PoolFailureReason, transportFailure: string, host?: Host): void {
    if (this.#ended) return;
    const { info } = this.#stream;
    // Where pending requests overflow, no host was tried at all.
    if (reason === 'overflow') this.host = info.upstreamHost = host;
    info.upstreamTransportFailureReason = transportFailure;
    this.#fail(reason, transportFailure);
  }

  // What follows comes from a pool that is everybody's: whatever goes wrong costs this stream only.

  onInformational(headers: HeaderMap): void {
    // Envoy carries 100, 102 and 103, and of those only the first.
    const { status } = headers;
    if (this.#ended || this.#informed || (status !== 100 && status !== 102 && status !== 103)) return;
    this.#informed = true;
    try {
      this.#owner.attemptInformational(this, headers);
    } catch (error) {
      this.#stream.fail(error);
    }
  }

  onHeaders(headers: HeaderMap, endStream: boolean): void {
    if (this.#ended) return;
    const { now } = this.#dispatcher;
    this.#firstRxMs = now;
    this.#stream.info.upstreamFirstRxMs = now;
    this.awaitingHeaders = false;
    if (this.cluster.trackedStats !== undefined) {
      this.responseHeadersBytes = headers.byteSize();
      this.responseHeadersCount = headers.size + 1;
    }
    if (endStream) this.#endReceiving();
    else this.#touch();
    try {
      this.#owner.attemptHeaders(this, headers, endStream);
    } catch (error) {
      this.#stream.fail(error);
    }
  }

  onData(chunk: Buffer, endStream: boolean): void {
    if (this.#ended) return;
    this.bodyBytesReceived += chunk.length;
    if (endStream) this.#endReceiving();
    else this.#touch();
    try {
      this.#owner.attemptData(this, chunk, endStream);
    } catch (error) {
      this.#stream.fail(error);
    }
  }

  onTrailers(trailers: HeaderMap): void {
    if (this.#ended) return;
    this.#endReceiving();
    try {
      this.#owner.attemptTrailers(this, trailers);
    } catch (error) {
      this.#stream.fail(error);
    }
  }

  onReset(reason: StreamResetReason, _detail: string): void {
    if (!this.#ended) this.#fail(reason, '');
  }

  #endReceiving(): void {
    this.#receivedEnd = true;
    this.#lastRxMs = this.#dispatcher.now;
    this.#stream.info.upstreamLastRxMs = this.#lastRxMs;
  }

  #fail(reason: StreamResetReason, transportFailure: string): void {
    this.awaitingHeaders = false;
    this.#finish();
    try {
      this.#owner.attemptReset(this, reason, transportFailure);
    } catch (error) {
      this.#stream.fail(error);
    }
  }

  // ---- timeouts --------------------------------------------------------------------------------------------------

  /** Starts the per-try timeouts: once the stream is there and the request complete. */
  armTryTimers(): void {
    const { perTryMs, perTryIdleMs } = this.#owner.timeouts;
    if (perTryMs > 0 && this.#perTry === undefined) {
      this.#perTry = new Timer(this);
      this.#dispatcher.arm(this.#perTry, perTryMs);
    }
    if (perTryIdleMs > 0 && this.#perTryIdle === undefined) {
      this.#perTryIdle = new Timer(this);
      this.#dispatcher.arm(this.#perTryIdle, perTryIdleMs);
    }
  }

  armMaxDuration(ms: number): void {
    this.#maxDuration = new Timer(this);
    this.#dispatcher.arm(this.#maxDuration, ms);
  }

  /** An upgrade succeeded: it may last. */
  disarmTryTimers(): void {
    if (this.#perTry !== undefined) this.#dispatcher.disarm(this.#perTry);
    if (this.#perTryIdle !== undefined) this.#dispatcher.disarm(this.#perTryIdle);
    this.#perTryIdle = undefined;
  }

  onTimer(timer: Timer): void {
    if (this.#ended) return;
    try {
      if (timer === this.#maxDuration) return this.#owner.attemptTimedOut(this, 'max-stream-duration');
      // Whichever comes first makes the other pointless.
      this.disarmTryTimers();
      this.#owner.attemptTimedOut(this, timer === this.#perTry ? 'per-try' : 'per-try-idle');
    } catch (error) {
      this.#stream.fail(error);
    }
  }

  /** A byte of the response came. */
  #touch(): void {
    if (this.#perTryIdle !== undefined) this.#dispatcher.arm(this.#perTryIdle, this.#owner.timeouts.perTryIdleMs);
  }

  // ---- the end ---------------------------------------------------------------------------------------------------

  /** Ends the attempt, and its stream unless that is through. Idempotent; no callback has an effect afterwards. */
  abort(): void {
    if (this.#ended) return;
    const { stream } = this;
    if (stream === undefined) this.#pool?.cancel(this);
    this.#finish();
    if (stream !== undefined && !(this.#sentEnd && this.#receivedEnd)) stream.reset('local reset');
  }

  #finish(): void {
    this.#ended = true;
    this.disarmTryTimers();
    if (this.#maxDuration !== undefined) this.#dispatcher.disarm(this.#maxDuration);
    const { stream } = this;
    if (stream !== undefined) {
      const { info } = this.#stream;
      info.upstreamWireBytesSent += stream.wireBytesSent;
      info.upstreamWireBytesReceived += stream.wireBytesReceived;
      info.upstreamHeaderBytesSent += stream.headerBytesSent ?? 0;
      info.upstreamHeaderBytesReceived += stream.headerBytesReceived ?? 0;
    }
    this.#resumeRequest();
  }

  /** Milliseconds since the attempt began. */
  get elapsedMs(): number {
    return this.#dispatcher.now - this.#startMs;
  }

  /** Makes this the attempt that `info` tells of. */
  publish(info: MutableStreamInfo): void {
    const { stream } = this;
    info.upstreamHost = this.host;
    info.upstreamConnection = stream?.connection;
    info.upstreamProtocol = stream?.protocol ?? '';
    info.upstreamTransportFailureReason = '';
    info.upstreamFirstTxMs = this.#firstTxMs;
    info.upstreamLastTxMs = this.#lastTxMs;
    info.upstreamFirstRxMs = this.#firstRxMs;
    info.upstreamLastRxMs = this.#lastRxMs;
  }
}
