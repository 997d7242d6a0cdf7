import { needsSocketCalls } from '../config/needs-socket-calls.ts';
import { httpFiltersOf } from '../config/http-filters-of.ts';
import { Runtime } from '../config/runtime.ts';
import type { SnapshotDelta } from '../config/snapshot.ts';
import { networkFiltersOf } from '../config/network-filters-of.ts';
import { builtinFilterRegistries } from '../filters/filter-registries.ts';
import { systemClock, type Clock } from '../lib/clock.ts';
import { SystemRandom, type Random } from '../lib/random.ts';
import { loadSocketCalls, type SocketCalls } from '../lib/posix/socket-calls.ts';
import type { SharedCells } from '../lib/shared-cells.ts';
import { Dispatcher } from '../proxy/dispatcher.ts';
import { compileClusterFilters } from '../proxy/connection/compile-cluster-filters.ts';
import { createFilterChain } from '../proxy/connection/create-filter-chain.ts';
import { Drain } from '../proxy/listener/drain.ts';
import { ListenerSet, type ListenerOutcome } from '../proxy/listener/listener-set.ts';
import { compileRouteTable } from '../proxy/router/route-table.ts';
import type { RouteTable } from '../proxy/router/route.ts';
import { closeScopes, indexScopes, type ScopeIndex } from '../proxy/router/scoped-route-table.ts';
import { HostsFile, NodeDnsResolver, DNS_STATS } from '../proxy/upstream/discovery/node-dns-resolver.ts';
import { WorkerDnsCaches } from '../proxy/upstream/dns-cache.ts';
import { ClusterSet } from '../proxy/upstream/cluster-set.ts';
import { H2ServerConnection, type H2ServerEnvironment } from '../proxy/codec/h2/server.ts';
import { H1ClientConnection } from '../proxy/codec/h1/client.ts';
import { H2ClientConnection } from '../proxy/codec/h2/client.ts';
import { poolFactory } from '../proxy/upstream/pool/pool-factory.ts';
import type { Http2ServerFactory } from '../proxy/codec/server-codec.ts';
import { HTTP2_CODEC_STATS } from '../telemetry/stats/http2-stats.ts';
import { SecretSet } from '../proxy/transport-socket/secret-set.ts';
import type { TlsEnvironment } from '../proxy/transport-socket/tls-environment.ts';
import {
  createDownstreamTransportSocket,
  createUpstreamTransportSocket,
} from '../proxy/transport-socket/transport-sockets.ts';
import type { WorkerContext } from '../proxy/worker-context.ts';
import { AccessLogs } from '../telemetry/access-log/access-logs.ts';
import type { LogLevel } from '../telemetry/log-level.ts';
import type { ProcessLog } from '../telemetry/log.ts';
import type { StatsScope } from '../telemetry/stats/stats.ts';
import type { BoundAddresses, DataPlaneLink, DataPlaneSettings, DrainRequest } from './worker-protocol.ts';

/** What a data plane gets from the thread that it runs on. */
export interface DataPlaneParts {
  readonly stats: StatsScope;
  readonly shared: SharedCells;
  readonly log: ProcessLog;
  readonly clock?: Clock;
  readonly random?: Random;
}

/**
 * The data plane of one worker: everything that proxies, on one event loop, driven by deltas of the configuration.
 * worker.ts runs it on a thread; with `--concurrency 0` it runs on the main thread.
 */
export class DataPlane implements DataPlaneLink {
  readonly index: number;
  readonly #worker: WorkerContext;
  readonly #clusters: ClusterSet;
  readonly #dnsCaches: WorkerDnsCaches;
  readonly #listeners: ListenerSet;
  readonly #accessLogs: AccessLogs;
  readonly #filters = builtinFilterRegistries();
  /** What network filters share by name. */
  readonly #sharedByFilters = new Map<string, unknown>();
  readonly #routes = new Map<string, RouteTable>();
  readonly #scopes = new Map<string, ScopeIndex>();
  readonly #runtime = new Runtime();
  readonly #secrets = new SecretSet();
  readonly #shared: SharedCells;
  readonly #log: ProcessLog;
  readonly #drain: Drain;
  #socketCalls: SocketCalls | undefined = undefined;
  readonly #connectionIdStep: number;
  #connectionId: number;

