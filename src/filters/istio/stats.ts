import { PluginConfigSchema } from '../../api/generated/istio/stats_pb.js';
import { protobufConfig } from '../config-type.ts';
import { defineHttpFilter } from '../http/filter.ts';
import type { NetworkFilterType } from '../network/filter.ts';

/** istio.stats for HTTP: accepted, so that a mesh's configuration is; its metrics are not made. */
export const istioStats = defineHttpFilter({
  name: 'istio.stats',
  config: protobufConfig(PluginConfigSchema),
  create(_config, { unsupported }) {
    unsupported?.('metrics');
    return () => undefined;
  },
});

/** The same for TCP. */
export const istioNetworkStats: NetworkFilterType = {
  name: 'istio.stats',
  config: protobufConfig(PluginConfigSchema),
  create(_config, { unsupported }) {
    unsupported('metrics');
    return () => undefined;
  },
};
