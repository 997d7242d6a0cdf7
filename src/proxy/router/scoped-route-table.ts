import type { RouteConfigModel } from '../../config/route-model.ts';
import type { RouteScopeModel, ScopeKeyFragmentModel } from '../../config/scoped-routes-model.ts';
import type { StreamInfo } from '../../filters/stream-info.ts';
import type { HeaderMap } from '../http/headers.ts';
import type { Route, RouteTable } from './route.ts';

/** Scope key -> name of a route configuration, or the scope's own. */
export type ScopeIndex = ReadonlyMap<string, string | RouteTable>;

/** Between the fragments of a key; no header value has it. */
const BETWEEN = '\0';

/** Whoever has the index has its tables: see `closeScopes`. */
export function indexScopes(
  scopes: readonly RouteScopeModel[],
  compile: (routes: RouteConfigModel) => RouteTable,
): ScopeIndex {
  return new Map(
    scopes.map(({ key, routeConfigName, routeConfig }) => [
      key.join(BETWEEN),
      routeConfig === undefined ? routeConfigName : compile(routeConfig),
    ]),
  );
}

/** Ends the route tables that are part of scopes. */
export function closeScopes(index: ScopeIndex | undefined): void {
  for (const routes of index?.values() ?? []) if (typeof routes !== 'string') routes.close();
}

/** What a set of route configurations has as a whole: nothing. Each scope's own counts where a request has found it. */
const NO_ROUTES: RouteConfigModel = {
  name: '',
  virtualHosts: [],
  internalOnlyHeaders: [],
  requestHeaders: { add: [], remove: [] },
  responseHeaders: { add: [], remove: [] },
  mostSpecificHeaderMutationsWins: false,
  ignorePortInHostMatching: false,
  ignorePathParametersInPathMatching: false,
  perFilterConfigs: [],
  metadata: undefined,
  clusters: [],
};

/**
 * The route configurations of a connection manager with scoped routes: a request's headers make a key, and the key
 * chooses one of them. No key, or one that no scope has: no route, 404.
 */
export class ScopedRouteTable implements RouteTable {
  readonly name = '';
  readonly model = NO_ROUTES;
  readonly #key: readonly ScopeKeyFragmentModel[];
  readonly #scopes: () => ScopeIndex | undefined;
  readonly #routeTable: (name: string) => RouteTable | undefined;

  /** Both are asked for each request: what they name changes. */
  constructor(
    key: readonly ScopeKeyFragmentModel[],
    scopes: () => ScopeIndex | undefined,
    routeTable: (name: string) => RouteTable | undefined,
  ) {
    this.#key = key;
    this.#scopes = scopes;
    this.#routeTable = routeTable;
  }

  resolve(headers: HeaderMap, info: StreamInfo, randomValue: number): Route | undefined {
    const key = scopeKey(this.#key, headers);
    const routes = key === undefined ? undefined : this.#scopes()?.get(key);
    const table = typeof routes === 'string' ? this.#routeTable(routes) : routes;
    return table?.resolve(headers, info, randomValue);
  }

  close(): void {
    // The tables are others'.
  }
}

/** As `indexScopes` has it; undefined if a fragment is missing. */
function scopeKey(fragments: readonly ScopeKeyFragmentModel[], headers: HeaderMap): string | undefined {
  let key = '';
  for (const [index, fragment] of fragments.entries()) {
    const value = extract(fragment, headers.get(fragment.header));
    if (value === undefined) return undefined;
    key = index === 0 ? value : key + BETWEEN + value;
  }
  return key;
}

function extract(fragment: ScopeKeyFragmentModel, value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  const elements = fragment.elementSeparator === '' ? [value] : value.split(fragment.elementSeparator);
  const how = fragment.extract;
  if (how.kind === 'index') return elements[how.index];
  for (const element of elements) {
    const at = element.indexOf(how.separator);
    if ((at < 0 ? element : element.slice(0, at)) === how.key)
      return at < 0 ? '' : element.slice(at + how.separator.length);
  }
  return undefined;
}
