import type { fromBinary } from '@bufbuild/protobuf';
import { ConfigError, type ConfigType } from './config-type.ts';
import type { TypedConfig } from './registry.ts';

/**
 * Reads the messages that extensions are configured by. What reads messages is loaded with the first config, since its
 * modules are a third of a worker's memory when idle.
 */
export class ConfigDecoder {
  #fromBinary: typeof fromBinary | undefined = undefined;

  async load(): Promise<void> {
    this.#fromBinary ??= (await import('@bufbuild/protobuf')).fromBinary;
  }

  /** After `load`. Throws ConfigError. */
  decode({ desc, typeName }: ConfigType<unknown>, value: Uint8Array): unknown {
    if (this.#fromBinary === undefined) throw new Error('the decoder has not been loaded');
    if (desc === undefined)
      throw new ConfigError('a filter with a JSON config is configured by outrigger.filters.http.typescript');
    try {
      return this.#fromBinary(desc, value);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new ConfigError(`not a serialised ${typeName}: ${reason}`);
    }
  }
}

/** Nothing is registered for a config, in Envoy's words. */
export function unregistered({ name, typeName }: Pick<TypedConfig, 'name' | 'typeName'>): ConfigError {
  return new ConfigError(`Didn't find a registered implementation for '${name}' with type URL: '${typeName}'`);
}
