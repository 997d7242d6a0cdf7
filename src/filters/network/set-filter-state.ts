import type { FilterStateValue } from '../../api/generated/envoy/extensions/filters/common/set_filter_state/v3/value_pb.js';
import {
  ConfigSchema,
  type Config,
} from '../../api/generated/envoy/extensions/filters/network/set_filter_state/v3/set_filter_state_pb.js';
import type { FormatContext } from '../../telemetry/access-log/access-log.ts';
import { ConfigError, protobufConfig } from '../config-type.ts';
import { compileFilterStateValue } from '../filter-state-value.ts';
import { ContinueChain, type NetworkFilterType } from './filter.ts';

/** envoy.filters.network.set_filter_state: puts formatted values into the filter state of new connections. */
export const setFilterState: NetworkFilterType<Config> = {
  name: 'envoy.filters.network.set_filter_state',
  config: protobufConfig(ConfigSchema),
  create(config, { unsupported }) {
    const setters = config.onNewConnection.map((value, i) => compile(value, i, unsupported));
    return (connection) => ({
      onConnection() {
        const { info } = connection;
        const context: FormatContext = {
          info,
          requestHeaders: undefined,
          responseHeaders: undefined,
          responseTrailers: undefined,
          localReplyBody: '',
          accessLogType: 'NotSet',
        };
        for (const set of setters) set(context);
        return ContinueChain;
      },
    });
  },
};

function compile(
  value: FilterStateValue,
  index: number,
  unsupported: (field: string) => void,
): (context: FormatContext) => void {
  const path = `on_new_connection[${index}]`;
  try {
    return compileFilterStateValue(value, (field) => unsupported(`${path}.${field}`));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(error.message, error.path === '' ? path : `${path}.${error.path}`);
  }
}
