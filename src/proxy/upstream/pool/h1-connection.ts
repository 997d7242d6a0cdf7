import { Timer, type TimerTask } from '../../../lib/timer-wheel.ts';
import type { ConnectionInfo } from '../../../filters/stream-info.ts';
import type { HeaderMap } from '../../http/headers.ts';
import type { HttpProtocol, StreamResetReason } from '../../codec/codec.ts';
import type { ConnectionInput } from '../../codec/connection-io.ts';
import type { Dispatcher } from '../../dispatcher.ts';
import type { UpstreamCluster } from '../cluster.ts';
import { CLUSTER_STATS } from '../cluster-stats.ts';
import type { UpstreamHost } from '../host.ts';
import type { PoolFailureReason, PoolRequest, UpstreamStream } from '../upstream.ts';
import type { ConnectFailure } from './connect-failure.ts';
import type { Connector, UpstreamSocket, UpstreamSocketOwner } from './connector.ts';
import type { ExchangeEnd, Http1Codec, Http1CodecFactory, Http1CodecOwner, Http1CodecStream } from './http1-codec.ts';

/** The pool that a connection belongs to. */
export interface Http1ConnectionOwner {
  readonly cluster: UpstreamCluster;
  readonly host: UpstreamHost;
  /** The connection is up; it has no stream yet. */
  onConnected(connection: Http1Connection): void;
  /** The stream is over and its request no longer counts; the connection can take the next unless it is closing. */
  onStreamEnd(connection: Http1Connection): void;
  /** It never came up; `onClosed` follows. */
  onConnectFailed(connection: Http1Connection, reason: PoolFailureReason, transportFailure: string): void;
  onClosed(connection: Http1Connection): void;
}

/** What connections are made with; one a worker. */
export interface Http1ConnectionFactory {
  readonly dispatcher: Dispatcher;
  readonly connector: Connector;
  readonly createCodec: Http1CodecFactory;
  /** Numbers unique in the process (%UPSTREAM_CONNECTION_ID%). */
  nextConnectionId(): number;
}

/** One pooled HTTP/1 connection: a socket, a codec, and at most one stream. */
export class Http1Connection implements UpstreamSocketOwner, Http1CodecOwner, ConnectionInput, TimerTask {
  state: 'connecting' | 'ready' | 'busy' | 'closed' = 'connecting';
  /** Takes no stream after the present one. */
  draining = false;
  readonly #owner: Http1ConnectionOwner;
  readonly #cluster: UpstreamCluster;
  readonly #dispatcher: Dispatcher;
  readonly #socket: UpstreamSocket;
  readonly #codec: Http1Codec;
  readonly #startMs: number;
  readonly #connectTimer: Timer = new Timer(this);
  readonly #idleTimer: Timer = new Timer(this);
  readonly #durationTimer: Timer = new Timer(this);
  #info: ConnectionInfo | undefined = undefined;
  #stream: Http1PoolStream | undefined = undefined;
  /** Streams that may still start; Infinity = no limit. */
  #remaining: number;
  #started = 0;
  #timedOut = false;
  #closing = false;
  /** The stream was cut off by this connection's end. */
  #cutOff = false;
  #reading = false;
  #endedWhileReading = false;

