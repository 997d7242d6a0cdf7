import { EchoSchema, type Echo } from '../../api/generated/envoy/extensions/filters/network/echo/v3/echo_pb.js';
import { protobufConfig } from '../config-type.ts';
import {
  StopIteration,
  type NetworkConnection,
  type NetworkFilter,
  type NetworkFilterType,
  type NetworkVerdict,
} from './filter.ts';

/** envoy.filters.network.echo: sends back what it gets. */
export const echo: NetworkFilterType<Echo> = {
  name: 'envoy.filters.network.echo',
  config: protobufConfig(EchoSchema),
  create: () => (connection) => new EchoFilter(connection),
};

class EchoFilter implements NetworkFilter {
  readonly #connection: NetworkConnection;

  constructor(connection: NetworkConnection) {
    this.#connection = connection;
  }

  onData(chunk: Buffer, endStream: boolean): NetworkVerdict {
    this.#connection.write(chunk, endStream);
    return StopIteration;
  }
}
