import type { Dispatcher } from '../../dispatcher.ts';
import type { UpstreamTransportOptions } from '../../transport-socket/transport-socket.ts';
import type { RoutingPriority, SharedCircuitBreaker } from '../circuit-breaker.ts';
import type { UpstreamCluster } from '../cluster.ts';
import { CLUSTER_STATS } from '../cluster-stats.ts';
import type { UpstreamHost } from '../host.ts';
import type { Host, PoolFailureReason } from '../upstream.ts';
import {
  PooledConnection,
  type ConnectionFactory,
  type PooledConnectionOwner,
  type PoolProtocol,
} from './connection.ts';

/** At most so many connections are begun for one event, as in Envoy. */
const CONNECTS_AT_ONCE = 3;

const { at } = CLUSTER_STATS;

/** Who wants a stream; PoolRequest and TcpPoolRequest. */
export interface StreamRequest<Stream> {
  onPoolReady(stream: Stream): void;
  onPoolFailure(reason: PoolFailureReason, transportFailure: string, host?: Host): void;
}

/** Whom the connections of one pool go to, and for whom. */
export interface PoolScope {
  readonly cluster: UpstreamCluster;
  readonly host: UpstreamHost;
  readonly priority: RoutingPriority;
  readonly transport: UpstreamTransportOptions;
  /** Called when the pool has neither connections nor requests any more; it may be forgotten then. */
  readonly onEmpty: (() => void) | undefined;
}

/** `request` undefined: cancelled meanwhile. */
interface PendingFailure<Request> {
  request: Request | undefined;
  readonly reason: PoolFailureReason;
  readonly text: string;
  readonly host: UpstreamHost | undefined;
}

/**
 * Connections to one host for one priority, whatever they speak. A request takes the connection that was used last;
 * without one it waits, first come first served, and connections are begun for those that wait, as many as their
 * assumed streams make necessary, within the circuit breaker. When a connection can't be made every waiting request
 * fails, as in Envoy: whoever retries comes back to a clean queue.
 */
export class StreamPool<Request extends StreamRequest<Stream>, Stream> implements PooledConnectionOwner<
  Request,
  Stream
