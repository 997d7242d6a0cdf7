import { MetadataExchangeSchema } from '../../api/generated/istio/metadata_exchange_pb.js';
import { protobufConfig } from '../config-type.ts';
import type { NetworkFilterType } from '../network/filter.ts';

/**
 * istio.metadata_exchange: accepted, and the exchange never takes place. Peers exchange what they know only where ALPN
 * settles on the filter's protocol, and the builders take that from what TLS offers and accepts.
 */
export const istioMetadataExchange: NetworkFilterType = {
  name: 'istio.metadata_exchange',
  config: protobufConfig(MetadataExchangeSchema),
  create(_config, { unsupported }) {
    unsupported('protocol');
    return () => undefined;
  },
};
