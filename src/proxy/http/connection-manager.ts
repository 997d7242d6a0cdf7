import { Timer, type TimerTask } from '../../lib/timer-wheel.ts';
import { HTTP_STATS } from '../../telemetry/stats/http-stats.ts';
import type { ConnectionInfo } from '../../filters/stream-info.ts';
import type { ServerStream, ServerStreamEvents } from '../codec/codec.ts';
import type { ConnectionInput } from '../codec/connection-io.ts';
import { H1ServerConnection } from '../codec/h1/server.ts';
import type { ServerCodec, ServerCodecOwner } from '../codec/server-codec.ts';
import type { DownstreamConnection } from '../connection/downstream-connection.ts';
import type { WorkerContext } from '../worker-context.ts';
import type { ConnectionManagerConfig } from './connection-manager-config.ts';
import { HttpStream } from './stream.ts';
import type { MutableStreamInfo } from './stream-info.ts';

const AT = HTTP_STATS.at;

/** How an HTTP/2 client begins; this much of it tells it from an HTTP/1 one. */
const PREFACE = Buffer.from('PRI * HTTP/2');

const NotDraining = 0;
/** An HTTP/2 client has been told to start nothing new; an HTTP/1 one hears it with its next response. */
const Draining = 1;
/** The connection ends as soon as no stream is left. */
const Closing = 2;

/**
 * The HTTP connection manager of one downstream connection: its codec, which the first bytes decide on, its streams,
 * and when it has to end (idle, too old, too many requests, draining).
 */
export class ConnectionManager implements ConnectionInput, ServerCodecOwner, TimerTask {
  readonly config: ConnectionManagerConfig;
  readonly worker: WorkerContext;
  readonly info: ConnectionInfo;
  readonly bufferLimit: number;
  /** HTTP/2: streams share the connection, and a response never ends it. */
  multiplexed = false;
  readonly #connection: DownstreamConnection;
  #codec: ServerCodec | undefined = undefined;
  /** First bytes that don't yet tell which codec they are for. */
  #undecided: Buffer | undefined = undefined;
  #streams = 0;
  readonly #idleTimer = new Timer(this);
  #durationTimer: Timer | undefined = undefined;
  #drainTimer: Timer | undefined = undefined;
  #requests = 0;
  #bytesCounted = 0;
  #draining: typeof NotDraining | typeof Draining | typeof Closing = NotDraining;
  #secure = false;
  #flushing = false;
  #closed = false;