> {
  readonly cluster: UpstreamCluster;
  readonly host: UpstreamHost;
  readonly transport: UpstreamTransportOptions;
  readonly protocol: PoolProtocol<Request, Stream>;
  readonly #breaker: SharedCircuitBreaker;
  readonly #factory: ConnectionFactory;
  readonly #dispatcher: Dispatcher;
  readonly #onEmpty: (() => void) | undefined;
  /** Those that may take a stream; the last one was used last. */
  readonly #ready: PooledConnection<Request, Stream>[] = [];
  readonly #all = new Set<PooledConnection<Request, Stream>>();
  /** Streams that connections on their way are expected to take. */
  #connectingStreams = 0;
  readonly #pending: Request[] = [];
  /** Requests that fail at the end of this turn, with why. */
  readonly #failing: PendingFailure<Request>[] = [];
  #attachPosted = false;
  #draining = false;
  readonly #runFailures = (): void => this.#failAll();
  readonly #runAttach = (): void => {
    this.#attachPosted = false;
    this.#attachPending();
  };

  constructor(scope: PoolScope, protocol: PoolProtocol<Request, Stream>, factory: ConnectionFactory) {
    const { cluster, host, priority, transport, onEmpty } = scope;
    this.cluster = cluster;
    this.host = host;
    this.transport = { ...transport, alpnFallback: protocol.alpnFallback };
    this.protocol = protocol;
    this.#breaker = priority === 'high' ? cluster.high : cluster.default;
    this.#factory = factory;
    this.#dispatcher = factory.dispatcher;
    this.#onEmpty = onEmpty;
  }

  /** The number of open and opening connections. */
  get size(): number {
    return this.#all.size;
  }

  /** See Pool. */
  newStream(request: Request): Stream | undefined {
    const connection = this.#nextReady();
    if (connection === undefined) {
      this.#enqueue(request);
      return undefined;
    }
    const stream = this.#attach(connection, request);
    if (stream === undefined) this.#failLater(request, this.host);
    return stream;
  }

  cancel(request: Request): void {
    const index = this.#pending.indexOf(request);
    if (index !== -1) {
      this.#pending.splice(index, 1);
      this.#dequeued();
      this.cluster.stats.inc(at.upstream_rq_cancelled);
      if (this.#draining) this.#closeIdle();
      return;
    }
    for (const failure of this.#failing) if (failure.request === request) failure.request = undefined;
  }

  /** The host is gone: connections close as soon as they are idle, waiting requests are still served. */
  drain(): void {
    this.#draining = true;
    for (const connection of this.#all) if (connection.active > 0) connection.draining = true;
    this.#closeIdle();
  }

  /** Ends every connection, whatever it is in the midst of. */
  closeConnections(): void {
    for (const connection of this.#all) connection.close();
  }

  onConnected(connection: PooledConnection<Request, Stream>): void {
    this.#connectingStreams -= connection.expected;
    this.#list(connection);
    connection.becomeIdle();
    this.#attachPending();
    if (this.#draining) this.#closeIdle();
  }

  onStreamEnd(connection: PooledConnection<Request, Stream>): void {
    const { stats } = this.cluster;
    stats.dec(at.upstream_rq_active);
    this.host.streamEnded();
    this.#breaker.releaseRequest();
    if (connection.closing) return;
    this.#list(connection);
    if (connection.active === 0) connection.becomeIdle();
    if (this.#pending.length > 0) this.#attachSoon();
    else if (this.#draining) this.#closeIdle();
  }

  onLimit(connection: PooledConnection<Request, Stream>): void {
    if (connection.capacity <= 0) return;
    this.#list(connection);
    if (this.#pending.length > 0) this.#attachSoon();
  }

  onConnectFailed(
    connection: PooledConnection<Request, Stream>,
    reason: PoolFailureReason,
    transportFailure: string,
  ): void {
    this.#connectingStreams -= connection.expected;
    const failed = this.#pending.splice(0);
    // Taken out of the count first: a retry may come back to this pool at once.
    for (let i = 0; i < failed.length; i++) this.#dequeued();
    for (const request of failed) {
      this.cluster.stats.inc(at.upstream_rq_pending_failure_eject);
      this.#failing.push({ request, reason, text: transportFailure, host: this.host });
    }
    if (failed.length > 0) this.#failAll();
  }

  onClosed(connection: PooledConnection<Request, Stream>): void {
    this.#all.delete(connection);
    this.#breaker.releaseConnection();
    if (connection.listed) {
      connection.listed = false;
      this.#ready.splice(this.#ready.indexOf(connection), 1);
    }
    if (this.#pending.length > 0) this.#connectAsNeeded();
    this.#checkEmpty();
  }

  #list(connection: PooledConnection<Request, Stream>): void {
    if (connection.listed) return;
    connection.listed = true;
    this.#ready.push(connection);
  }

  /** The connection to use next; it stays in the list. One that is closing is there until its socket is gone. */
  #nextReady(): PooledConnection<Request, Stream> | undefined {
    const ready = this.#ready;
    for (;;) {
      const connection = ready[ready.length - 1];
      if (connection === undefined || connection.capacity > 0) return connection;
      connection.listed = false;
      ready.pop();
    }
  }

  #enqueue(request: Request): void {
    const { stats } = this.cluster;
    if (!this.#breaker.tryPending()) {
      stats.inc(at.upstream_rq_pending_overflow);
      this.#failLater(request, undefined);
      return;
    }
    stats.inc(at.upstream_rq_pending_total);
    stats.inc(at.upstream_rq_pending_active);
    this.host.requestQueued();
    this.#pending.push(request);
    this.#connectAsNeeded();
  }

  #dequeued(): void {
    this.cluster.stats.dec(at.upstream_rq_pending_active);
    this.host.requestDequeued();
    this.#breaker.releasePending();
  }

  #connectAsNeeded(): void {
    for (let i = 0; i < CONNECTS_AT_ONCE && this.#pending.length > this.#connectingStreams; i++) {
      const allowed = this.host.activeConnections < this.cluster.model.perHostMaxConnections;
      const admitted = allowed && this.#breaker.tryConnection();
      if (!admitted) {
        this.cluster.stats.inc(at.upstream_cx_overflow);
        // Other hosts may have used up the limit; without any connection here the requests would wait for nothing.
        if (this.#all.size > 0) return;
        this.#breaker.forceConnection();
      }
      const connection = new PooledConnection<Request, Stream>(this, this.#factory);
      this.#connectingStreams += connection.expected;
      this.#all.add(connection);
      if (!admitted) return;
    }
  }

  /** Undefined: the breaker refuses. */
  #attach(connection: PooledConnection<Request, Stream>, request: Request): Stream | undefined {
    const { stats } = this.cluster;
    if (!this.#breaker.tryRequest()) {
      stats.inc(at.upstream_rq_active_overflow);
      return undefined;
    }
    stats.inc(at.upstream_rq_total);
    stats.inc(at.upstream_rq_active);
    this.host.requestStarted();
    const stream = connection.attach(request);
    if (connection.listed && connection.capacity <= 0 && this.#ready[this.#ready.length - 1] === connection) {
      connection.listed = false;
      this.#ready.pop();
    }
    return stream;
  }

  #attachSoon(): void {
    if (this.#attachPosted) return;
    // The codec may still be at work on this connection.
    this.#attachPosted = true;
    this.#dispatcher.post(this.#runAttach);
  }

  #attachPending(): void {
    while (this.#pending.length > 0) {
      const connection = this.#nextReady();
      if (connection === undefined) break;
      const request = this.#pending.shift()!;
      this.#dequeued();
      const stream = this.#attach(connection, request);
      if (stream === undefined) request.onPoolFailure('overflow', '', this.host);
      else request.onPoolReady(stream);
    }
    if (this.#pending.length > 0) this.#connectAsNeeded();
    else if (this.#draining) this.#closeIdle();
  }

  #failLater(request: Request, host: UpstreamHost | undefined): void {
    this.#failing.push({ request, reason: 'overflow', text: '', host });
    if (this.#failing.length === 1) this.#dispatcher.post(this.#runFailures);
  }

  #failAll(): void {
    for (let i = 0; i < this.#failing.length; i++) {
      const { request, reason, text, host } = this.#failing[i]!;
      // A request that one of the others cancels is taken out of the list meanwhile.
      this.#failing[i]!.request = undefined;
      request?.onPoolFailure(reason, text, host);
    }
    this.#failing.length = 0;
    this.#checkEmpty();
  }

  #closeIdle(): void {
    for (const connection of this.#ready.splice(0)) {
      connection.listed = false;
      connection.retire();
    }
    if (this.#pending.length > 0) return;
    for (const connection of this.#all) if (connection.state === 'connecting') connection.close();
  }

  #checkEmpty(): void {
    if (this.#onEmpty !== undefined && this.#all.size === 0 && this.#pending.length === 0 && this.#failing.length === 0)
      this.#onEmpty();
  }
}
