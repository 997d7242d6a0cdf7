import type { RouteConfigModel } from '../../config/route-model.ts';
import type { RuntimeReader } from '../../filters/http/filter.ts';
import type { StreamInfo } from '../../filters/stream-info.ts';
import type { StatsScope } from '../../telemetry/stats/stats.ts';
import type { HeaderMap } from '../http/headers.ts';
import { MutationContext } from './header-mutation.ts';
import { RouteScope } from './route-scope.ts';
import type { Route, RouteTable } from './route.ts';
import { VirtualHostIndex } from './virtual-host-index.ts';
import { CompiledVirtualHost } from './virtual-host.ts';

export interface RouteTableContext {
  /** The root scope: stats are named `vhost.<virtual host>.…`. */
  readonly stats: StatsScope;
  readonly runtime: RuntimeReader;
}

/** Compiles a route configuration. The builder has refused what can't be compiled, so this doesn't throw. */
export function compileRouteTable(model: RouteConfigModel, context: RouteTableContext): RouteTable {
  return new CompiledRouteTable(model, context);
}

class CompiledRouteTable implements RouteTable {
  readonly name: string;
  readonly model: RouteConfigModel;
  readonly #virtualHosts = new VirtualHostIndex<CompiledVirtualHost>();
  readonly #scopes: StatsScope[] = [];
  readonly #ignorePort: boolean;

  constructor(model: RouteConfigModel, { stats, runtime }: RouteTableContext) {
    this.name = model.name;
    this.model = model;
    this.#ignorePort = model.ignorePortInHostMatching;
    const scope = new RouteScope(model, undefined);
    const environment = { model, runtime, context: new MutationContext() };
    for (const virtualHost of model.virtualHosts) {
      const vhostStats = stats.scope(`vhost.${virtualHost.name}`);
      this.#scopes.push(vhostStats);
      const compiled = new CompiledVirtualHost(virtualHost, scope, vhostStats, environment);
      for (const domain of virtualHost.domains) this.#virtualHosts.add(domain, compiled);
    }
  }

  resolve(headers: HeaderMap, info: StreamInfo, randomValue: number): Route | undefined {
    const virtualHost = this.#virtualHosts.find(headers.authority, this.#ignorePort);
    return virtualHost?.resolve(headers, info, randomValue);
  }

  close(): void {
    for (const scope of this.#scopes) scope.release();
  }
}
