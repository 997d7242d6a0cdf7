import type { ClusterWeightModel, RouteActionModel, RouteConfigModel, RouteModel } from '../../config/route-model.ts';
import type { RuntimeReader } from '../../filters/http/filter.ts';
import type { Metadata, StreamInfo } from '../../filters/stream-info.ts';
import { wireText } from '../../lib/wire-text.ts';
import type { StatBlock } from '../../telemetry/stats/stats.ts';
import type { HeaderMap } from '../http/headers.ts';
import { HashPolicy } from './hash-policy.ts';
import type { MutationContext } from './header-mutation.ts';
import { RateLimitPolicy } from '../../filters/rate-limit-policy.ts';
import { Redirect } from './redirect.ts';
import { DirectResponse, Forward } from './route-action.ts';
import { compileRoutePath, RouteConditions, type RoutePath } from './route-match.ts';
import { compilePathRewrite, HostRewrite, rewritePath, updateAuthority, type PathRewrite } from './route-rewrite.ts';
import { RouteScope } from './route-scope.ts';
import type { PerFilterConfig, Route, VirtualHost } from './route.ts';
import { WeightedClusters } from './weighted-clusters.ts';

/** What the routes of one table share. */
export interface RouteEnvironment {
  readonly model: RouteConfigModel;
  readonly runtime: RuntimeReader;
  readonly context: MutationContext;
}

/** Most cluster names of a cluster_header that a route keeps a Route for; beyond that one is made a request. */
const MAX_NAMED_CLUSTERS = 1024;

/** One route of the configuration: what it matches, and which Route it gives a request. */
export class RouteEntry {
  readonly path: RoutePath;
  readonly conditions: RouteConditions | undefined;
  readonly #route: CompiledRoute;
  readonly #weighted: WeightedClusters | undefined;
  readonly #choices: readonly ClusterChoice[];
  readonly #byHeader: ClusterByHeader | undefined;

  constructor(
    model: RouteModel,
    virtualHost: VirtualHost,
    scope: RouteScope,
    stats: StatBlock | undefined,
    environment: RouteEnvironment,
  ) {
    this.path = compileRoutePath(model.match);
    this.conditions = RouteConditions.of(model.match, environment.runtime);
    const base = new RouteBase(model, virtualHost, scope, stats, environment);
    const { action } = model;
    this.#route = new CompiledRoute(base, compileAction(model), undefined);
    const cluster = action.kind === 'route' ? action.cluster : undefined;
    this.#byHeader = cluster?.kind === 'header' ? new ClusterByHeader(base, cluster.name, undefined) : undefined;
    this.#weighted =
      cluster?.kind === 'weighted' ? new WeightedClusters(cluster.weighted, environment.runtime) : undefined;
    this.#choices =
      cluster?.kind === 'weighted' ? cluster.weighted.clusters.map((weight) => clusterChoice(base, weight)) : [];
  }

  /** The Route for a request that matched. Undefined: no cluster could be chosen. */
  choose(headers: HeaderMap, randomValue: number): Route | undefined {
    if (this.#weighted !== undefined) {
      const choice = this.#choices[this.#weighted.pick(headers, randomValue)];
      return choice instanceof ClusterByHeader ? choice.route(headers) : choice;
    }
    return this.#byHeader === undefined ? this.#route : this.#byHeader.route(headers);
  }
}

type ClusterChoice = CompiledRoute | ClusterByHeader;

function clusterChoice(base: RouteBase, model: ClusterWeightModel): ClusterChoice {
  const front = new WeightedFront(base, model);
  if (model.name === '') return new ClusterByHeader(base, model.clusterHeader, front);
  return new CompiledRoute(base, base.forward(model.name, front), front);
}

function compileAction(model: RouteModel): Route['action'] {
  const { action } = model;
  switch (action.kind) {
    case 'route':
      return new Forward(
        action,
        action.cluster.kind === 'cluster' ? action.cluster.name : '',
        action.metadataMatch,
        upgradesOf(action),
        HashPolicy.of(action.hashPolicies),
        RateLimitPolicy.of(action.rateLimits),
      );
    case 'redirect':
      return new Redirect(action, model.match);
    case 'direct-response':
      return new DirectResponse(action.status, action.body);
    case 'non-forwarding':
      return { kind: 'non-forwarding' };
  }
}

function upgradesOf(action: RouteActionModel): ReadonlyMap<string, boolean> {
  return new Map(action.upgrades.map(({ type, enabled }) => [type, enabled]));
}

/** All of a route but its cluster. */
class RouteBase {
  readonly model: RouteModel;
  readonly virtualHost: VirtualHost;
  readonly scope: RouteScope;
  readonly stats: StatBlock | undefined;
  readonly context: MutationContext;
  readonly mostSpecificWins: boolean;
  readonly hostRewrite: HostRewrite | undefined;
  readonly pathRewrite: PathRewrite | undefined;
  readonly appendXForwardedHost: boolean;
  readonly #action: RouteActionModel | undefined;
  readonly #upgrades: ReadonlyMap<string, boolean>;
  readonly #hashPolicy: HashPolicy | undefined;
  readonly #rateLimits: RateLimitPolicy | undefined;

