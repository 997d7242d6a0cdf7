import { Timer, type TimerTask } from '../../../lib/timer-wheel.ts';
import type { ClusterModel } from '../../../config/cluster-model.ts';
import type { NetworkFilterForConnection } from '../../../filters/network/filter.ts';
import type { ConnectionInfo } from '../../../filters/stream-info.ts';
import type { ConnectionInput } from '../../codec/connection-io.ts';
import type { Dispatcher } from '../../dispatcher.ts';
import type { UpstreamTransportOptions } from '../../transport-socket/transport-socket.ts';
import type { UpstreamCluster } from '../cluster.ts';
import { CLUSTER_STATS } from '../cluster-stats.ts';
import type { UpstreamHost } from '../host.ts';
import type { PoolFailureReason } from '../upstream.ts';
import type { ConnectFailure } from './connect-failure.ts';
import type { Connector, UpstreamSocket, UpstreamSocketOwner } from './connector.ts';

/** What speaks the protocol of one connection that is up (HTTP/1, HTTP/2, nothing at all for TCP). */
export interface ProtocolClient<Request, Stream> extends ConnectionInput {
  attach(request: Request): Stream;
}

/** How the connections of a pool are used. */
export interface PoolProtocol<Request, Stream> {
  /** Streams that a connection of which nothing is known yet can take. */
  readonly assumedStreams: number;
  /** What ALPN offers where nothing else is configured. */
  readonly alpnFallback: readonly string[];
  /** Of a connection without streams; 0 = none. */
  readonly idleTimeoutMs: number;
  /** A connection is begun: counts it by its protocol, if that is certain. */
  onBegin(): void;
  /** A connection is up. */
  createClient(
    connection: PooledConnection<Request, Stream>,
    socket: UpstreamSocket,
    info: ConnectionInfo,
  ): ProtocolClient<Request, Stream>;
}

/** The pool that a connection belongs to. */
export interface PooledConnectionOwner<Request, Stream> {
  readonly cluster: UpstreamCluster;
  readonly host: UpstreamHost;
  readonly protocol: PoolProtocol<Request, Stream>;
  readonly transport: UpstreamTransportOptions;
  /** The connection is up; it has no stream yet. */
  onConnected(connection: PooledConnection<Request, Stream>): void;
  /** A stream is over and its request no longer counts; the connection can take another unless it is closing. */
  onStreamEnd(connection: PooledConnection<Request, Stream>): void;
  /** `limit` has changed. */
  onLimit(connection: PooledConnection<Request, Stream>): void;
  /** It never came up; `onClosed` follows. */
  onConnectFailed(
    connection: PooledConnection<Request, Stream>,
    reason: PoolFailureReason,
    transportFailure: string,
  ): void;
  onClosed(connection: PooledConnection<Request, Stream>): void;
}

/** What connections are made with; one a worker. */
export interface ConnectionFactory {
  readonly dispatcher: Dispatcher;
  readonly connector: Connector;
  /** The network filters of a cluster, compiled; absent: there are none. */
  networkFilters?(cluster: ClusterModel): readonly NetworkFilterForConnection[];
  /** Numbers unique in the process (%UPSTREAM_CONNECTION_ID%). */
  nextConnectionId(): number;
}

/** One connection of a pool: a socket, from its first packet to its last, and the client of its protocol once it is up. */
export class PooledConnection<Request, Stream> implements UpstreamSocketOwner, TimerTask {
  state: 'connecting' | 'open' | 'closed' = 'connecting';
  /** Takes no further stream, and closes with the last it has. */
  draining = false;
  /** Its socket is closing. */
  closing = false;
  /** Streams in flight. */
  active = 0;
  /** Streams that it can have in flight. */
  limit: number;
  /** The pool has it among those that may take a stream. */
  listed = false;
  /** A stream was cut off by this connection's end. */
  cutOff = false;
  /** What the pool counts on while it is connecting. */
  readonly expected: number;
  readonly #owner: PooledConnectionOwner<Request, Stream>;
  readonly #cluster: UpstreamCluster;
  readonly #dispatcher: Dispatcher;
  readonly #socket: UpstreamSocket;
  readonly #startMs: number;
  readonly #connectTimer: Timer = new Timer(this);
  readonly #idleTimer: Timer = new Timer(this);
  readonly #durationTimer: Timer = new Timer(this);
  #client: ProtocolClient<Request, Stream> | undefined = undefined;
  #info: ConnectionInfo | undefined = undefined;
  /** Streams that may still start; Infinity = no limit. */
  #remaining: number;
  #started = 0;
  #timedOut = false;

