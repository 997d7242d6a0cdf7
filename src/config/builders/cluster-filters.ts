import { unpackAny } from '../../api/any.ts';
import type { Filter } from '../../api/generated/envoy/config/cluster/v3/filter_pb.js';
import type { MetadataExchange } from '../../api/generated/istio/metadata_exchange_pb.js';
import type { TypeRegistry } from '../../api/type-registry.ts';
import { METADATA_EXCHANGE } from '../../filters/builtin-network.ts';
import type { ExtensionNetworkFilterModel } from '../network-filter-model.ts';
import type { Problems } from '../problem.ts';
import { typedConfig } from './listener-context.ts';

/** A cluster's network filters; `problems` stands at the list. Of all there are, only Istio's exchange of metadata is for clusters. */
export function buildClusterFilters(
  filters: readonly Filter[],
  types: TypeRegistry,
  problems: Problems,
): readonly ExtensionNetworkFilterModel[] {
  return filters.flatMap(({ name, typedConfig: any, configDiscovery }, index) => {
    const at = problems.at(index);
    if (any === undefined || configDiscovery !== undefined) {
      at.unsupported('config_discovery');
      return [];
    }
    const { typeName, message } = unpackAny(types, any);
    if (typeName !== METADATA_EXCHANGE) {
      at.unsupported('typed_config');
      return [];
    }
    if ((message as MetadataExchange | undefined)?.enableDiscovery === true)
      at.at('typed_config').unsupported('enable_discovery');
    return [{ kind: 'extension', name, config: typedConfig(types, name, any) }];
  });
}