  constructor(
    model: RouteModel,
    virtualHost: VirtualHost,
    parent: RouteScope,
    stats: StatBlock | undefined,
    environment: RouteEnvironment,
  ) {
    this.model = model;
    this.virtualHost = virtualHost;
    this.scope = new RouteScope(model, parent);
    this.stats = stats;
    this.context = environment.context;
    this.mostSpecificWins = environment.model.mostSpecificHeaderMutationsWins;
    const action = model.action.kind === 'route' ? model.action : undefined;
    this.#action = action;
    this.#upgrades = action === undefined ? new Map() : upgradesOf(action);
    this.#hashPolicy = HashPolicy.of(action?.hashPolicies ?? []);
    this.#rateLimits = RateLimitPolicy.of(action?.rateLimits ?? []);
    this.hostRewrite = HostRewrite.of(action?.hostRewrite);
    this.pathRewrite =
      action?.pathRewrite === undefined ? undefined : compilePathRewrite(action.pathRewrite, model.match);
    this.appendXForwardedHost = action?.appendXForwardedHost ?? false;
  }

  forward(clusterName: string, front: WeightedFront | undefined): Forward {
    const action = this.#action!;
    return new Forward(
      action,
      clusterName,
      front?.metadataMatch ?? action.metadataMatch,
      this.#upgrades,
      this.#hashPolicy,
      this.#rateLimits,
    );
  }
}

/** What a weighted cluster puts in front of its route. */
class WeightedFront {
  readonly scope: RouteScope;
  readonly hostRewrite: string;
  readonly metadataMatch: Metadata | undefined;

  constructor(base: RouteBase, model: ClusterWeightModel) {
    this.scope = new RouteScope(model, base.scope);
    this.hostRewrite = wireText(model.hostRewrite ?? '');
    const action = base.model.action.kind === 'route' ? base.model.action : undefined;
    this.metadataMatch = mergeMetadataMatch(action?.metadataMatch, model.metadataMatch);
  }
}

/** A weighted cluster's criteria are added to its route's, and win over them. */
function mergeMetadataMatch(route: Metadata | undefined, cluster: Metadata | undefined): Metadata | undefined {
  if (route === undefined || cluster === undefined) return cluster ?? route;
  return { ...route, ...cluster, 'envoy.lb': { ...asObject(route['envoy.lb']), ...asObject(cluster['envoy.lb']) } };
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

class CompiledRoute implements Route {
  readonly name: string;
  readonly virtualHost: VirtualHost;
  readonly metadata: Metadata | undefined;
  readonly stats: StatBlock | undefined;
  readonly action: Route['action'];
  readonly #base: RouteBase;
  readonly #front: WeightedFront | undefined;

  constructor(base: RouteBase, action: Route['action'], front: WeightedFront | undefined) {
    this.name = base.model.name;
    this.virtualHost = base.virtualHost;
    this.metadata = base.model.metadata;
    this.stats = base.stats;
    this.action = action;
    this.#base = base;
    this.#front = front;
  }

  perFilterConfigs(filterName: string): readonly PerFilterConfig[] {
    return (this.#front?.scope ?? this.#base.scope).perFilterConfigs(filterName);
  }

  finalizeRequest(headers: HeaderMap, info: StreamInfo, insertOriginalPath = true): void {
    const base = this.#base;
    const front = this.#front;
    const { context } = base;
    context.info = info;
    context.requestHeaders = headers;
    if (front !== undefined) {
      // The chosen cluster comes first in either order, so that the route has the last word on headers and host.
      front.scope.request?.apply(headers, context);
      if (front.hostRewrite !== '') headers.authority = front.hostRewrite;
    }
    base.scope.applyRequest(headers, context, base.mostSpecificWins);
    context.clear();
    const host = base.hostRewrite?.host(headers) ?? '';
    if (host !== '') updateAuthority(headers, host, base.appendXForwardedHost, insertOriginalPath);
    if (base.pathRewrite !== undefined) rewritePath(headers, base.pathRewrite, insertOriginalPath);
  }

  finalizeResponse(headers: HeaderMap, requestHeaders: HeaderMap, info: StreamInfo): void {
    const base = this.#base;
    const { context } = base;
    context.info = info;
    context.requestHeaders = requestHeaders;
    context.responseHeaders = headers;
    this.#front?.scope.response?.apply(headers, context);
    base.scope.applyResponse(headers, context, base.mostSpecificWins);
    context.clear();
  }
}

/** Routes to clusters that a request header names. */
class ClusterByHeader {
  readonly #base: RouteBase;
  readonly #header: string;
  readonly #front: WeightedFront | undefined;
  readonly #routes = new Map<string, CompiledRoute>();

  constructor(base: RouteBase, header: string, front: WeightedFront | undefined) {
    this.#base = base;
    this.#header = header.toLowerCase() === 'host' ? ':authority' : header.toLowerCase();
    this.#front = front;
  }

  /** Only the first field counts: the header comes from outside. */
  route(headers: HeaderMap): CompiledRoute {
    const name = headers.get(this.#header) ?? '';
    let route = this.#routes.get(name);
    if (route === undefined) {
      route = new CompiledRoute(this.#base, this.#base.forward(name, this.#front), this.#front);
      if (this.#routes.size < MAX_NAMED_CLUSTERS) this.#routes.set(name, route);
    }
    return route;
  }
}
