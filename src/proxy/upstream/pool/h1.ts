import type { Dispatcher } from '../../dispatcher.ts';
import type { RoutingPriority, SharedCircuitBreaker } from '../circuit-breaker.ts';
import type { DrainablePool, UpstreamCluster } from '../cluster.ts';
import { CLUSTER_STATS } from '../cluster-stats.ts';
import type { UpstreamHost } from '../host.ts';
import type { PoolFailureReason, PoolRequest, UpstreamStream } from '../upstream.ts';
import { Http1Connection, type Http1ConnectionFactory, type Http1ConnectionOwner } from './h1-connection.ts';

/** At most so many connections are begun for one event, as in Envoy. */
const CONNECTS_AT_ONCE = 3;

const { at } = CLUSTER_STATS;

/** `request` undefined: cancelled meanwhile. */
interface PendingFailure {
  request: PoolRequest | undefined;
  readonly reason: PoolFailureReason;
  readonly text: string;
  readonly host: UpstreamHost | undefined;
}

/**
 * HTTP/1 connections to one host for one priority. A request takes the connection that was used last; without one it
 * waits, first come first served, and one connection is begun for each that waits, within the circuit breaker. When a
 * connection can't be made every waiting request fails, as in Envoy: whoever retries comes back to a clean queue.
 */
export class Http1Pool implements DrainablePool, Http1ConnectionOwner {
  readonly cluster: UpstreamCluster;
  readonly host: UpstreamHost;
  readonly #breaker: SharedCircuitBreaker;
  readonly #factory: Http1ConnectionFactory;
  readonly #dispatcher: Dispatcher;
  readonly #ready: Http1Connection[] = [];
  readonly #all = new Set<Http1Connection>();
  #connecting = 0;
  readonly #pending: PoolRequest[] = [];
  /** Requests that fail at the end of this turn, with why. */
  readonly #failing: PendingFailure[] = [];
  #attachPosted = false;
  #draining = false;
  readonly #runFailures = (): void => this.#failAll();
  readonly #runAttach = (): void => {
    this.#attachPosted = false;
    this.#attachPending();
  };

  constructor(
    cluster: UpstreamCluster,
    host: UpstreamHost,
    priority: RoutingPriority,
    factory: Http1ConnectionFactory,
  ) {
    this.cluster = cluster;
    this.host = host;
    this.#breaker = priority === 'high' ? cluster.high : cluster.default;
    this.#factory = factory;
    this.#dispatcher = factory.dispatcher;
  }

  /** The number of open and opening connections. */
  get size(): number {
    return this.#all.size;
  }

  newStream(request: PoolRequest): UpstreamStream | undefined {
    const connection = this.#takeReady();
    if (connection === undefined) {
      this.#enqueue(request);
      return undefined;
    }
    const stream = this.#attach(connection, request);
    if (stream === undefined) {
      this.#ready.push(connection);
      this.#failLater(request, this.host);
    }
    return stream;
  }

  cancel(request: PoolRequest): void {
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
    for (const connection of this.#all) if (connection.state === 'busy') connection.draining = true;
    this.#closeIdle();
  }

  onConnected(connection: Http1Connection): void {
    this.#connecting--;
    this.#ready.push(connection);
    connection.becomeIdle();
    this.#attachPending();
    if (this.#draining) this.#closeIdle();
  }

  onStreamEnd(connection: Http1Connection): void {
    const { stats } = this.cluster;
    stats.dec(at.upstream_rq_active);
    this.host.streamEnded();
    this.#breaker.releaseRequest();
    if (connection.closing) return;
    this.#ready.push(connection);
    connection.becomeIdle();
    if (this.#pending.length > 0 && !this.#attachPosted) {
      // The codec may still be at work on this connection.
      this.#attachPosted = true;
      this.#dispatcher.post(this.#runAttach);
    } else if (this.#draining) this.#closeIdle();
  }

  onConnectFailed(_connection: Http1Connection, reason: PoolFailureReason, transportFailure: string): void {
    this.#connecting--;
    const failed = this.#pending.splice(0);
    // Taken out of the count first: a retry may come back to this pool at once.
    for (let i = 0; i < failed.length; i++) this.#dequeued();
    for (const request of failed) {
      this.cluster.stats.inc(at.upstream_rq_pending_failure_eject);
      this.#failing.push({ request, reason, text: transportFailure, host: this.host });
    }
    if (failed.length > 0) this.#failAll();
  }

  onClosed(connection: Http1Connection): void {
    this.#all.delete(connection);
    this.#breaker.releaseConnection();
    const index = this.#ready.indexOf(connection);
    if (index !== -1) this.#ready.splice(index, 1);
    if (this.#pending.length > 0) this.#connectAsNeeded();
  }

  /** The connection that was used last; one that is closing stays in the list until its socket is gone. */
  #takeReady(): Http1Connection | undefined {
    let connection = this.#ready.pop();
    while (connection?.closing) connection = this.#ready.pop();
    return connection;
  }

  #enqueue(request: PoolRequest): void {
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
    for (let i = 0; i < CONNECTS_AT_ONCE && this.#pending.length > this.#connecting; i++) {
      const allowed = this.host.activeConnections < this.cluster.model.perHostMaxConnections;
      const admitted = allowed && this.#breaker.tryConnection();
      if (!admitted) {
        this.cluster.stats.inc(at.upstream_cx_overflow);
        // Other hosts may have used up the limit; without any connection here the requests would wait for nothing.
        if (this.#all.size > 0) return;
        this.#breaker.forceConnection();
      }
      this.#connecting++;
      this.#all.add(new Http1Connection(this, this.#factory));
      if (!admitted) return;
    }
  }

  /** Undefined: the breaker refuses; the connection stays ready. */
  #attach(connection: Http1Connection, request: PoolRequest): UpstreamStream | undefined {
    const { stats } = this.cluster;
    if (!this.#breaker.tryRequest()) {
      stats.inc(at.upstream_rq_active_overflow);
      return undefined;
    }
    stats.inc(at.upstream_rq_total);
    stats.inc(at.upstream_rq_active);
    this.host.requestStarted();
    return connection.attach(request);
  }

  #attachPending(): void {
    while (this.#pending.length > 0) {
      const connection = this.#takeReady();
      if (connection === undefined) break;
      const request = this.#pending.shift()!;
      this.#dequeued();
      const stream = this.#attach(connection, request);
      if (stream === undefined) {
        this.#ready.push(connection);
        request.onPoolFailure('overflow', '', this.host);
      } else request.onPoolReady(stream);
    }
    if (this.#pending.length > 0) this.#connectAsNeeded();
    else if (this.#draining) this.#closeIdle();
  }

  #failLater(request: PoolRequest, host: UpstreamHost | undefined): void {
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
  }

  #closeIdle(): void {
    for (const connection of this.#ready.splice(0)) connection.close();
    if (this.#pending.length > 0) return;
    for (const connection of this.#all) if (connection.state === 'connecting') connection.close();
  }
}
