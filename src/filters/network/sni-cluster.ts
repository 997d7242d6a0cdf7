import {
  SniClusterSchema,
  type SniCluster,
} from '../../api/generated/envoy/extensions/filters/network/sni_cluster/v3/sni_cluster_pb.js';
import { protobufConfig } from '../config-type.ts';
import { ContinueChain, TCP_PROXY_CLUSTER, type NetworkFilterType } from './filter.ts';

/** envoy.filters.network.sni_cluster: the TCP proxy behind it goes to the cluster that the SNI names. */
export const sniCluster: NetworkFilterType<SniCluster> = {
  name: 'envoy.filters.network.sni_cluster',
  config: protobufConfig(SniClusterSchema),
  create: () => (connection) => ({
    onConnection() {
      const { info } = connection;
      const name = info.connection.requestedServerName;
      if (name !== '') info.filterState.set(TCP_PROXY_CLUSTER, name);
      return ContinueChain;
    },
  }),
};
