import type { FilterChainModel } from '../../config/listener-model.ts';
import type { HttpFilterRegistry } from '../../filters/registry.ts';
import { HTTP_STATS } from '../../telemetry/stats/http-stats.ts';
import { sanitizeStatName, type StatsScope } from '../../telemetry/stats/stats.ts';
import type { ConnectionInput } from '../codec/connection-io.ts';
import type { Http2ServerFactory } from '../codec/server-codec.ts';
import type { DownstreamConnection } from '../connection/downstream-connection.ts';
import type { FilterChain } from '../listener/listener.ts';
import { compileRouteTable } from '../router/route-table.ts';
import type { RouteTable } from '../router/route.ts';
import { closeScopes, indexScopes, ScopedRouteTable, type ScopeIndex } from '../router/scoped-route-table.ts';
import type { WorkerContext } from '../worker-context.ts';
import { ConnectionManagerConfig } from './connection-manager-config.ts';
import { ConnectionManager } from './connection-manager.ts';
import { compileFilterChain } from './filter-chain.ts';

/** What a filter chain is compiled with. */
export interface FilterChainEnvironment {
  readonly worker: WorkerContext;
  readonly filters: HttpFilterRegistry;
  /** The route table of this name as it is now (RDS). */
  readonly routeTable: (name: string) => RouteTable | undefined;
  /** The scopes of this name as they are now (SRDS). Absent: there are none. */
  readonly scopes?: (name: string) => ScopeIndex | undefined;
  /** Absent: every connection is HTTP/1. */
  readonly createHttp2Codec?: Http2ServerFactory;
}

/** A filter chain that ends in an HTTP connection manager. */
export class HttpFilterChain implements FilterChain {
  readonly delayedCloseTimeoutMs: number;
  readonly #config: ConnectionManagerConfig;
  readonly #worker: WorkerContext;
  readonly #scope: StatsScope;
  readonly #inlineRoutes: RouteTable | undefined;
  readonly #inlineScopes: ScopeIndex | undefined;
  readonly #filters: HttpFilterRegistry;

  /** `listenerScope` is `listener.<address>.`. The chain's filters must have been prepared. */
  constructor(
    model: FilterChainModel,
    listenerScope: StatsScope,
    { worker, filters, routeTable, scopes, createHttp2Codec }: FilterChainEnvironment,
  ) {
    const last = model.networkFilters.at(-1);
    if (last?.kind !== 'http-connection-manager') throw new Error(`the last filter is ${last?.kind}`);
    const { hcm } = last;
    this.#worker = worker;
    this.#filters = filters;
    this.delayedCloseTimeoutMs = hcm.delayedCloseTimeoutMs;
    this.#scope = worker.stats.scope(`http.${sanitizeStatName(hcm.statPrefix)}.`);
    const { routes } = hcm;
    let table: RouteTable | undefined;
    let findRoutes: () => RouteTable | undefined;
    if (routes.kind === 'inline') {
      table = compileRouteTable(routes.routeConfig, worker);
      findRoutes = () => table;
    } else if (routes.kind === 'rds') findRoutes = () => routeTable(routes.routeConfigName);
    else {
      const named = routes.scopes;
      const inline =
        typeof named === 'string' ? undefined : indexScopes(named, (model) => compileRouteTable(model, worker));
      this.#inlineScopes = inline;
      const find = typeof named === 'string' ? () => scopes?.(named) : () => inline;
      const scoped = new ScopedRouteTable(routes.key, find, routeTable);
      findRoutes = () => scoped;
    }
    this.#inlineRoutes = table;
    const compiled = compileFilterChain(hcm.httpFilters, filters, worker, this.#scope);
    this.#config = new ConnectionManagerConfig(
      hcm,
      worker,
      this.#scope,
      listenerScope,
      compiled,
      findRoutes,
      createHttp2Codec,
      new Map(
        hcm.upgrades.map(({ type, enabled, filters: own }) => [
          type.toLowerCase(),
          { enabled, filters: own && compileFilterChain(own, filters, worker, this.#scope) },
        ]),
      ),
    );
  }

  onConnection(connection: DownstreamConnection): ConnectionInput {
    return new ConnectionManager(this.#config, this.#worker, connection);
  }

  updateFilters(model: FilterChainModel): boolean {
    const last = model.networkFilters.at(-1);
    if (last?.kind !== 'http-connection-manager') return false;
    this.#config.filters = compileFilterChain(last.hcm.httpFilters, this.#filters, this.#worker, this.#scope);
    return true;
  }

  onDelayedCloseTimeout(): void {
    this.#config.stats.inc(HTTP_STATS.at.downstream_cx_delayed_close_timeout);
  }

  drain(): void {
    for (const connection of this.#config.connections) connection.drain();
  }

  close(): void {
    this.#inlineRoutes?.close();
    closeScopes(this.#inlineScopes);
  }

  /** Streams in flight. */
  get activeStreams(): number {
    let count = 0;
    for (const connection of this.#config.connections) count += connection.streamCount;
    return count;
  }
}
