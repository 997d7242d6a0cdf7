import type { ClusterModel } from '../../src/config/cluster-model.ts';
import type { ConnectionInfo, Metadata } from '../../src/filters/stream-info.ts';
import type { HttpProtocol, StreamResetReason } from '../../src/proxy/codec/codec.ts';
import type { Dispatcher } from '../../src/proxy/dispatcher.ts';
import { HeaderMap } from '../../src/proxy/http/headers.ts';
import { CLUSTER_STATS, TRACKED_STATS } from '../../src/proxy/upstream/cluster-stats.ts';
import { ResponseStats } from '../../src/proxy/upstream/response-stats.ts';
import type {
  CircuitBreaker,
  Cluster,
  Host,
  LoadBalancerContext,
  Pool,
  TcpPool,
  PoolFailureReason,
  PoolRequest,
  UpstreamStream,
} from '../../src/proxy/upstream/upstream.ts';
import type { StatBlock, StatsScope } from '../../src/telemetry/stats/stats.ts';
import { FakeTcpPool } from './fake-tcp-pool.ts';
import { streamInfo } from './route-table.ts';

export class FakeHost implements Host {
  readonly address: string;
  hostname = '';
  metadata: Metadata | undefined = undefined;
  zone = '';
  canary = false;
  readonly weight = 1;
  readonly priority = 0;
  successes = 0;
  errors = 0;
  timeouts = 0;
  healthCheckFailures = 0;

  constructor(address: string) {
    this.address = address;
  }

  requestStarted(): void {}
  streamEnded(): void {}
  requestEnded(success: boolean): void {
    if (success) this.successes++;
    else this.errors++;
  }
  requestTimedOut(): void {
    this.timeouts++;
  }
  failHealthCheck(): void {
    this.healthCheckFailures++;
  }
}

export class FakeBreaker implements CircuitBreaker {
  retryLimit = 3;
  connectable = true;
  retries = 0;
  readonly #stats: StatBlock;

  constructor(stats: StatBlock) {
    this.#stats = stats;
  }

  tryRequest(): boolean {
    return true;
  }
  releaseRequest(): void {}
  canConnect(): boolean {
    return this.connectable;
  }
  tryRetry(): boolean {
    if (this.retries < this.retryLimit) {
      this.retries++;
      return true;
    }
    this.#stats.inc(CLUSTER_STATS.at.upstream_rq_retry_overflow);
    return false;
  }
  releaseRetry(): void {
    this.retries--;
  }
}

/** One cluster whose hosts all share one pool; what goes upstream is recorded, what comes back is up to the test. */
export class FakeCluster implements Cluster {
  readonly name: string;
  readonly stats: StatBlock;
  readonly trackedStats: StatBlock | undefined;
  readonly breakerOf: FakeBreaker;
  readonly fakePool: FakePool;
  readonly fakeTcpPool: FakeTcpPool;
  model: ClusterModel;
  hosts: FakeHost[] = [new FakeHost('10.1.0.1:80')];
  dropOverload = 0;
  /** Of each request that was dropped, whether it was for `dropOverload`. */
  readonly drops: boolean[] = [];
  #next = 0;
  readonly #responses: ResponseStats;

  constructor(name: string, dispatcher: Dispatcher, stats: StatsScope, model: Partial<ClusterModel> = {}) {
    this.name = name;
    const scope = stats.scope(`cluster.${name}`);
    this.stats = scope.block(CLUSTER_STATS);
    this.trackedStats = model.trackTimeoutBudgets === true ? scope.block(TRACKED_STATS) : undefined;
    this.#responses = new ResponseStats(this.stats, scope);
    this.breakerOf = new FakeBreaker(this.stats);
    this.fakePool = new FakePool(dispatcher);
    this.fakeTcpPool = new FakeTcpPool(dispatcher);
    const defaults = { name, altStatName: name, metadata: undefined, maxStreamDurationMs: 0 };
    this.model = {
      ...defaults,
      trackRequestResponseSizes: false,
      trackTimeoutBudgets: false,
      transportSocket: { kind: 'raw-buffer' },
      transportSocketMatches: [],
      ...model,
    } as ClusterModel;
  }

