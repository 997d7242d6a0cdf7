import type { fromBinary } from '@bufbuild/protobuf';
import { ConfigError, type ConfigType } from './config-type.ts';
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

/** Reads messages; loaded with the first extension. */
type Decoder = typeof fromBinary;

/** The extensions of one category on one thread, by the type of their config. */
export class ExtensionRegistry<Context, Compiled, Registration extends ExtensionRegistration<Context, Compiled>> {
  readonly #byType = new Map<string, Registration>();
  readonly #loaded = new Map<Registration, ExtensionType<Context, Compiled>>();
  /** Configs that are decoded already, by the bytes that they came in; empty ones of several may be the same bytes. */
  readonly #prepared = new WeakMap<Uint8Array, { readonly type: object; readonly message: unknown }>();
  #decoder: Decoder | undefined = undefined;

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
      this.#decoder ??= (await import('@bufbuild/protobuf')).fromBinary;
      let type = this.#loaded.get(registration);
      if (type === undefined) {
        type = await registration.load();
        this.#loaded.set(registration, type);
      }
      if (this.#prepared.get(config.value)?.type === type) continue;
      this.#prepared.set(config.value, { type, message: decode(this.#decoder, type, config.value) });
    }
  }

  /** Compiles a config; it must have been prepared. Throws ConfigError. */
  compile(config: TypedConfig, context: Context): Compiled {
    const type = this.#loaded.get(this.#registrationOf(config));
    if (type === undefined || this.#decoder === undefined)
      throw new Error(`filter '${config.name}' has not been prepared`);
    const prepared = this.#prepared.get(config.value);
    const message = prepared?.type === type ? prepared.message : decode(this.#decoder, type, config.value);
    return type.create(message, context);
  }

  #registrationOf(config: TypedConfig): Registration {
    const registration = this.find(config.typeName);
    if (registration === undefined)
      throw new ConfigError(
        `Didn't find a registered implementation for '${config.name}' with type URL: '${config.typeName}'`,
      );
    return registration;
  }
}

function decode(
  decoder: Decoder,
  { config, name }: { readonly config: ConfigType<unknown>; readonly name: string },
  value: Uint8Array,
): unknown {
  if (config.desc === undefined) throw new ConfigError(`${name} takes no message`);
  try {
    return decoder(config.desc, value);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ConfigError(`not a serialised ${config.typeName}: ${reason}`);
  }
}
