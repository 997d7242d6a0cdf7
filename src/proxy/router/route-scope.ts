import type { HeaderMutationModel } from '../../config/common-model.ts';
import type { PerFilterConfigModel } from '../../config/route-model.ts';
import type { HeaderMap } from '../http/headers.ts';
import { INLINE_REQUEST_HEADERS, INLINE_RESPONSE_HEADERS } from '../http/inline-headers.ts';
import { HeaderMutation, type MutationContext } from './header-mutation.ts';
import type { PerFilterConfig } from './route.ts';

/** What configuration, virtual host, route and weighted cluster have in common. */
export interface ScopeModel {
  readonly requestHeaders: HeaderMutationModel;
  readonly responseHeaders: HeaderMutationModel;
  readonly perFilterConfigs: readonly PerFilterConfigModel[];
}

const NONE: readonly PerFilterConfig[] = Object.freeze([]);

/** One level of route configuration: its header mutations and its per-filter configs. */
export class RouteScope {
  readonly request: HeaderMutation | undefined;
  readonly response: HeaderMutation | undefined;
  readonly #parent: RouteScope | undefined;
  readonly #own: ReadonlyMap<string, PerFilterConfig> | undefined;
  /** By filter name, only for filters that have a config here or above. */
  readonly #merged = new Map<string, readonly PerFilterConfig[]>();

  constructor(model: ScopeModel, parent: RouteScope | undefined) {
    this.request = HeaderMutation.of(model.requestHeaders, INLINE_REQUEST_HEADERS);
    this.response = HeaderMutation.of(model.responseHeaders, INLINE_RESPONSE_HEADERS);
    this.#parent = parent;
    this.#own =
      model.perFilterConfigs.length === 0
        ? undefined
        : new Map(
            model.perFilterConfigs.map(({ filterName, disabled, config }) => [
              filterName,
              { disabled, typeName: config?.typeName ?? '', value: config?.value },
            ]),
          );
  }

  /** The configs of one filter from least to most specific; the same array each time. */
  perFilterConfigs(filterName: string): readonly PerFilterConfig[] {
    const own = this.#own;
    const parent = this.#parent;
    if (own === undefined) return parent === undefined ? NONE : parent.perFilterConfigs(filterName);
    const merged = this.#merged.get(filterName);
    if (merged !== undefined) return merged;
    const above = parent === undefined ? NONE : parent.perFilterConfigs(filterName);
    const config = own.get(filterName);
    if (config === undefined) return above;
    const list = Object.freeze([...above, config]);
    this.#merged.set(filterName, list);
    return list;
  }

  /** This level and those above it; the later one has the last word. */
  applyRequest(headers: HeaderMap, context: MutationContext, mostSpecificWins: boolean): void {
    if (mostSpecificWins) this.#parent?.applyRequest(headers, context, true);
    this.request?.apply(headers, context);
    if (!mostSpecificWins) this.#parent?.applyRequest(headers, context, false);
  }

  applyResponse(headers: HeaderMap, context: MutationContext, mostSpecificWins: boolean): void {
    if (mostSpecificWins) this.#parent?.applyResponse(headers, context, true);
    this.response?.apply(headers, context);
    if (!mostSpecificWins) this.#parent?.applyResponse(headers, context, false);
  }
}