  constructor(index: number, settings: DataPlaneSettings, parts: DataPlaneParts) {
    const { stats, shared, log, clock = systemClock, random = new SystemRandom() } = parts;
    this.index = index;
    this.#shared = shared;
    this.#log = log;
    // Each worker counts in steps of their number, so that an id is unique in the process.
    this.#connectionIdStep = Math.max(1, settings.concurrency);
    this.#connectionId = index;
    const dispatcher = new Dispatcher(clock, {
      afterInput: (callback) => void setImmediate(callback),
      onError: (error) => log.error('connection', `failed: ${error instanceof Error ? error.stack : String(error)}`),
    });
    this.#accessLogs = new AccessLogs({
      clock,
      random,
      runtime: this.#runtime,
      stats,
      flushIntervalMs: settings.fileFlushIntervalMs,
      warn: (message) => log.warn('file', message),
    });
    const tls: TlsEnvironment = { index, dispatcher, secrets: this.#secrets, log };
    const hostsFile = new HostsFile();
    this.#dnsCaches = new WorkerDnsCaches({
      dispatcher,
      random,
      stats,
      lane: index,
      resolver: (servers) => new NodeDnsResolver(servers, hostsFile, stats.block(DNS_STATS, 'dns.cares.')),
    });
    this.#clusters = new ClusterSet({
      shared,
      lane: index,
      random,
      stats,
      dispatcher,
      pools: poolFactory({
        dispatcher,
        codecs: {
          http1: (output, turns, options, owner) => new H1ClientConnection(output, turns, options, owner),
          http2: (output, turns, options, owner, block) =>
            new H2ClientConnection(output, turns, options, owner, block, random),
        },
        nextConnectionId: () => this.#nextConnectionId(),
        compileFilters: (cluster) =>
          compileClusterFilters(cluster, this.#filters.network, this.#worker, this.#sharedByFilters),
      }),
      createTransportSocket: (model, scope) => createUpstreamTransportSocket(model, scope, tls),
      dnsCaches: this.#dnsCaches,
    });
    this.#worker = {
      index,
      dispatcher,
      random,
      stats,
      shared,
      clusters: this.#clusters,
      dnsCaches: this.#dnsCaches,
      runtime: this.#runtime,
      node: settings.node,
      accessLogs: this.#accessLogs,
      log,
    };
    this.#drain = new Drain(clock, random, { drainTimeMs: settings.drainTimeMs, strategy: settings.drainStrategy });
    const environment = {
      worker: this.#worker,
      filters: this.#filters.http,
      networkFilters: this.#filters.network,
      sharedByFilters: this.#sharedByFilters,
      routeTable: (name: string) => this.#routes.get(name),
      scopes: (name: string) => this.#scopes.get(name),
      createHttp2Codec: http2ServerFactory(this.#worker),
    };
    this.#listeners = new ListenerSet(this.#worker, {
      createFilterChain: (model, _listener, scope) => createFilterChain(model, scope, environment),
      createTransportSocket: (model, scope) => createDownstreamTransportSocket(model, scope, tls),
      listenerFilters: this.#filters.listener,
      socketCalls: () => this.#socketCalls,
      drain: this.#drain,
      connectionCells: { shared, globalSlot: settings.connectionSlot, lane: index },
      nextConnectionId: () => this.#nextConnectionId(),
    });
  }

  async apply(delta: SnapshotDelta, bound: BoundAddresses): Promise<readonly ListenerOutcome[]> {
    const { listeners = { set: [], remove: [] } } = delta;
    // All that can wait or fail comes first; what follows is a swap.
    await this.#filters.http.prepare(
      listeners.set.flatMap((listener) => httpFiltersOf(listener).map(({ config }) => config)),
    );
    await this.#filters.network.prepare(
      listeners.set.flatMap((listener) => networkFiltersOf(listener).map(({ config }) => config)),
    );
    await this.#filters.network.prepare(
      (delta.clusters?.set ?? []).flatMap(({ networkFilters }) => networkFilters.map(({ config }) => config)),
    );
    await this.#filters.listener.prepare(
      listeners.set.flatMap(({ listenerFilters }) => listenerFilters.map(({ config }) => config)),
    );
    if (listeners.set.some(needsSocketCalls)) this.#socketCalls ??= await loadSocketCalls();
    if (delta.secrets !== undefined) this.#secrets.apply(delta.secrets);
    if (delta.runtime !== undefined) this.#runtime.apply(delta.runtime);
    this.#clusters.apply(delta);
    const { routes = { set: [], remove: [] } } = delta;
    for (const name of routes.remove) this.#setRoutes(name, undefined);
    for (const model of routes.set) this.#setRoutes(model.name, compileRouteTable(model, this.#worker));
    const { scopes = { set: [], remove: [] } } = delta;
    for (const name of scopes.remove) this.#setScopes(name, undefined);
    for (const model of scopes.set)
      this.#setScopes(
        model.name,
        indexScopes(model.scopes, (routes) => compileRouteTable(routes, this.#worker)),
      );
    return this.#listeners.apply(listeners, bound);
  }

  /** The new table has its stats before the former one gives them back, so that those of both live on. */
  #setRoutes(name: string, table: RouteTable | undefined): void {
    const former = this.#routes.get(name);
    if (table === undefined) this.#routes.delete(name);
    else this.#routes.set(name, table);
    former?.close();
  }

  #setScopes(name: string, index: ScopeIndex | undefined): void {
    const former = this.#scopes.get(name);
    if (index === undefined) this.#scopes.delete(name);
    else this.#scopes.set(name, index);
    closeScopes(former);
  }

  async drain({ inboundOnly, graceful, stop }: DrainRequest): Promise<void> {
    for (const listener of this.#listeners.active) {
      if (inboundOnly && listener.model.trafficDirection !== 'inbound') continue;
      if (graceful) listener.drain.start();
      else if (stop) {
        await listener.stopAccepting();
        listener.drainConnections();
      } else await listener.stopAccepting();
    }
  }

  async connectionCount(): Promise<number> {
    return this.#listeners.connectionCount;
  }

  setHealthCheckFailing(failing: boolean): void {
    this.#drain.healthCheckFailed = failing;
  }

  setLogLevel(level: LogLevel, component?: string): void {
    this.#log.setLevel(level, component);
  }

  reopenLogs(): void {
    this.#accessLogs.reopen();
    this.#log.reopen();
  }

  addSharedChunk(chunk: SharedArrayBuffer): void {
    this.#shared.addChunk(chunk);
  }

  #nextConnectionId(): number {
    return (this.#connectionId += this.#connectionIdStep);
  }

  async close(): Promise<void> {
    await this.#listeners.close();
    this.#clusters.drain();
    this.#dnsCaches.close();
    await this.#accessLogs.drained();
    this.#accessLogs.close();
  }
}

/** HTTP/2 codecs of downstream connections; `http2.` appears with the first of them, as in Envoy. */
function http2ServerFactory({ dispatcher, stats, random, runtime }: WorkerContext): Http2ServerFactory {
  let environment: H2ServerEnvironment | undefined;
  return (output, settings, owner) => {
    environment ??= { dispatcher, random, runtime, stats: stats.scope('http2.').block(HTTP2_CODEC_STATS) };
    return new H2ServerConnection(output, settings, owner, environment);
  };
}