  constructor(owner: Http1ConnectionOwner, factory: Http1ConnectionFactory) {
    this.#owner = owner;
    const { cluster, host } = owner;
    const { model, stats } = cluster;
    this.#cluster = cluster;
    this.#dispatcher = factory.dispatcher;
    this.#startMs = factory.dispatcher.now;
    this.#remaining = model.maxRequestsPerConnection > 0 ? model.maxRequestsPerConnection : Infinity;
    stats.inc(CLUSTER_STATS.at.upstream_cx_total);
    stats.inc(CLUSTER_STATS.at.upstream_cx_active);
    stats.inc(CLUSTER_STATS.at.upstream_cx_http1_total);
    void cluster.http1Stats;
    host.connectionStarted();
    this.#socket = factory.connector(
      factory.dispatcher,
      {
        address: host.model.address,
        bind: model.bind,
        keepalive: model.tcpKeepalive,
        bufferLimitBytes: model.perConnectionBufferLimitBytes,
        stats,
        connectionId: factory.nextConnectionId(),
      },
      this,
    );
    this.#codec = factory.createCodec(this.#socket, factory.dispatcher, model.http1, this);
    this.#socket.input = this;
    this.#dispatcher.arm(this.#connectTimer, model.connectTimeoutMs);
  }

  get host(): UpstreamHost {
    return this.#owner.host;
  }

  get info(): ConnectionInfo {
    return this.#info!;
  }

  /** Starts a stream on a ready connection. */
  attach(request: PoolRequest): UpstreamStream {
    this.state = 'busy';
    this.#started++;
    this.#cutOff = false;
    if (--this.#remaining === 0) {
      this.#cluster.stats.inc(CLUSTER_STATS.at.upstream_cx_max_requests);
      this.draining = true;
    }
    return (this.#stream = new Http1PoolStream(this, this.#codec.newStream(request)));
  }

  /** Closes now, with or without a stream. */
  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#socket.close('abort');
  }

  /** The pool has it among the ready ones. */
  becomeIdle(): void {
    const { idleTimeoutMs } = this.#cluster.model;
    if (idleTimeoutMs > 0) this.#dispatcher.arm(this.#idleTimer, idleTimeoutMs);
  }

  get closing(): boolean {
    return this.#closing;
  }

  onTimer(timer: Timer): void {
    const { stats } = this.#cluster;
    if (this.#closing) return;
    if (timer === this.#connectTimer) {
      stats.inc(CLUSTER_STATS.at.upstream_cx_connect_timeout);
      this.#timedOut = true;
      this.close();
    } else if (timer === this.#idleTimer) {
      // Left armed while a stream runs: taking it out and putting it back would cost more than this.
      if (this.state !== 'ready') return;
      stats.inc(CLUSTER_STATS.at.upstream_cx_idle_timeout);
      this.#retire();
    } else {
      if (this.draining) return;
      stats.inc(CLUSTER_STATS.at.upstream_cx_max_duration_reached);
      this.#retire();
    }
  }

  /** No further stream; closes as soon as there is none. */
  #retire(): void {
    this.draining = true;
    if (this.#stream === undefined) this.close();
  }

  onConnected(info: ConnectionInfo): void {
    const { model, stats } = this.#cluster;
    this.#info = info;
    this.#dispatcher.disarm(this.#connectTimer);
    stats.record(CLUSTER_STATS.at.upstream_cx_connect_ms, this.#dispatcher.now - this.#startMs);
    if (model.maxConnectionDurationMs > 0) this.#dispatcher.arm(this.#durationTimer, model.maxConnectionDurationMs);
    this.state = 'ready';
    this.#owner.onConnected(this);
  }

  onData(chunk: Buffer): void {
    if (this.#stream === undefined) return this.#onUnsolicited(chunk);
    this.#reading = true;
    this.#codec.onData(chunk);
    this.#reading = false;
    if (!this.#endedWhileReading) return;
    // Only now, when the codec is through with the chunk, may another request use the connection: what came after the
    // response's end must not become the next request's response.
    this.#endedWhileReading = false;
    this.#owner.onStreamEnd(this);
  }

  onEnd(): void {
    this.#codec.onEnd();
    // The socket is about to close; nothing may start on it meanwhile.
    this.#closing = true;
  }

  onDrain(): void {
    this.#codec.onDrain();
  }

  onClose(): void {
    if (this.#stream !== undefined) this.#cutOff = true;
    this.#codec.onClose();
  }

  flush(): void {
    this.#codec.flush();
  }

  onExchangeEnd(end: ExchangeEnd): void {
    const stream = this.#stream;
    if (stream === undefined) return;
    this.#stream = undefined;
    stream.end();
    if (end === 'reset') this.#cutOff = true;
    if (end === 'close-notify') this.#cluster.stats.inc(CLUSTER_STATS.at.upstream_cx_close_notify);
    if (end !== 'reusable') {
      // The codec closes the socket itself, at the end of the turn: what it has written may still have to leave.
      this.#closing = true;
    } else if (this.draining) this.close();
    if (this.state === 'busy') this.state = 'ready';
    if (this.#reading) this.#endedWhileReading = true;
    else this.#owner.onStreamEnd(this);
  }

  onProtocolError(): void {
    this.#cluster.stats.inc(CLUSTER_STATS.at.upstream_cx_protocol_error);
  }

  onSocketClosed(local: boolean, failure: ConnectFailure | undefined): void {
    const connecting = this.#info === undefined;
    this.#closing = true;
    this.state = 'closed';
    this.#dispatcher.disarm(this.#connectTimer);
    this.#dispatcher.disarm(this.#idleTimer);
    this.#dispatcher.disarm(this.#durationTimer);
    // A codec that was told of the end has ended its stream by now; this is for one that hasn't.
    if (this.#stream !== undefined) this.onExchangeEnd('reset');
    this.#countDestroy(local);
    if (connecting) {
      this.#cluster.stats.inc(CLUSTER_STATS.at.upstream_cx_connect_fail);
      this.host.connectFailed();
      const reason = this.#timedOut
        ? 'connection timeout'
        : local
          ? 'local connection failure'
          : 'remote connection failure';
      this.#owner.onConnectFailed(this, reason, failure?.reason ?? '');
    }
    this.#owner.onClosed(this);
  }

  #countDestroy(local: boolean): void {
    const { stats } = this.#cluster;
    const { at } = CLUSTER_STATS;
    stats.inc(at.upstream_cx_destroy);
    stats.inc(local ? at.upstream_cx_destroy_local : at.upstream_cx_destroy_remote);
    if (this.#cutOff) {
      stats.inc(at.upstream_cx_destroy_with_active_rq);
      stats.inc(local ? at.upstream_cx_destroy_local_with_active_rq : at.upstream_cx_destroy_remote_with_active_rq);
    }
    stats.dec(at.upstream_cx_active);
    stats.record(at.upstream_cx_length_ms, this.#dispatcher.now - this.#startMs);
    if (this.#info !== undefined) stats.record(at.upstream_rq_per_cx, this.#started);
    this.host.connectionEnded();
  }

  /** Bytes that no request asked for: the connection can't be trusted any more. */
  #onUnsolicited(chunk: Buffer): void {
    if (this.#closing) return;
    // A 408 is how some servers announce that they close an idle connection.
    if (!/^HTTP\/1\.[01] 408/.test(chunk.toString('latin1', 0, 12))) this.onProtocolError();
    this.close();
  }
}

/** One stream on an HTTP/1 connection. A handle that is used after the end does nothing. */
class Http1PoolStream implements UpstreamStream {
  readonly host: UpstreamHost;
  readonly connection: ConnectionInfo;
  readonly protocol: HttpProtocol = 'HTTP/1.1';
  /** Of the request line and the fields, as they were on the wire. */
  headerBytesSent = 0;
  readonly #stream: Http1CodecStream;
  #ended = false;

  constructor(connection: Http1Connection, stream: Http1CodecStream) {
    this.host = connection.host;
    this.connection = connection.info;
    this.#stream = stream;
  }

  get wireBytesSent(): number {
    return this.#stream.wireBytesSent;
  }

  get wireBytesReceived(): number {
    return this.#stream.wireBytesReceived;
  }

  get headerBytesReceived(): number {
    return this.#stream.headerBytesReceived;
  }

  end(): void {
    this.#ended = true;
  }

  sendInformational(headers: HeaderMap): void {
    if (!this.#ended) this.#stream.sendInformational(headers);
  }

  sendHeaders(headers: HeaderMap, endStream: boolean): void {
    if (this.#ended) return;
    this.#stream.sendHeaders(headers, endStream);
    this.headerBytesSent = this.#stream.wireBytesSent;
  }

  sendData(chunk: Buffer, endStream: boolean): boolean {
    return this.#ended || this.#stream.sendData(chunk, endStream);
  }

  sendTrailers(trailers: HeaderMap): void {
    if (!this.#ended) this.#stream.sendTrailers(trailers);
  }

  reset(reason: StreamResetReason): void {
    if (!this.#ended) this.#stream.reset(reason);
  }

  pause(): void {
    if (!this.#ended) this.#stream.pause();
  }

  resume(): void {
    if (!this.#ended) this.#stream.resume();
  }
}
