import type { TypedConfigModel } from './common-model.ts';
import type { HcmModel } from './hcm-model.ts';
import type { TcpProxyModel } from './tcp-proxy-model.ts';

/** One entry of a filter chain's `filters`. The data path itself knows the first two; all others are extensions. */
export type NetworkFilterModel = HcmFilterModel | TcpProxyFilterModel | ExtensionNetworkFilterModel;

/** envoy.filters.network.http_connection_manager. */
export interface HcmFilterModel {
  readonly kind: 'http-connection-manager';
  readonly name: string;
  readonly hcm: HcmModel;
}

/** envoy.filters.network.tcp_proxy. */
export interface TcpProxyFilterModel {
  readonly kind: 'tcp-proxy';
  readonly name: string;
  readonly tcpProxy: TcpProxyModel;
}

/** Any filter of the network filter registry. */
export interface ExtensionNetworkFilterModel {
  readonly kind: 'extension';
  readonly name: string;
  readonly config: TypedConfigModel;
  /** First of the shared cells that it counts in over all workers; the control side fills it in. Absent: none. */
  readonly sharedSlot?: number;
  /** `config` is delivered apart: another one is for the connections that come then. */
  readonly isDiscovered?: boolean;
}