  constructor(config: ConnectionManagerConfig, worker: WorkerContext, connection: DownstreamConnection) {
    this.config = config;
    this.worker = worker;
    this.info = connection.info;
    this.bufferLimit = connection.bufferLimit;
    this.#connection = connection;
    const { stats, model } = config;
    stats.inc(AT.downstream_cx_total);
    stats.inc(AT.downstream_cx_active);
    if (connection.info.tls !== undefined) this.onHandshakeDone();
    if (model.maxConnectionDurationMs > 0) {
      this.#durationTimer = new Timer(this);
      worker.dispatcher.arm(this.#durationTimer, model.maxConnectionDurationMs);
    }
    this.#armIdle();
    config.connections.add(this);
  }

  /** Of the connection: what its network filters have left for the streams on it. */
  get streamInfo(): MutableStreamInfo {
    return this.#connection.streamInfo;
  }

  // ---- from the socket --------------------------------------------------------------------------------------------

  onHandshakeDone(): void {
    if (this.#secure) return;
    this.#secure = true;
    this.config.stats.inc(AT.downstream_cx_ssl_total);
    this.config.stats.inc(AT.downstream_cx_ssl_active);
  }

  onData(chunk: Buffer): void {
    this.config.stats.add(AT.downstream_cx_rx_bytes_total, chunk.length);
    const codec = this.#codec;
    if (codec !== undefined) codec.onData(chunk);
    else this.#onFirstData(chunk);
    if (this.#draining === Closing) this.#closeIfDone();
  }

  onEnd(): void {
    this.#codec?.onEnd();
  }

  get allowsHalfClose(): boolean {
    return this.#codec?.allowsHalfClose ?? false;
  }

  onDrain(): void {
    this.#codec?.onDrain();
    if (this.#draining === Closing) this.#closeIfDone();
  }

  flush(): void {
    this.#codec?.flush();
    this.#countSent();
    if (!this.#flushing) return;
    this.#flushing = false;
    if (this.#streams === 0 && this.#codec?.hasPendingOutput !== true) this.#close();
  }

  flushFailed(): void {
    this.#connection.close('abort');
  }

  #countSent(): void {
    const { bytesSent } = this.#connection;
    this.config.stats.add(AT.downstream_cx_tx_bytes_total, bytesSent - this.#bytesCounted);
    this.#bytesCounted = bytesSent;
  }

  onClose(): void {
    if (this.#closed) return;
    this.#closed = true;
    const { dispatcher } = this.worker;
    dispatcher.disarm(this.#idleTimer);
    if (this.#durationTimer !== undefined) dispatcher.disarm(this.#durationTimer);
    if (this.#drainTimer !== undefined) dispatcher.disarm(this.#drainTimer);
    const { stats } = this.config;
    const local = this.#connection.closedLocally;
    stats.inc(local ? AT.downstream_cx_destroy_local : AT.downstream_cx_destroy_remote);
    if (this.#streams > 0) {
      stats.inc(AT.downstream_cx_destroy_active_rq);
      stats.inc(local ? AT.downstream_cx_destroy_local_active_rq : AT.downstream_cx_destroy_remote_active_rq);
    }
    const codec = this.#codec;
    codec?.onClose();
    this.#countSent();
    stats.inc(AT.downstream_cx_destroy);
    stats.dec(AT.downstream_cx_active);
    if (codec !== undefined)
      stats.dec(this.multiplexed ? AT.downstream_cx_http2_active : AT.downstream_cx_http1_active);
    if (this.#secure) stats.dec(AT.downstream_cx_ssl_active);
    stats.record(AT.downstream_cx_length_ms, Math.floor(dispatcher.now - this.info.startMs));
    this.config.connections.delete(this);
  }

  // ---- the codec ------------------------------------------------------------------------------------------------------

  /** Makes the codec, as Envoy does when the first bytes are there, and gives it what has come. */
  #onFirstData(chunk: Buffer): void {
    const held = this.#undecided;
    const bytes = held === undefined ? chunk : Buffer.concat([held, chunk]);
    const isHttp2 = this.#detectHttp2(bytes);
    if (isHttp2 === undefined) {
      this.#undecided = held === undefined ? Buffer.from(chunk) : bytes;
      return;
    }
    this.#undecided = undefined;
    const { config, worker } = this;
    const { stats } = config;
    const createHttp2 = isHttp2 ? config.createHttp2Codec : undefined;
    let codec: ServerCodec;
    if (createHttp2 !== undefined) {
      this.multiplexed = true;
      codec = createHttp2(this.#connection, config.http2Settings(this.bufferLimit), this);
    } else codec = new H1ServerConnection(this.#connection, worker.dispatcher, config.http1Settings, this);
    stats.inc(this.multiplexed ? AT.downstream_cx_http2_total : AT.downstream_cx_http1_total);
    stats.inc(this.multiplexed ? AT.downstream_cx_http2_active : AT.downstream_cx_http1_active);
    this.#codec = codec;
    codec.onData(bytes);
  }

  /** By configuration, else ALPN, else the preface of RFC 9113 section 3.4. Undefined: too few bytes to tell. */
  #detectHttp2(bytes: Buffer): boolean | undefined {
    const { codecType } = this.config.model;
    if (codecType !== 'auto') return codecType === 'http2';
    const alpn = this.info.tls?.alpn ?? '';
    if (alpn !== '') return alpn === 'h2';
    const length = Math.min(bytes.length, PREFACE.length);
    for (let i = 0; i < length; i++) if (bytes[i] !== PREFACE[i]) return false;
    return length === PREFACE.length ? true : undefined;
  }

  // ---- from the codec and the streams -----------------------------------------------------------------------------

  newStream(stream: ServerStream): ServerStreamEvents {
    const { stats, model } = this.config;
    this.#requests++;
    this.#streams++;
    if (model.maxRequestsPerConnection > 0 && this.#requests >= model.maxRequestsPerConnection) {
      if (!this.multiplexed) this.#draining = Closing;
      else if (this.#draining === NotDraining) this.#startDrain();
      stats.inc(AT.downstream_cx_max_requests_reached);
    }
    return new HttpStream(this, stream);
  }

  onConnectionError(flood: boolean): void {
    const { stats } = this.config;
    if (!flood) stats.inc(AT.downstream_cx_protocol_error);
    // The streams are gone before the connection is.
    if (this.#streams === 0) return;
    stats.inc(AT.downstream_cx_destroy_active_rq);
    stats.inc(AT.downstream_cx_destroy_local_active_rq);
  }

  onTooManyPrematureResets(): void {
    this.config.stats.inc(AT.downstream_rq_too_many_premature_resets);
  }

  /**
   * Decides, when response headers go out, whether this connection drains, and tells whether the response ends it.
   * `asked`: the stream wants it to.
   */
  closesAfterResponse(asked: boolean): boolean {
    if (this.#draining === NotDraining) {
      if (this.#connection.shouldDrain()) this.config.stats.inc(AT.downstream_cx_drain_close);
      else if (!asked) return false;
      // An HTTP/1 connection that closes after this very response needs no notice.
      else if (!this.multiplexed) return true;
      this.#startDrain();
    }
    return !this.multiplexed;
  }

  get streamCount(): number {
    return this.#streams;
  }

  /** Called once by each stream. */
  streamEnded(): void {
    this.#streams--;
    if (this.#closed || this.#streams > 0) return;
    if (this.#draining === Closing && this.multiplexed) this.#closeIfDone();
    else this.#armIdle();
  }

  // ---- its end ----------------------------------------------------------------------------------------------------

  /** The filter chain or the listener goes away: closes an idle connection now, a busy one after its last response. */
  drain(): void {
    if (this.#streams === 0) {
      this.#codec?.goAway();
      this.#draining = Closing;
      this.#closeIfDone();
    } else if (this.#draining === NotDraining) this.#startDrain();
  }

  onTimer(timer: Timer): void {
    const { stats } = this.config;
    if (timer === this.#idleTimer) {
      // Left armed while streams run: taking it out and putting it back for each would cost more than this.
      if (this.#streams > 0) return;
      stats.inc(AT.downstream_cx_idle_timeout);
      this.#retire();
    } else if (timer === this.#durationTimer) {
      stats.inc(AT.downstream_cx_max_duration_reached);
      this.#retire();
    } else {
      this.#codec?.goAway();
      this.#draining = Closing;
      this.#closeIfDone();
    }
  }

  /** Enough of this connection: at once if nothing has come over it yet. */
  #retire(): void {
    if (this.#codec === undefined) this.#connection.close('flush-no-delay');
    else if (this.#draining === NotDraining) this.#startDrain();
  }

  /** The peer may have requests on their way: it gets the drain timeout to learn that there shall be no more. */
  #startDrain(): void {
    this.#draining = Draining;
    this.#codec?.shutdownNotice();
    this.#drainTimer = new Timer(this);
    this.worker.dispatcher.arm(this.#drainTimer, this.config.model.drainTimeoutMs);
  }

  #armIdle(): void {
    const { idleTimeoutMs } = this.config.model;
    if (idleTimeoutMs > 0) this.worker.dispatcher.arm(this.#idleTimer, idleTimeoutMs);
  }

  /** Closes when nothing is left to serve or to send; what the codec has gathered in this turn leaves first. */
  #closeIfDone(): void {
    if (this.#closed || this.#flushing || this.#streams > 0) return;
    this.#flushing = true;
    this.worker.dispatcher.markDirty(this);
  }

  #close(): void {
    if (!this.#closed) this.#connection.close('flush');
  }
}
