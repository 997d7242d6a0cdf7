import { readFileSync } from 'node:fs';
import type { DataSource } from '../../api/generated/envoy/config/core/v3/base_pb.js';
import {
  ConfigSchema,
  type Config,
} from '../../api/generated/envoy/extensions/filters/network/direct_response/v3/config_pb.js';
import { ConfigError, protobufConfig } from '../config-type.ts';
import {
  StopIteration,
  type NetworkConnection,
  type NetworkFilter,
  type NetworkFilterType,
  type NetworkVerdict,
} from './filter.ts';

/** envoy.filters.network.direct_response: sends a fixed text, and closes. */
export const directResponse: NetworkFilterType<Config> = {
  name: 'envoy.filters.network.direct_response',
  config: protobufConfig(ConfigSchema),
  create(config) {
    const bytes = read(config.response);
    return (connection) => new DirectResponseFilter(bytes, connection);
  },
};

class DirectResponseFilter implements NetworkFilter {
  readonly #bytes: Buffer;
  readonly #connection: NetworkConnection;

  constructor(bytes: Buffer, connection: NetworkConnection) {
    this.#bytes = bytes;
    this.#connection = connection;
  }

  onConnection(): NetworkVerdict {
    const connection = this.#connection;
    connection.info.responseCodeDetails = 'direct_response';
    if (this.#bytes.length > 0) connection.write(this.#bytes, false);
    connection.close('flush', '');
    return StopIteration;
  }
}

function read(source: DataSource | undefined): Buffer {
  const specifier = source?.specifier;
  switch (specifier?.case) {
    case 'inlineString':
      return Buffer.from(specifier.value, 'utf8');
    case 'inlineBytes':
      return Buffer.from(specifier.value);
    case 'environmentVariable': {
      const value = process.env[specifier.value];
      if (value === undefined)
        throw new ConfigError(`environment variable '${specifier.value}' does not exist`, 'response');
      return Buffer.from(value, 'utf8');
    }
    case 'filename':
      try {
        return readFileSync(specifier.value);
      } catch {
        throw new ConfigError(`unable to read file: ${specifier.value}`, 'response');
      }
    default:
      return Buffer.alloc(0);
  }
}
