import type { RouteConfigModel } from './route-model.ts';

/** How a request's scope key is made: each fragment from a header. Without one of them there is no scope. */
export interface ScopeKeyFragmentModel {
  /** Lower-case; `:authority` for `host`. */
  readonly header: string;
  /** Splits the header's value; '' = the value is one element. */
  readonly elementSeparator: string;
  readonly extract:
    | { readonly kind: 'index'; readonly index: number }
    /** The value behind the first element with this key. */
    | { readonly kind: 'element'; readonly separator: string; readonly key: string };
}

/** One scope: requests with this key take these routes. */
export interface RouteScopeModel {
  readonly key: readonly string[];
  /** Where the scope doesn't have them itself. */
  readonly routeConfigName: string;
  /** The scope's own. */
  readonly routeConfig?: RouteConfigModel;
  /** Its routes are fetched when a request wants them. */
  readonly onDemand?: boolean;
}

/** The scopes that connection managers name (SRDS). Inline ones are part of their listener. */
export interface ScopedRoutesModel {
  readonly name: string;
  readonly scopes: readonly RouteScopeModel[];
}
