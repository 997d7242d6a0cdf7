import type { JsonObject } from '@bufbuild/protobuf';
import type { ClusterModel } from '../../src/config/cluster-model.ts';
import type { HeaderList } from '../../src/filters/headers.ts';
import { formatResponseFlags } from '../../src/filters/response-flags.ts';
import type { Random } from '../../src/lib/random.ts';
import { SharedCells } from '../../src/lib/shared-cells.ts';
import { Dispatcher } from '../../src/proxy/dispatcher.ts';
import type { HeaderMap } from '../../src/proxy/http/headers.ts';
import type { RoutedStream, RouterLocalReply, RouterOptions } from '../../src/proxy/http/request-sink.ts';
import type { MutableStreamInfo } from '../../src/proxy/http/stream-info.ts';
import { RouterConfig } from '../../src/proxy/router/router-config.ts';
import { Router } from '../../src/proxy/router/router.ts';
import type { Route, RouteTable } from '../../src/proxy/router/route.ts';
import type { WorkerContext } from '../../src/proxy/worker-context.ts';
import { ThreadStats } from '../../src/telemetry/stats/arena.ts';
import { FakeClock } from './fake-clock.ts';
import { FakeCluster } from './fake-cluster.ts';
import { fakeRuntime, request, routeTable, streamInfo, type RequestParts } from './route-table.ts';

const OPTIONS: RouterOptions = {
  dynamicStats: true,
  suppressEnvoyHeaders: false,
  respectExpectedRqTimeout: false,
  suppressGrpcRequestFailureCodeStats: false,
  strictCheckHeaders: [],
  upstreamAccessLogs: [],
};

export interface RouterWorldOptions {
  readonly routes?: readonly JsonObject[];
  readonly virtualHost?: JsonObject;
  readonly cluster?: Partial<ClusterModel>;
  readonly runtime?: Readonly<Record<string, number>>;
  readonly options?: Partial<RouterOptions>;
  readonly zone?: string;
}

/** A worker with fake clusters `a` and `b`, a real route table and a fake clock: everything around a router. */
export class RouterWorld {
  readonly clock = new FakeClock();
  readonly dispatcher = new Dispatcher(this.clock);
  readonly stats = new ThreadStats();
  readonly clusters = new Map<string, FakeCluster>();
  readonly worker: WorkerContext;
  readonly config: RouterConfig;
  readonly table: RouteTable;
  /** What every draw gives, as a share of its bound. */
  chance = 0.5;

  constructor(options: RouterWorldOptions = {}) {
    const random: Random = { unit: () => this.chance, below: (bound) => Math.floor(bound * this.chance) };
    this.worker = {
      index: 0,
      dispatcher: this.dispatcher,
      random,
      stats: this.stats,
      shared: new SharedCells(),
      clusters: { get: (name) => this.clusters.get(name) },
      runtime: fakeRuntime(options.runtime),
      node: { id: '', cluster: '', zone: options.zone ?? '' },
      accessLogs: { create: () => ({ log: () => {} }) },
      log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
    } as WorkerContext;
    this.clusters.set('a', new FakeCluster('a', this.dispatcher, this.stats, options.cluster));
    this.clusters.set('b', new FakeCluster('b', this.dispatcher, this.stats));
    this.config = new RouterConfig(this.worker, { ...OPTIONS, ...options.options }, this.stats.scope('http.p'));
    const routes = [...(options.routes ?? [{ match: { prefix: '/' }, route: { cluster: 'a' } }])];
    const virtualHosts = [{ name: 'v', domains: ['*'], routes, ...options.virtualHost }];
    this.table = routeTable({ name: 'test', virtual_hosts: virtualHosts }, { stats: this.stats });
  }

  get a(): FakeCluster {
    return this.clusters.get('a')!;
  }

  get b(): FakeCluster {
    return this.clusters.get('b')!;
  }

  /** The value of a counter; 0 if it was never touched. */
  count(name: string): number {
    return (this.stats.value(name) ?? 0) + 0;
  }

  /** Sends a request's headers through a new router. */
  start(path: string, parts: RequestParts & { readonly endStream?: boolean } = {}): FakeStream {
    const stream = new FakeStream(this, request(path, parts));
    this.dispatcher.turn(() => stream.router.onHeaders(stream.requestHeaders, parts.endStream ?? true));
    return stream;
  }

  advance(ms: number): void {
    this.clock.advance(ms);
  }
}

