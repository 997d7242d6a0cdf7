import { ConfigDecoder, unregistered } from './config-decoder.ts';
import { ConfigError } from './config-type.ts';
import type { FactoryContext, FilterForStream, HttpFilterType } from './http/filter.ts';

/** An HTTP filter that there is; its module, and with it its message types, is loaded when a config asks for it. */
export interface HttpFilterRegistration {
  /** The canonical name. */
  readonly name: string;
  /** The message of its config, and of its per-route configs. */
  readonly configType: string;
  readonly routeConfigTypes: readonly string[];
  readonly load: () => Promise<HttpFilterType>;
}

/** An extension's config as it came; config/common-model.ts's TypedConfigModel has this shape. */
export interface TypedConfig {
  readonly name: string;
  readonly typeName: string;
  readonly value: Uint8Array;
}

/** A per-route config of a filter; proxy/router/route.ts's PerFilterConfig has this shape. */
export interface PerRouteConfig {
  readonly typeName: string;
  readonly value: Uint8Array | undefined;
}

/** A filter of a chain, compiled on one thread. */
export interface CompiledHttpFilter {
  /** Makes the filter of one stream. */
  readonly create: FilterForStream<unknown>;
  /** Decodes and compiles a per-route config, once each; `stream.routeConfig` shows the result. Throws ConfigError. */
  readonly compileRoute: (config: PerRouteConfig) => unknown;
}

interface LoadedFilter {
  readonly type: HttpFilterType;
  /**
   * Configs that are decoded and prepared already, by the bytes that they came in. By filter: empty configs of several
   * filters may be the same bytes.
   */
  readonly prepared: WeakMap<Uint8Array, unknown>;
}

/** The HTTP filters of one thread, by the type of their config. */
export class HttpFilterRegistry {
  readonly #byType = new Map<string, HttpFilterRegistration>();
  readonly #byName = new Map<string, HttpFilterRegistration>();
  readonly #routeTypes = new Set<string>();
  readonly #loaded = new Map<HttpFilterRegistration, LoadedFilter>();
  readonly #decoder = new ConfigDecoder();

  constructor(registrations: readonly HttpFilterRegistration[]) {
    for (const registration of registrations) {
      this.#byType.set(registration.configType, registration);
      this.#byName.set(registration.name, registration);
      for (const type of registration.routeConfigTypes) this.#routeTypes.add(type);
    }
  }

  /** By the type of its config; by name where the config has no type. */
  find(config: { readonly name: string; readonly typeName: string }): HttpFilterRegistration | undefined {
    return config.typeName === '' ? this.#byName.get(config.name) : this.#byType.get(config.typeName);
  }

  /** True if some filter takes per-route configs of this type. */
  knowsRouteConfig(typeName: string): boolean {
    return this.#routeTypes.has(typeName);
  }

  /** The registrations, in order: for lists of what is implemented. */
  get registrations(): readonly HttpFilterRegistration[] {
    return [...this.#byName.values()];
  }

  /**
   * Loads what `compile` needs for these configs: the filter's module, and what the filter itself prepares. Throws
   * ConfigError.
   */
  async prepare(configs: Iterable<TypedConfig>): Promise<void> {
    for (const config of configs) {
      const registration = this.#registrationOf(config);
      await this.#decoder.load();
      let loaded = this.#loaded.get(registration);
      if (loaded === undefined) {
        const type = await registration.load();
        loaded = this.#loaded.get(registration) ?? { type, prepared: new WeakMap() };
        this.#loaded.set(registration, loaded);
      }
      const { type, prepared } = loaded;
      if (prepared.has(config.value)) continue;
      const message = this.#decoder.decode(type.config, config.value);
      await type.prepare?.(message);
      prepared.set(config.value, message);
    }
  }

  /** Compiles the config of a filter in a chain; it must have been prepared. Throws ConfigError. */
  compile(config: TypedConfig, context: FactoryContext): CompiledHttpFilter {
    const loaded = this.#loaded.get(this.#registrationOf(config));
    const decoder = this.#decoder;
    if (loaded === undefined) throw new Error(`filter '${config.name}' has not been prepared`);
    const { type, prepared } = loaded;
    const message = prepared.has(config.value) ? prepared.get(config.value) : decoder.decode(type.config, config.value);
    const create = type.create(message, context);
    const compiled = new WeakMap<PerRouteConfig, { readonly value: unknown }>();
    return {
      create,
      compileRoute(routeConfig) {
        let known = compiled.get(routeConfig);
        if (known === undefined) {
          known = { value: compileRoute(decoder, type, message, routeConfig, context) };
          compiled.set(routeConfig, known);
        }
        return known.value;
      },
    };
  }

  #registrationOf(config: TypedConfig): HttpFilterRegistration {
    const registration = this.find(config);
    if (registration === undefined) throw unregistered(config);
    return registration;
  }
}

function compileRoute(
  decoder: ConfigDecoder,
  type: HttpFilterType,
  filterConfig: unknown,
  { typeName, value }: PerRouteConfig,
  context: FactoryContext,
): unknown {
  if (value === undefined) return undefined;
  if (type.routeConfig === undefined) throw new ConfigError(`${type.name} has no per-route config`);
  if (typeName !== type.routeConfig.typeName)
    throw new ConfigError(`the per-route config of ${type.name} is ${type.routeConfig.typeName}, not ${typeName}`);
  const message = decoder.decode(type.routeConfig, value);
  return type.compileRoute === undefined ? message : type.compileRoute(message, context, filterConfig);
}
