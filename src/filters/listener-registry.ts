import type { fromBinary } from '@bufbuild/protobuf';
import { ConfigError } from './config-type.ts';
import type { ListenerFactoryContext, ListenerFilterForConnection, ListenerFilterType } from './listener/filter.ts';
import type { TypedConfig } from './registry.ts';

/** A listener filter that there is; its module, and with it its message types, is loaded when a config asks for it. */
export interface ListenerFilterRegistration {
  /** The canonical name. */
  readonly name: string;
  /** The message of its config. */
  readonly configType: string;
  readonly load: () => Promise<ListenerFilterType>;
}

/** Reads messages; loaded with the first filter. */
type Decoder = typeof fromBinary;

/** The listener filters of one thread, by the type of their config. */
export class ListenerFilterRegistry {
  readonly #byType = new Map<string, ListenerFilterRegistration>();
  readonly #loaded = new Map<ListenerFilterRegistration, ListenerFilterType>();
  /** Configs that are decoded already, by the bytes that they came in; empty ones of several filters may be the same. */
  readonly #prepared = new WeakMap<Uint8Array, { readonly type: ListenerFilterType; readonly message: unknown }>();
  #decoder: Decoder | undefined = undefined;

  constructor(registrations: readonly ListenerFilterRegistration[]) {
    for (const registration of registrations) this.#byType.set(registration.configType, registration);
  }

  /** By the type of its config. */
  find(typeName: string): ListenerFilterRegistration | undefined {
    return this.#byType.get(typeName);
  }

  /** The registrations, in order: for lists of what is implemented. */
  get registrations(): readonly ListenerFilterRegistration[] {
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

  /** Compiles the config of a listener's filter; it must have been prepared. Throws ConfigError. */
  compile(config: TypedConfig, context: ListenerFactoryContext): ListenerFilterForConnection {
    const type = this.#loaded.get(this.#registrationOf(config));
    if (type === undefined || this.#decoder === undefined)
      throw new Error(`listener filter '${config.name}' has not been prepared`);
    const prepared = this.#prepared.get(config.value);
    const message = prepared?.type === type ? prepared.message : decode(this.#decoder, type, config.value);
    return type.create(message, context);
  }

  #registrationOf(config: TypedConfig): ListenerFilterRegistration {
    const registration = this.find(config.typeName);
    if (registration === undefined)
      throw new ConfigError(
        `Didn't find a registered implementation for '${config.name}' with type URL: '${config.typeName}'`,
      );
    return registration;
  }
}

function decode(decoder: Decoder, { config, name }: ListenerFilterType, value: Uint8Array): unknown {
  if (config.desc === undefined) throw new ConfigError(`${name} takes no message`);
  try {
    return decoder(config.desc, value);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ConfigError(`not a serialised ${config.typeName}: ${reason}`);
  }
}
