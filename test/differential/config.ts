/**
 * The config that both proxies run. `@UPSTREAM@` is the scripted upstream's port, `@CLOSED@` a port where nobody
 * listens, `@DIR@` the proxy's own folder. Each listener turns on one group of features.
 */
const HCM = 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
const ROUTER = 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router';

/** JSON, which is YAML too: one line of this file a field. */
type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

const LOG_FIELDS = [
  'REQ(:METHOD)',
  'REQ(X-ENVOY-ORIGINAL-PATH?:PATH)',
  'REQ(:AUTHORITY)',
  'REQ(:SCHEME)',
  'REQ(X-FORWARDED-FOR)',
  'REQ(USER-AGENT)',
  'PROTOCOL',
  'RESPONSE_CODE',
  'RESPONSE_CODE_DETAILS',
  'RESPONSE_FLAGS',
  'CONNECTION_TERMINATION_DETAILS',
  'BYTES_RECEIVED',
  'BYTES_SENT',
  'UPSTREAM_HOST',
  'UPSTREAM_CLUSTER',
  'UPSTREAM_REQUEST_ATTEMPT_COUNT',
  'UPSTREAM_TRANSPORT_FAILURE_REASON',
  'ROUTE_NAME',
  'VIRTUAL_CLUSTER_NAME',
  'DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT',
  'DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT',
  'RESP(CONTENT-TYPE)',
  'TRAILER(X-TRAILER)',
  'REQUEST_HEADERS_BYTES',
  'RESPONSE_HEADERS_BYTES',
  'DOWNSTREAM_WIRE_BYTES_SENT',
];

const accessLog: Json = [
  {
    name: 'envoy.access_loggers.file',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog',
      path: '@DIR@/access.log',
      log_format: {
        text_format_source: {
          inline_string: `${LOG_FIELDS.map((field) => `${field.replace(/\(.*/, '')}=%${field}%`).join(' ')}\n`,
        },
      },
    },
  },
];

export interface ListenerParts {
  readonly hcm?: { [key: string]: Json };
  readonly routes?: Json[];
  readonly virtualHosts?: Json[];
  readonly routeConfig?: { [key: string]: Json };
  readonly filters?: Json[];
  readonly listener?: { [key: string]: Json };
}

export const toUpstream: Json = { match: { prefix: '/' }, route: { cluster: 'upstream' } };

const listener = (
  name: string,
  { hcm = {}, routes = [toUpstream], virtualHosts, routeConfig = {}, filters = [], listener: more = {} }: ListenerParts,
): Json => ({
  name,
  address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
  ...more,
  filter_chains: [
    {
      filters: [
        {
          name: 'envoy.filters.network.http_connection_manager',
          typed_config: {
            '@type': HCM,
            stat_prefix: name,
            // Envoy waits a second for the peer after its last byte; here less does.
            delayed_close_timeout: '0.05s',
            access_log: accessLog,
            route_config: {
              name: `${name}-routes`,
              virtual_hosts: virtualHosts ?? [{ name: 'all', domains: ['*'], routes }],
              ...routeConfig,
            },
            http_filters: [...filters, { name: 'envoy.filters.http.router', typed_config: { '@type': ROUTER } }],
            ...hcm,
          },
        },
      ],
    },
  ],
});

const cluster = (name: string, port: string, more: { [key: string]: Json } = {}): Json => ({
  name,
  connect_timeout: '1s',
  load_assignment: {
    cluster_name: name,
    endpoints: [
      { lb_endpoints: [{ endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } } }] },
    ],
  },
  ...more,
});

const HTTP_OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

/** Speaks HTTP/2 upstream, upgrades included. */
export const explicitHttp2: { [key: string]: Json } = {
  [HTTP_OPTIONS]: {
    '@type': `type.googleapis.com/${HTTP_OPTIONS}`,
    explicit_http_config: { http2_protocol_options: { allow_connect: true } },
  },
};

/** The whole bootstrap as YAML text. */
export function differentialConfig(
  listeners: Readonly<Record<string, ListenerParts>>,
  clusters: Readonly<Record<string, { [key: string]: Json }>>,
): string {
  const bootstrap: Json = {
    admin: { address: { socket_address: { address: '127.0.0.1', port_value: 0 } } },
    static_resources: {
      listeners: Object.entries(listeners).map(([name, parts]) => listener(name, parts)),
      clusters: [
        cluster('upstream', '@UPSTREAM@'),
        cluster('closed', '@CLOSED@'),
        { name: 'empty', connect_timeout: '1s' },
        cluster('upstream2', '@UPSTREAM2@', { typed_extension_protocol_options: explicitHttp2 }),
        ...Object.entries(clusters).map(([name, more]) => cluster(name, '@UPSTREAM@', more)),
      ],
    },
  };
  return JSON.stringify(bootstrap, undefined, 1).replaceAll(/"(@UPSTREAM2?@|@CLOSED@)"/g, '$1');
}