/** A downstream stream that records what its router does. */
export class FakeStream implements RoutedStream {
  readonly worker: WorkerContext;
  readonly info: MutableStreamInfo = streamInfo();
  readonly requestHeaders: HeaderMap;
  readonly route: Route | undefined;
  bufferLimit = 1 << 20;
  readonly internalRequest: boolean;
  readonly routerOptions: RouterOptions;
  overrideHost: string | undefined = undefined;
  overrideHostStrict = false;

  readonly router: Router;
  informational: number[] = [];
  response: HeaderMap | undefined = undefined;
  body = '';
  trailers: HeaderMap | undefined = undefined;
  reply: RouterLocalReply | undefined = undefined;
  /** The stream is over, by a whole response, a local reply or a reset. */
  ended = false;
  requestPauses = 0;
  recreated: { headers: HeaderMap; body: string; trailers: HeaderMap | undefined } | undefined = undefined;
  acceptsRecreate = true;
  readonly #world: RouterWorld;

  constructor(world: RouterWorld, headers: HeaderMap) {
    this.#world = world;
    this.worker = world.worker;
    this.requestHeaders = headers;
    this.internalRequest = headers.get('x-envoy-internal') === 'true';
    this.routerOptions = world.config.options;
    this.route = world.table.resolve(headers, this.info, 0);
    this.router = new Router(this, world.config);
  }

  // ---- driven by the test

  data(text: string, endStream = false): void {
    // The chunk is borrowed: it changes as soon as the call is over.
    const chunk = Buffer.from(text, 'latin1');
    this.#world.dispatcher.turn(() => this.router.onData(chunk, endStream));
    if (chunk.length < 16 * 1024) chunk.fill(0x21);
  }

  sendRequestTrailers(fields: HeaderList): void {
    const trailers = this.requestHeaders.clone();
    trailers.names.length = trailers.values.length = 0;
    for (const [name, value] of fields) trailers.append(name, value);
    this.#world.dispatcher.turn(() => this.router.onTrailers(trailers));
  }

  /** The client is gone. */
  abort(): void {
    this.ended = true;
    this.#world.dispatcher.turn(() => this.router.destroy());
  }

  /** Short names of the response flags, sorted. */
  get flags(): string {
    return formatResponseFlags(this.info.flags | (this.reply?.flag ?? 0))
      .split(',')
      .sort()
      .join(',');
  }

  /** `status body` of a local reply. */
  get replied(): string | undefined {
    return this.reply === undefined ? undefined : `${this.reply.status} ${this.reply.body}`;
  }

  // ---- driven by the router

  sendInformational(headers: HeaderMap): void {
    this.#check();
    this.informational.push(headers.status);
  }

  sendHeaders(headers: HeaderMap, endStream: boolean): void {
    this.#check();
    if (this.response !== undefined) throw new Error('two responses');
    this.response = headers;
    if (endStream) this.#end();
  }

  sendData(chunk: Buffer, endStream: boolean): void {
    this.#check();
    this.body += chunk.toString('latin1');
    if (endStream) this.#end();
  }

  sendTrailers(trailers: HeaderMap): void {
    this.#check();
    this.trailers = trailers;
    this.#end();
  }

  sendLocalReply(reply: RouterLocalReply): void {
    this.#check();
    this.reply = reply;
    this.#end();
  }

  reset(): void {
    this.#check();
    this.#end();
  }

  /** The error of a failure that was contained. */
  failure: unknown = undefined;

  fail(error: unknown): void {
    this.failure = error;
    if (!this.ended) this.#end();
  }

  pauseRequest(): void {
    this.requestPauses++;
  }

  resumeRequest(): void {
    this.requestPauses--;
    if (this.requestPauses < 0) throw new Error('resumed more often than paused');
  }

  recreate(headers: HeaderMap, _response: HeaderMap, body?: readonly Buffer[], trailers?: HeaderMap): boolean {
    if (!this.acceptsRecreate) return false;
    this.router.destroy();
    this.recreated = { headers, body: Buffer.concat(body ?? []).toString('latin1'), trailers };
    return true;
  }

  resolveRoute(headers: HeaderMap): Route | undefined {
    return this.#world.table.resolve(headers, this.info, 0);
  }

  #check(): void {
    if (this.ended) throw new Error('the stream has ended');
  }

  #end(): void {
    this.ended = true;
    this.router.destroy();
  }
}
