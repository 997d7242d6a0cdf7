import type { FilterForStream } from '../../filters/http/filter.ts';
import type { PerFilterConfig, Route } from '../router/route.ts';

/** Compiles one per-route config of one filter. */
export type CompileRouteConfig = (config: PerFilterConfig) => unknown;

/** One filter of a connection manager's chain, ready to make filters for streams. */
export class CompiledFilter {
  /** The name in the chain, which per-route config goes by. */
  readonly name: string;
  readonly create: FilterForStream<unknown>;
  readonly #disabled: boolean;
  readonly #compileRoute: CompileRouteConfig;
  /** Per-route configs are compiled when a stream first meets them, and live as long as their route. */
  readonly #compiled = new WeakMap<readonly PerFilterConfig[], readonly unknown[]>();

  constructor(name: string, create: FilterForStream<unknown>, disabled: boolean, compileRoute: CompileRouteConfig) {
    this.name = name;
    this.create = create;
    this.#disabled = disabled;
    this.#compileRoute = compileRoute;
  }

  /** The most specific word on it wins: the route's `disabled`, an override (which enables), the chain's `disabled`. */
  isDisabled(route: Route | undefined): boolean {
    if (route === undefined) return this.#disabled;
    const configs = route.perFilterConfigs(this.name);
    for (let i = configs.length - 1; i >= 0; i--) {
      const { disabled, value } = configs[i]!;
      if (disabled !== undefined) return disabled;
      if (value !== undefined) return false;
    }
    return this.#disabled;
  }

  /** The route's configs of this filter, from least to most specific. */
  routeConfigs(route: Route): readonly unknown[] {
    const configs = route.perFilterConfigs(this.name);
    if (configs.length === 0) return configs;
    let compiled = this.#compiled.get(configs);
    if (compiled === undefined) {
      compiled = configs.filter((config) => config.value !== undefined).map((config) => this.#compileRoute(config));
      this.#compiled.set(configs, compiled);
    }
    return compiled;
  }
}
