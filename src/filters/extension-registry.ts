import { ConfigDecoder, unregistered } from './config-decoder.ts';
import type { ConfigType } from './config-type.ts';
import type { TypedConfig } from './registry.ts';

/** A kind of extension that is configured by one message: type -> per config. */
export interface ExtensionType<Context, Compiled> {
  readonly name: string;
  readonly config: ConfigType<unknown>;
  /** Throws ConfigError. */
  create(config: unknown, context: Context): Compiled;
}

/** An extension that there is; its module, and with it its message types, is loaded when a config asks for it. */
export interface ExtensionRegistration<Context, Compiled> {
  /** The canonical name. */
  readonly name: string;
  /** The message of its config. */
  readonly configType: string;
  readonly load: () => Promise<ExtensionType<Context, Compiled>>;
}

/** The extensions of one category on one thread, by the type of their config. */
export class ExtensionRegistry<Context, Compiled, Registration extends ExtensionRegistration<Context, Compiled>> {
  readonly #byType = new Map<string, Registration>();
  readonly #loaded = new Map<Registration, ExtensionType<Context, Compiled>>();
  /** Configs that are decoded already, by the bytes that they came in; empty ones of several may be the same bytes. */
  readonly #prepared = new WeakMap<Uint8Array, { readonly type: object; readonly message: unknown }>();
  readonly #decoder = new ConfigDecoder();

  constructor(registrations: readonly Registration[]) {
    for (const registration of registrations) this.#byType.set(registration.configType, registration);
  }

  /** By the type of its config. */
  find(typeName: string): Registration | undefined {
    return this.#byType.get(typeName);
  }

  /** The registrations, in order: for lists of what is implemented. */
  get registrations(): readonly Registration[] {
    return [...this.#byType.values()];
  }

  /** Loads what `compile` needs for these configs. Throws ConfigError. */
  async prepare(configs: Iterable<TypedConfig>): Promise<void> {
    for (const config of configs) {
      const registration = this.#registrationOf(config);
      await this.#decoder.load();
      let type = this.#loaded.get(registration);
      if (type === undefined) {
        type = await registration.load();
        this.#loaded.set(registration, type);
      }
      if (this.#prepared.get(config.value)?.type === type) continue;
      this.#prepared.set(config.value, { type, message: this.#decoder.decode(type.config, config.value) });
    }
  }

  /** Compiles a config; it must have been prepared. Throws ConfigError. */
  compile(config: TypedConfig, context: Context): Compiled {
    const type = this.#loaded.get(this.#registrationOf(config));
    if (type === undefined) throw new Error(`filter '${config.name}' has not been prepared`);
    const prepared = this.#prepared.get(config.value);
    const message = prepared?.type === type ? prepared.message : this.#decoder.decode(type.config, config.value);
    return type.create(message, context);
  }

  #registrationOf(config: TypedConfig): Registration {
    const registration = this.find(config.typeName);
    if (registration === undefined) throw unregistered(config);
    return registration;
  }
}
