import { Timer, type TimerTask } from '../../lib/timer-wheel.ts';
import { HTTP_STATS } from '../../telemetry/stats/http-stats.ts';
import type { ConnectionInfo } from '../../filters/stream-info.ts';
import type { ServerStream, ServerStreamEvents, ServerStreamFactory } from '../codec/codec.ts';
import type { ConnectionInput, ConnectionOutput } from '../codec/connection-io.ts';
import { H1ServerConnection } from '../codec/h1/server.ts';
import type { WorkerContext } from '../worker-context.ts';
import type { ConnectionManagerConfig } from './connection-manager-config.ts';
import { HttpStream } from './stream.ts';

const AT = HTTP_STATS.at;

/** What a connection manager needs of the connection that it is the last network filter of. */
export interface DownstreamConnection extends ConnectionOutput {
  readonly info: ConnectionInfo;
  /** Bytes handed to the socket so far. */
  readonly bytesSent: number;
  /** We ended it, not the peer; valid once it is closed. */
  readonly closedLocally: boolean;
  /** Soft limit of what the connection buffers each way, in bytes. */
  readonly bufferLimit: number;
  /** True: this connection should go, by the drain state of its listener or of the server (a die may be cast). */
  shouldDrain(): boolean;
}

/**
 * The HTTP connection manager of one downstream connection: its codec, its streams, and when it has to end (idle,
 * too old, too many requests, draining).
 */
export class ConnectionManager implements ConnectionInput, ServerStreamFactory, TimerTask {
  readonly config: ConnectionManagerConfig;
  readonly worker: WorkerContext;
  readonly info: ConnectionInfo;
  readonly bufferLimit: number;
  readonly #connection: DownstreamConnection;
  readonly #codec: H1ServerConnection;
  #streams = 0;
  readonly #idleTimer = new Timer(this);
  #durationTimer: Timer | undefined = undefined;
  #requests = 0;
  #bytesCounted = 0;
  #draining = false;
  #closed = false;

  constructor(config: ConnectionManagerConfig, worker: WorkerContext, connection: DownstreamConnection) {
    this.config = config;
    this.worker = worker;
    this.info = connection.info;
    this.bufferLimit = connection.bufferLimit;
    this.#connection = connection;
    this.#codec = new H1ServerConnection(connection, worker.dispatcher, config.http1Settings, this);
    const { stats, model } = config;
    stats.inc(AT.downstream_cx_total);
    stats.inc(AT.downstream_cx_active);
    if (model.maxConnectionDurationMs > 0) {
      this.#durationTimer = new Timer(this);
      worker.dispatcher.arm(this.#durationTimer, model.maxConnectionDurationMs);
    }
    this.#armIdle();
    config.connections.add(this);
  }

  // ---- from the socket --------------------------------------------------------------------------------------------

  onData(chunk: Buffer): void {
    const { stats } = this.config;
    if (this.#requests === 0 && this.#streams === 0) this.#countProtocol();
    stats.add(AT.downstream_cx_rx_bytes_total, chunk.length);
    this.#codec.onData(chunk);
  }

  onEnd(): void {
    this.#codec.onEnd();
  }

  onDrain(): void {
    this.#codec.onDrain();
  }

  flush(): void {
    this.#codec.flush();
    this.#countSent();
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
    const { stats } = this.config;
    const local = this.#connection.closedLocally;
    stats.inc(local ? AT.downstream_cx_destroy_local : AT.downstream_cx_destroy_remote);
    if (this.#streams > 0) {
      stats.inc(AT.downstream_cx_destroy_active_rq);
      stats.inc(local ? AT.downstream_cx_destroy_local_active_rq : AT.downstream_cx_destroy_remote_active_rq);
    }
    this.#codec.onClose();
    this.#countSent();
    stats.inc(AT.downstream_cx_destroy);
    stats.dec(AT.downstream_cx_active);
    if (this.#protocolCounted) stats.dec(AT.downstream_cx_http1_active);
    stats.record(AT.downstream_cx_length_ms, Math.floor(dispatcher.now - this.info.startMs));
    this.config.connections.delete(this);
  }

  #protocolCounted = false;

  /** Envoy counts the protocol when the first bytes have shown it. */
  #countProtocol(): void {
    if (this.#protocolCounted) return;
    this.#protocolCounted = true;
    const { stats } = this.config;
    stats.inc(AT.downstream_cx_http1_total);
    stats.inc(AT.downstream_cx_http1_active);
  }

  // ---- from the codec and the streams -----------------------------------------------------------------------------

  newStream(stream: ServerStream): ServerStreamEvents {
    this.#requests++;
    this.#streams++;
    return new HttpStream(this, stream);
  }

  /** Decides, when response headers go out, whether the connection ends after this response. */
  closesAfterResponse(): boolean {
    const { stats, model } = this.config;
    if (this.#draining) return true;
    if (model.maxRequestsPerConnection > 0 && this.#requests >= model.maxRequestsPerConnection) {
      stats.inc(AT.downstream_cx_max_requests_reached);
      this.#draining = true;
    } else if (this.#connection.shouldDrain()) {
      stats.inc(AT.downstream_cx_drain_close);
      this.#draining = true;
    }
    return this.#draining;
  }

  get streamCount(): number {
    return this.#streams;
  }

  /** Called once by each stream. */
  streamEnded(): void {
    this.#streams--;
    if (this.#closed || this.#streams > 0) return;
    this.#armIdle();
  }

  // ---- its end ----------------------------------------------------------------------------------------------------

  /** The filter chain or the listener goes away: closes an idle connection now, a busy one after its response. */
  drain(): void {
    this.#draining = true;
    if (this.#streams === 0) this.#close();
  }

  onTimer(timer: Timer): void {
    const { stats } = this.config;
    if (timer === this.#idleTimer) {
      // Left armed while streams run: taking it out and putting it back for each would cost more than this.
      if (this.#streams > 0) return;
      stats.inc(AT.downstream_cx_idle_timeout);
      this.#close();
    } else {
      stats.inc(AT.downstream_cx_max_duration_reached);
      this.drain();
    }
  }

  #armIdle(): void {
    const { idleTimeoutMs } = this.config.model;
    if (idleTimeoutMs > 0) this.worker.dispatcher.arm(this.#idleTimer, idleTimeoutMs);
  }

  #close(): void {
    if (!this.#closed) this.#connection.close('flush');
  }
}