  constructor(owner: PooledConnectionOwner<Request, Stream>, factory: ConnectionFactory) {
    this.#owner = owner;
    const { cluster, host, protocol } = owner;
    const { model, stats } = cluster;
    this.#cluster = cluster;
    this.#dispatcher = factory.dispatcher;
    this.#startMs = factory.dispatcher.now;
    this.#remaining = model.maxRequestsPerConnection > 0 ? model.maxRequestsPerConnection : Infinity;
    this.limit = protocol.assumedStreams;
    this.expected = Math.min(this.limit, this.#remaining);
    stats.inc(CLUSTER_STATS.at.upstream_cx_total);
    stats.inc(CLUSTER_STATS.at.upstream_cx_active);
    protocol.onBegin();
    host.connectionStarted();
    this.#socket = factory.connector(
      factory.dispatcher,
      {
        address: host.model.address,
        additionalAddresses: host.model.additionalAddresses,
        hostname: host.hostname,
        bind: model.bind,
        keepalive: model.tcpKeepalive,
        bufferLimitBytes: model.perConnectionBufferLimitBytes,
        stats,
        connectionId: factory.nextConnectionId(),
        transportSocket: host.transportSocket,
        transport: owner.transport,
        filters: model.networkFilters.length === 0 ? [] : (factory.networkFilters?.(model) ?? []),
      },
      this,
    );
    this.#dispatcher.arm(this.#connectTimer, model.connectTimeoutMs);
  }

  get host(): UpstreamHost {
    return this.#owner.host;
  }

  get cluster(): UpstreamCluster {
    return this.#cluster;
  }

  get dispatcher(): Dispatcher {
    return this.#dispatcher;
  }

  /** Once it is up. */
  get info(): ConnectionInfo {
    return this.#info!;
  }

  /** Streams that it can take now. */
  get capacity(): number {
    if (this.draining || this.closing || this.state !== 'open') return 0;
    return Math.min(this.limit - this.active, this.#remaining);
  }

  /** Starts a stream; there has to be capacity for it. */
  attach(request: Request): Stream {
    this.active++;
    this.#started++;
    if (--this.#remaining === 0) {
      this.#cluster.stats.inc(CLUSTER_STATS.at.upstream_cx_max_requests);
      this.draining = true;
    }
    return this.#client!.attach(request);
  }

  /** Closes now, with or without streams. */
  close(): void {
    if (this.closing) return;
    this.closing = true;
    this.#socket.close('abort');
  }

  /** No further stream; closes as soon as there is none. */
  retire(): void {
    this.draining = true;
    if (this.active === 0) this.close();
  }

  /** It has no stream. */
  becomeIdle(): void {
    const { idleTimeoutMs } = this.#owner.protocol;
    if (idleTimeoutMs > 0) this.#dispatcher.arm(this.#idleTimer, idleTimeoutMs);
  }

  // ---- from the client --------------------------------------------------------------------------------------------

  /** A stream is over. Not from inside the client's `attach`. */
  streamEnded(): void {
    this.active--;
    if (this.draining && this.active === 0) this.close();
    this.#owner.onStreamEnd(this);
  }

  /** The peer lets us have so many streams at once from now on. */
  setLimit(limit: number): void {
    if (limit === this.limit) return;
    this.limit = limit;
    this.#owner.onLimit(this);
  }

  // ---- time -------------------------------------------------------------------------------------------------------

  onTimer(timer: Timer): void {
    const { stats } = this.#cluster;
    if (this.closing) return;
    if (timer === this.#connectTimer) {
      stats.inc(CLUSTER_STATS.at.upstream_cx_connect_timeout);
      this.#timedOut = true;
      this.close();
    } else if (timer === this.#idleTimer) {
      // Left armed while a stream runs: taking it out and putting it back would cost more than this.
      if (this.active > 0) return;
      stats.inc(CLUSTER_STATS.at.upstream_cx_idle_timeout);
      this.retire();
    } else {
      if (this.draining) return;
      stats.inc(CLUSTER_STATS.at.upstream_cx_max_duration_reached);
      this.retire();
    }
  }

  // ---- from the socket --------------------------------------------------------------------------------------------

  onConnected(info: ConnectionInfo): void {
    const { model, stats } = this.#cluster;
    this.#info = info;
    this.#dispatcher.disarm(this.#connectTimer);
    stats.record(CLUSTER_STATS.at.upstream_cx_connect_ms, this.#dispatcher.now - this.#startMs);
    if (model.maxConnectionDurationMs > 0) this.#dispatcher.arm(this.#durationTimer, model.maxConnectionDurationMs);
    this.state = 'open';
    this.#client = this.#owner.protocol.createClient(this, this.#socket, info);
    this.#socket.input = this.#client;
    this.#owner.onConnected(this);
  }

  onSocketClosed(local: boolean, failure: ConnectFailure | undefined): void {
    const connecting = this.#info === undefined;
    this.closing = true;
    this.state = 'closed';
    this.#dispatcher.disarm(this.#connectTimer);
    this.#dispatcher.disarm(this.#idleTimer);
    this.#dispatcher.disarm(this.#durationTimer);
    // A client that was told of the end has ended its streams by now; this is for one that hasn't.
    for (; this.active > 0; this.active--) this.#owner.onStreamEnd(this);
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
    if (this.cutOff) {
      stats.inc(at.upstream_cx_destroy_with_active_rq);
      stats.inc(local ? at.upstream_cx_destroy_local_with_active_rq : at.upstream_cx_destroy_remote_with_active_rq);
    }
    stats.dec(at.upstream_cx_active);
    stats.record(at.upstream_cx_length_ms, this.#dispatcher.now - this.#startMs);
    if (this.#info !== undefined) stats.record(at.upstream_rq_per_cx, this.#started);
    this.host.connectionEnded();
  }
}
