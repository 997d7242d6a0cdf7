import type { StatBlock } from '../../telemetry/stats/stats.ts';
import type { HeaderMap } from '../http/headers.ts';
import type { RoutedStream } from '../http/request-sink.ts';
import type { RequestFeed } from './request-feed.ts';
import type { RouterConfig } from './router-config.ts';
import { ROUTER_STATS } from './router-stats.ts';
import type { InternalRedirectModel } from './route.ts';

const AT = ROUTER_STATS.at;
const COUNT_KEY = 'num_internal_redirects';
const PREVIOUS_ROUTES_KEY = 'envoy.internal_redirect.previous_routes_predicate_state.';

/** Starts the stream over at the `location` of `response`. False: the response is for the client. */
export function redirectInternally(
  stream: RoutedStream,
  policy: InternalRedirectModel,
  routeName: string,
  response: HeaderMap,
  feed: RequestFeed,
  config: RouterConfig,
): boolean {
  // A body that is still coming, or wasn't kept, can't be sent again.
  if (!feed.ended || feed.overflowed) return false;
  const headers = followRedirect(stream, policy, routeName, response, config.stats);
  if (headers === undefined) return false;
  // A method that had to change leaves the body behind.
  const body = headers.method === stream.requestHeaders.method ? feed.body : undefined;
  return stream.recreate(headers, response, body?.chunks.slice(), body?.trailers);
}

/**
 * The request headers that follow an upstream's redirect within the proxy (Envoy's internal redirects docs), or
 * undefined if the policy has the response forwarded instead; the reason is counted. The request's own headers are not
 * touched. The count of redirects lives in the stream's filter state, which outlives each pass.
 */
function followRedirect(
  stream: RoutedStream,
  policy: InternalRedirectModel,
  routeName: string,
  response: HeaderMap,
  stats: StatBlock,
): HeaderMap | undefined {
  const original = stream.requestHeaders;
  const location = response.get('location');
  if (location === undefined) return undefined;
  const target = parseLocation(location);
  if (target === undefined) return refuse(stats, AT.passthrough_internal_redirect_bad_location);

  const fromHttp = original.scheme === 'http' || stream.info.connection.tls === undefined;
  const toHttp = target.scheme === 'http';
  if (!policy.allowCrossScheme && fromHttp !== toHttp)
    return refuse(stats, AT.passthrough_internal_redirect_unsafe_scheme);

  const { filterState } = stream.info;
  const done = (filterState.get(COUNT_KEY) as number | undefined) ?? 0;
  if (done >= policy.maxInternalRedirects) return refuse(stats, AT.passthrough_internal_redirect_too_many_redirects);

  const headers = original.clone();
  for (const name of policy.responseHeadersToCopy) {
    headers.delete(name);
    for (const value of response.getAll(name)) headers.append(name, value);
  }
  headers.scheme = target.scheme;
  headers.authority = target.authority;
  headers.path = target.path;

  if (stream.resolveRoute !== undefined) {
    const route = stream.resolveRoute(headers);
    if (route === undefined) return refuse(stats, AT.passthrough_internal_redirect_no_route);
    for (const predicate of policy.predicates)
      if (!accepts(predicate, policy, filterState, routeName, route.name, fromHttp, toHttp))
        return refuse(stats, AT.passthrough_internal_redirect_predicate);
  }

  // RFC 9110 section 15.4.4: after 303 the target is fetched, not sent to.
  if (response.status === 303 && headers.method !== 'GET' && headers.method !== 'HEAD') {
    headers.method = 'GET';
    headers.delete('content-length');
  }
  filterState.set(COUNT_KEY, done + 1);
  headers.set('x-envoy-original-url', `${fromHttp ? 'http' : 'https'}://${original.authority}${original.path}`);
  return headers;
}

function refuse(stats: StatBlock, offset: number): undefined {
  stats.inc(offset);
  return undefined;
}

interface Target {
  readonly scheme: string;
  readonly authority: string;
  readonly path: string;
}

/** An absolute http(s) URL, without its fragment. */
function parseLocation(location: string): Target | undefined {
  const match = /^(https?):\/\/(?:[^/?#@]*@)?([^/?#@]+)([^#]*)/i.exec(location);
  if (match === null) return undefined;
  const rest = match[3]!;
  const path = rest.startsWith('/') ? rest : `/${rest}`;
  return { scheme: match[1]!.toLowerCase(), authority: match[2]!, path };
}

function accepts(
  predicate: string,
  policy: InternalRedirectModel,
  filterState: Map<string, unknown>,
  from: string,
  to: string,
  fromHttp: boolean,
  toHttp: boolean,
): boolean {
  switch (predicate) {
    case 'envoy.internal_redirect_predicates.allow_listed_routes':
      return policy.allowedRoutes?.includes(to) ?? false;
    case 'envoy.internal_redirect_predicates.previous_routes': {
      // Each route goes to each target once.
      const key = PREVIOUS_ROUTES_KEY + from;
      const visited = (filterState.get(key) as Set<string> | undefined) ?? new Set<string>();
      if (visited.has(to)) return false;
      filterState.set(key, visited.add(to));
      return true;
    }
    case 'envoy.internal_redirect_predicates.safe_cross_scheme':
      return !fromHttp || toHttp;
    default:
      return false;
  }
}
