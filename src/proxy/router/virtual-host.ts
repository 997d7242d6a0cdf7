import type { VirtualHostModel } from '../../config/route-model.ts';
import type { StreamInfo } from '../../filters/stream-info.ts';
import type { StatsScope } from '../../telemetry/stats/stats.ts';
import type { HeaderMap } from '../http/headers.ts';
import { HeaderMatcher, matchesAll } from './matchers/header-matcher.ts';
import { PathIndex } from './path-index.ts';
import { RateLimitPolicy } from '../../filters/rate-limit-policy.ts';
import { HttpsRedirect } from './redirect.ts';
import { RouteEntry, type RouteEnvironment } from './route-entry.ts';
import { isConnectRequest } from './route-match.ts';
import { pathEnd } from './route-rewrite.ts';
import { RouteScope } from './route-scope.ts';
import type { PerFilterConfig, Route, VirtualCluster, VirtualHost } from './route.ts';
import { ROUTE_STATS } from './router-stats.ts';

/** A virtual host with its routes, compiled. */
export class CompiledVirtualHost implements VirtualHost {
  readonly name: string;
  readonly includeAttemptCountInRequest: boolean;
  readonly includeAttemptCountInResponse: boolean;
  readonly includeIsTimeoutRetryHeader: boolean;
  readonly rateLimits: RateLimitPolicy | undefined;
  readonly #virtualClusters: readonly MatchedVirtualCluster[];
  /** Takes what no other virtual cluster does; nameless in logs. */
  readonly #otherCluster: VirtualCluster | undefined;
  readonly #requireTls: VirtualHostModel['requireTls'];
  readonly #httpsRedirect: Route;
  readonly #ignorePathParameters: boolean;
  readonly #entries: readonly RouteEntry[];
  readonly #index = new PathIndex(false);
  readonly #indexAnyCase = new PathIndex(true);
  readonly #connect: number[] = [];
  /** The candidate lists of the request at hand, and how far each has been read. Kept between requests. */
  readonly #lists: (readonly number[])[] = [];
  readonly #heads: number[] = [];

  /** `stats`: a scope at `vhost.<name>.`. */
  constructor(model: VirtualHostModel, parent: RouteScope, stats: StatsScope, environment: RouteEnvironment) {
    this.name = model.name;
    this.includeAttemptCountInRequest = model.includeRequestAttemptCount;
    this.includeAttemptCountInResponse = model.includeAttemptCountInResponse;
    this.includeIsTimeoutRetryHeader = model.includeIsTimeoutRetryHeader;
    this.rateLimits = RateLimitPolicy.of(model.rateLimits);
    const blockOf = (name: string): VirtualCluster => ({ name, stats: stats.block(ROUTE_STATS, `vcluster.${name}`) });
    this.#virtualClusters = model.virtualClusters.map(({ name, headers }) => ({
      matchers: headers.map((header) => new HeaderMatcher(header)),
      cluster: blockOf(name),
    }));
    this.#otherCluster = model.virtualClusters.length === 0 ? undefined : { ...blockOf('other'), name: '' };
    this.#requireTls = model.requireTls;
    this.#httpsRedirect = new HttpsRedirectRoute(this);
    this.#ignorePathParameters = environment.model.ignorePathParametersInPathMatching;
    const scope = new RouteScope(model, parent);
    this.#entries = model.routes.map(
      (route) =>
        new RouteEntry(
          route,
          this,
          scope,
          route.statPrefix === '' ? undefined : stats.block(ROUTE_STATS, `route.${route.statPrefix}`),
          environment,
        ),
    );
    this.#entries.forEach(({ path }, number) => {
      if (path.kind === 'connect') this.#connect.push(number);
      else (path.foldCase ? this.#indexAnyCase : this.#index).add(path.kind, path.text, number);
    });
  }

  virtualCluster(headers: HeaderMap): VirtualCluster | undefined {
    for (const { matchers, cluster } of this.#virtualClusters) if (matchesAll(matchers, headers)) return cluster;
    return this.#otherCluster;
  }

  /** The first route, in the order of the configuration, that the request matches. */
  resolve(headers: HeaderMap, info: StreamInfo, randomValue: number): Route | undefined {
    if (this.#requireTls !== 'none' && this.#mustRedirect(headers)) return this.#httpsRedirect;
    const lists = this.#lists;
    const { path } = headers;
    const whole = pathEnd(path);
    let end = whole;
    if (this.#ignorePathParameters) {
      const semicolon = path.indexOf(';');
      if (semicolon !== -1 && semicolon < end) end = semicolon;
    }
    let count = 0;
    // A request without a path can only be a CONNECT.
    if (path !== '') {
      count = this.#index.collect(path, end, lists, 0);
      if (!this.#indexAnyCase.isEmpty) count = this.#indexAnyCase.collect(path, end, lists, count);
    }
    if (this.#connect.length > 0 && isConnectRequest(headers)) lists[count++] = this.#connect;
    const heads = this.#heads;
    for (let i = 0; i < count; i++) heads[i] = 0;
    for (;;) {
      const number = this.#nextCandidate(count);
      if (number === -1) return undefined;
      const entry = this.#entries[number]!;
      const { pattern } = entry.path;
      if (pattern !== undefined) {
        const until = entry.path.keepsParameters ? whole : end;
        if (!pattern.matches(until === path.length ? path : path.slice(0, until))) continue;
      }
      if (entry.conditions === undefined || entry.conditions.matches(headers, info, randomValue))
        return entry.choose(headers, randomValue);
    }
  }

  /** The lowest number among the candidates not yet read, -1 at the end. */
  #nextCandidate(count: number): number {
    const lists = this.#lists;
    const heads = this.#heads;
    let lowest = -1;
    let from = 0;
    for (let i = 0; i < count; i++) {
      const list = lists[i]!;
      const head = heads[i]!;
      if (head >= list.length) continue;
      const number = list[head]!;
      if (lowest === -1 || number < lowest) {
        lowest = number;
        from = i;
      }
    }
    if (lowest !== -1) heads[from]!++;
    return lowest;
  }

  /** x-forwarded-proto tells what the client used, not `:scheme`. */
  #mustRedirect(headers: HeaderMap): boolean {
    if (headers.get('x-forwarded-proto') === 'https') return false;
    return this.#requireTls === 'all' || headers.get('x-envoy-internal') !== 'true';
  }
}

interface MatchedVirtualCluster {
  readonly matchers: readonly HeaderMatcher[];
  readonly cluster: VirtualCluster;
}

const NO_CONFIGS: readonly PerFilterConfig[] = Object.freeze([]);

/** The route of a plain-text request to a virtual host that requires TLS. It has no configuration of its own. */
class HttpsRedirectRoute implements Route {
  readonly name = '';
  readonly virtualHost: VirtualHost;
  readonly metadata = undefined;
  readonly stats = undefined;
  readonly action = new HttpsRedirect();

  constructor(virtualHost: VirtualHost) {
    this.virtualHost = virtualHost;
  }

  perFilterConfigs(): readonly PerFilterConfig[] {
    return NO_CONFIGS;
  }

  finalizeRequest(): void {}

  finalizeResponse(): void {}
}