  /** Round robin over the hosts that the context accepts, as often as it may be asked. */
  pickHost(context: LoadBalancerContext): Host | undefined {
    if (this.hosts.length === 0) return undefined;
    let host = this.hosts[this.#next++ % this.hosts.length]!;
    for (let i = 1; i < context.hostSelectionRetries && context.rejectHost(host); i++)
      host = this.hosts[this.#next++ % this.hosts.length]!;
    return host;
  }

  pool(host: Host): Pool {
    this.fakePool.host = host;
    return this.fakePool;
  }

  tcpPool(host: Host): TcpPool {
    this.fakeTcpPool.host = host;
    return this.fakeTcpPool;
  }

  breaker(): CircuitBreaker {
    return this.breakerOf;
  }

  countDrop(overload: boolean): void {
    this.drops.push(overload);
  }

  chargeResponse(status: number, internal: boolean, canary: boolean): void {
    this.#responses.charge(status, internal, canary);
  }

  chargeResponseTime(ms: number, internal: boolean, canary: boolean): void {
    this.#responses.chargeTime(ms, internal, canary);
  }
}

export class FakePool implements Pool {
  host: Host | undefined = undefined;
  /** False: requests wait until `ready` or `fail` is called. */
  immediate = true;
  readonly waiting: { readonly request: PoolRequest; readonly host: Host }[] = [];
  readonly streams: FakeUpstreamStream[] = [];
  readonly #dispatcher: Dispatcher;

  constructor(dispatcher: Dispatcher) {
    this.#dispatcher = dispatcher;
  }

  newStream(request: PoolRequest): UpstreamStream | undefined {
    if (this.immediate) return this.#open(request, this.host!);
    this.waiting.push({ request, host: this.host! });
    return undefined;
  }

  cancel(request: PoolRequest): void {
    const at = this.waiting.findIndex((waiting) => waiting.request === request);
    if (at !== -1) this.waiting.splice(at, 1);
  }

  /** Gives the request that waits longest its stream. */
  ready(): FakeUpstreamStream {
    const { request, host } = this.waiting.shift()!;
    const stream = this.#open(request, host);
    this.#dispatcher.turn(() => request.onPoolReady(stream));
    return stream;
  }

  fail(reason: PoolFailureReason, transportFailure = ''): void {
    const { request } = this.waiting.shift()!;
    this.#dispatcher.turn(() => request.onPoolFailure(reason, transportFailure));
  }

  get last(): FakeUpstreamStream {
    return this.streams.at(-1)!;
  }

  /** Streams of which neither both directions ended nor one side reset. */
  get open(): number {
    return this.streams.filter((stream) => stream.isOpen).length;
  }

  #open(request: PoolRequest, host: Host): FakeUpstreamStream {
    const stream = new FakeUpstreamStream(host, request, this.#dispatcher);
    this.streams.push(stream);
    return stream;
  }
}

export class FakeUpstreamStream implements UpstreamStream {
  readonly host: Host;
  readonly connection: ConnectionInfo;
  protocol: HttpProtocol = 'HTTP/1.1';
  wireBytesSent = 0;
  wireBytesReceived = 0;
  headers: HeaderMap = new HeaderMap();
  body = '';
  trailers: HeaderMap | undefined = undefined;
  requestEnded = false;
  responseEnded = false;
  resetReason: StreamResetReason | undefined = undefined;
  pauses = 0;
  /** What `sendData` answers. */
  writable = true;
  #gone = false;
  readonly #events: PoolRequest;
  readonly #dispatcher: Dispatcher;

  constructor(host: Host, events: PoolRequest, dispatcher: Dispatcher) {
    this.host = host;
    this.#events = events;
    this.#dispatcher = dispatcher;
    this.connection = streamInfo().connection;
  }

  get isOpen(): boolean {
    return !this.#gone && this.resetReason === undefined && !(this.requestEnded && this.responseEnded);
  }

  // ---- driven by the router

  sendInformational(): void {}

  sendHeaders(headers: HeaderMap, endStream: boolean): void {
    this.#check();
    this.headers = headers.clone();
    this.requestEnded = endStream;
    this.wireBytesSent += 100;
  }

  sendData(chunk: Buffer, endStream: boolean): boolean {
    this.#check();
    this.body += chunk.toString('latin1');
    this.requestEnded = endStream;
    this.wireBytesSent += chunk.length;
    return this.writable;
  }

  sendTrailers(trailers: HeaderMap): void {
    this.#check();
    this.trailers = trailers.clone();
    this.requestEnded = true;
  }

  reset(reason: StreamResetReason): void {
    if (this.isOpen) this.resetReason = reason;
  }

  pause(): void {
    this.pauses++;
  }

  resume(): void {
    this.pauses--;
    if (this.pauses < 0) throw new Error('resumed more often than paused');
  }

  #check(): void {
    if (this.requestEnded) throw new Error('written to after the end of the request');
    if (this.resetReason !== undefined) throw new Error('written to after a reset');
  }

  // ---- driven by the test

  /** Response headers, with a body unless it is undefined, each in a turn of its own. */
  respond(status: number, fields: Readonly<Record<string, string>> = {}, body?: string): void {
    this.respondHeaders(status, fields, body === undefined);
    if (body !== undefined) this.respondData(body, true);
  }

  respondHeaders(status: number, fields: Readonly<Record<string, string>> = {}, endStream = false): void {
    const headers = HeaderMap.of(Object.entries(fields));
    headers.status = status;
    if (endStream) this.responseEnded = true;
    this.wireBytesReceived += 50;
    this.#dispatcher.turn(() => this.#events.onHeaders(headers, endStream));
  }

  respondData(text: string, endStream: boolean): void {
    if (endStream) this.responseEnded = true;
    this.wireBytesReceived += text.length;
    this.#dispatcher.turn(() => this.#events.onData(Buffer.from(text, 'latin1'), endStream));
  }

  respondTrailers(fields: Readonly<Record<string, string>>): void {
    this.responseEnded = true;
    this.#dispatcher.turn(() => this.#events.onTrailers(HeaderMap.of(Object.entries(fields))));
  }

  inform(status: number): void {
    const headers = new HeaderMap();
    headers.status = status;
    this.#dispatcher.turn(() => this.#events.onInformational?.(headers));
  }

  break(reason: StreamResetReason): void {
    this.#gone = true;
    this.#dispatcher.turn(() => this.#events.onReset(reason, ''));
  }

  drain(): void {
    this.writable = true;
    this.#dispatcher.turn(() => this.#events.onWritable());
  }
}
