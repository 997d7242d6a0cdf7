import { cluster, tcp } from './proxy-config.ts';

type Json = Readonly<Record<string, unknown>>;

const TYPE = 'type.googleapis.com/envoy.extensions';
const ADS = { ads: {}, resource_api_version: 'V3' };

/** How long a first answer is waited for; 0 s: for ever. */
const source = (timeout: string): Json => ({ ...ADS, initial_fetch_timeout: timeout });

export interface AdsBootstrapParts {
  readonly delta?: boolean;
  readonly timeout?: string;
  readonly listeners?: readonly Json[];
  readonly clusters?: readonly Json[];
  readonly bootstrap?: Json;
}

/** A bootstrap that gets everything over ADS from a control plane on this port. */
export function adsBootstrap(port: number, parts: AdsBootstrapParts = {}): Json {
  const timeout = parts.timeout ?? '0s';
  return {
    node: { id: 'node', cluster: 'test' },
    admin: { address: tcp(0) },
    dynamic_resources: {
      ads_config: {
        api_type: parts.delta === true ? 'DELTA_GRPC' : 'GRPC',
        transport_api_version: 'V3',
        set_node_on_first_message_only: true,
        grpc_services: [
          {
            envoy_grpc: {
              cluster_name: 'xds',
              retry_policy: { retry_back_off: { base_interval: '0.02s', max_interval: '0.1s' } },
            },
          },
        ],
      },
      lds_config: source(timeout),
      cds_config: source(timeout),
    },
    static_resources: {
      listeners: parts.listeners ?? [],
      clusters: [
        cluster('xds', port, {
          typed_extension_protocol_options: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
              '@type': `${TYPE}.upstreams.http.v3.HttpProtocolOptions`,
              explicit_http_config: { http2_protocol_options: {} },
            },
          },
        }),
        ...(parts.clusters ?? []),
      ],
    },
    ...parts.bootstrap,
  };
}

/** A cluster of type EDS over ADS. */
export const edsCluster = (name: string, more: Json = {}): Json => ({
  name,
  type: 'EDS',
  connect_timeout: '1s',
  eds_cluster_config: { eds_config: source('0s') },
  ...more,
});

export const assignment = (name: string, ...ports: readonly number[]): Json => ({
  cluster_name: name,
  endpoints: [{ lb_endpoints: ports.map((port) => ({ endpoint: { address: tcp(port) } })) }],
});

/** A listener on a port that the system chooses, with the routes of this name. */
export function rdsListener(
  name: string,
  routes: string,
  { timeout = '0s', hcm = {}, ...more }: Json & { readonly timeout?: string; readonly hcm?: Json } = {},
): Json {
  return {
    name,
    address: tcp(0),
    filter_chains: [
      {
        filters: [
          {
            name: 'envoy.filters.network.http_connection_manager',
            typed_config: {
              '@type': `${TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
              stat_prefix: name,
              rds: { route_config_name: routes, config_source: source(timeout) },
              http_filters: [
                {
                  name: 'envoy.filters.http.router',
                  typed_config: { '@type': `${TYPE}.filters.http.router.v3.Router` },
                },
              ],
              ...hcm,
            },
          },
        ],
      },
    ],
    ...more,
  };
}

export const routesTo = (name: string, clusterName: string, more: Json = {}): Json => ({
  name,
  virtual_hosts: [
    { name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: clusterName } }] },
  ],
  ...more,
});
