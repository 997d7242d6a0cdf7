import type { fromBinary } from '@bufbuild/protobuf';
import { ConfigError } from './config-type.ts';
import type { NetworkFactoryContext, NetworkFilterForConnection, NetworkFilterType } from './network/filter.ts';
import type { TypedConfig } from './registry.ts';

/** A network filter that there is; its module, and with it its message types, is loaded when a config asks for it. */
export interface NetworkFilterRegistration {
  /** The canonical name. */
  readonly name: string;
  /** The message of its config. */
  readonly configType: string;
  /** It ends its filter chain: the bytes go no further (echo, direct_response, ...). */
  readonly isTerminal: boolean;
  /** Counts over all workers (`sharedCount`). */
  readonly counts?: boolean;
  readonly load: () => Promise<NetworkFilterType>;
}

/** Reads messages; loaded with the first filter. */
type Decoder = typeof fromBinary;

/** The network filters of one thread, by the type of their config. */
export class NetworkFilterRegistry {
  readonly #byType = new Map<string, NetworkFilterRegistration>();
  readonly #loaded = new Map<NetworkFilterRegistration, NetworkFilterType>();
  /** Configs that are decoded already, by the bytes that they came in; empty ones of several filters may be the same. */
  readonly #prepared = new WeakMap<Uint8Array, { readonly type: NetworkFilterType; readonly message: unknown }>();
  #decoder: Decoder | undefined = undefined;

  constructor(registrations: readonly NetworkFilterRegistration[]) {
    for (const registration of registrations) this.#byType.set(registration.configType, registration);
  }

  /** By the type of its config. */
  find(typeName: string): NetworkFilterRegistration | undefined {
    return this.#byType.get(typeName);
  }

  /** The registrations, in order: for lists of what is implemented. */
  get registrations(): readonly NetworkFilterRegistration[] {
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

  /** Compiles the config of a filter in a chain; it must have been prepared. Throws ConfigError. */
  compile(config: TypedConfig, context: NetworkFactoryContext): NetworkFilterForConnection {
    const type = this.#loaded.get(this.#registrationOf(config));
    if (type === undefined || this.#decoder === undefined)
      throw new Error(`filter '${config.name}' has not been prepared`);
    const prepared = this.#prepared.get(config.value);
    const message = prepared?.type === type ? prepared.message : decode(this.#decoder, type, config.value);
    return type.create(message, context);
  }

  #registrationOf(config: TypedConfig): NetworkFilterRegistration {
    const registration = this.find(config.typeName);
    if (registration === undefined)
      throw new ConfigError(
        `Didn't find a registered implementation for '${config.name}' with type URL: '${config.typeName}'`,
      );
    return registration;
  }
}

function decode(decoder: Decoder, { config, name }: NetworkFilterType, value: Uint8Array): unknown {
  if (config.desc === undefined) throw new ConfigError(`${name} takes no message`);
  try {
    return decoder(config.desc, value);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ConfigError(`not a serialised ${config.typeName}: ${reason}`);
  }
}
