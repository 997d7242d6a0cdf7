import type { TcpCase } from '../tcp-harness.ts';

/** JSON, which is YAML too. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type Fields = { [key: string]: Json };

const TYPE = 'type.googleapis.com/envoy.extensions.filters.network';

const LOG_FIELDS = [
  'ACCESS_LOG_TYPE',
  'RESPONSE_FLAGS',
  'RESPONSE_CODE',
  'RESPONSE_CODE_DETAILS',
  'CONNECTION_TERMINATION_DETAILS',
  'BYTES_RECEIVED',
  'BYTES_SENT',
  'DOWNSTREAM_WIRE_BYTES_RECEIVED',
  'DOWNSTREAM_WIRE_BYTES_SENT',
  'UPSTREAM_CLUSTER',
  'UPSTREAM_HOST',
  'UPSTREAM_REQUEST_ATTEMPT_COUNT',
  'UPSTREAM_TRANSPORT_FAILURE_REASON',
  'DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT',
  'PROTOCOL',
  'DYNAMIC_METADATA(envoy.filters.network.rbac)',
  'DYNAMIC_METADATA(envoy.common)',
  'FILTER_STATE(envoy.tcp_proxy.propagate_response_headers:TYPED)',
  'FILTER_STATE(envoy.string:PLAIN)',
];
const fields = (prefix: string): string =>
  `${prefix} ${LOG_FIELDS.map((field) => `${field.replace(/\(.*/, '')}=%${field}%`).join(' ')}\n`;

const accessLog = (prefix: string): Json => [
  {
    name: 'envoy.access_loggers.file',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog',
      path: '@DIR@/access.log',
      log_format: { text_format_source: { inline_string: fields(prefix) } },
    },
  },
];

const filter = (name: string, type: string, config: Fields): Json => ({
  name: `envoy.filters.network.${name}`,
  typed_config: { '@type': `${TYPE}.${type}`, ...config },
});
const tcp = (statPrefix: string, config: Fields = {}): Json =>
  filter('tcp_proxy', 'tcp_proxy.v3.TcpProxy', {
    stat_prefix: statPrefix,
    ...('weighted_clusters' in config ? {} : { cluster: 'up' }),
    access_log: accessLog('tcp'),
    ...config,
  });
const rbac = (config: Fields): Json => filter('rbac', 'rbac.v3.RBAC', { stat_prefix: 'net.', ...config });
const policy = (permission: Fields, principal: Fields): Json => ({
  permissions: [permission],
  principals: [principal],
});
const any = { any: true };
const rules = (action: string, policies: Fields): Fields => ({ rules: { action, policies } });
const state = (key: string, value: string, more: Fields = {}): Json => ({
  object_key: key,
  format_string: { text_format_source: { inline_string: value } },
  ...more,
});
const setState = (...values: Json[]): Json =>
  filter('set_filter_state', 'set_filter_state.v3.Config', { on_new_connection: values });
const http: Json = filter('http_connection_manager', 'http_connection_manager.v3.HttpConnectionManager', {
  stat_prefix: 'web',
  delayed_close_timeout: '0.05s',
  route_config: {
    virtual_hosts: [
      {
        name: 'all',
        domains: ['*'],
        routes: [{ match: { prefix: '/' }, direct_response: { status: 200, body: { inline_string: 'hello' } } }],
      },
    ],
  },
  http_filters: [
    {
      name: 'envoy.filters.http.router',
      typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
    },
  ],
});
const tunnel = (config: Fields = {}, cluster = 'up'): Json =>
  tcp('tunnel', { cluster, tunneling_config: { hostname: 'target.example:443', ...config } });

/** Listener name -> its network filters. */
export const listeners: Readonly<Record<string, readonly Json[]>> = {
  plain: [tcp('plain')],
  closed: [tcp('closed', { cluster: 'closed' })],
  'closed-thrice': [tcp('closed', { cluster: 'closed', max_connect_attempts: 3 })],
  'closed-backoff': [
    tcp('closed', { cluster: 'closed', max_connect_attempts: 3, backoff_options: { base_interval: '0.02s' } }),
  ],
  unknown: [tcp('unknown', { cluster: 'nowhere' })],
  empty: [tcp('empty', { cluster: 'empty' })],
  full: [tcp('full', { cluster: 'full' })],
  pending: [tcp('pending', { cluster: 'no-pending' })],
  idle: [tcp('idle', { idle_timeout: '0.15s' })],
  'no-idle': [tcp('no-idle', { idle_timeout: '0s' })],
  duration: [tcp('duration', { max_downstream_connection_duration: '0.15s' })],
  'duration-closed': [tcp('duration', { max_downstream_connection_duration: '10s', cluster: 'closed' })],
  weighted: [
    tcp('weighted', {
      weighted_clusters: {
        clusters: [
          { name: 'up', weight: 4 },
          { name: 'up', weight: 6 },
        ],
      },
    }),
  ],
  'weighted-state': [
    setState(state('envoy.tcp_proxy.cluster', 'empty')),
    tcp('weighted', {
      weighted_clusters: {
        clusters: [
          { name: 'up', weight: 1 },
          { name: 'up', weight: 1 },
        ],
      },
    }),
  ],
  connected: [tcp('connected', { access_log_options: { flush_access_log_on_connected: true } })],
  'connected-old': [tcp('connected', { flush_access_log_on_connected: true })],
  'connected-closed': [
    tcp('connected', { cluster: 'closed', access_log_options: { flush_access_log_on_connected: true } }),
  ],
  'cluster-state': [setState(state('envoy.tcp_proxy.cluster', 'closed')), tcp('state')],
  'cluster-state-unknown': [setState(state('envoy.tcp_proxy.cluster', 'nobody')), tcp('state')],
  'idle-state': [setState(state('envoy.tcp_proxy.per_connection_idle_timeout_ms', '120')), tcp('state')],
  'bad-idle-state': [setState(state('envoy.tcp_proxy.per_connection_idle_timeout_ms', 'soon')), tcp('state')],
  'string-state': [
    setState(
      state('envoy.string', 'from %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%'),
      state('other', '', { factory_key: 'envoy.string', skip_if_empty: true }),
    ),
    tcp('state'),
  ],
  'rbac-allow': [rbac(rules('ALLOW', { all: policy(any, any) })), tcp('r')],
  'rbac-deny': [rbac(rules('DENY', { 'deny all': policy(any, any) })), tcp('r')],
  'rbac-none': [rbac({}), tcp('r')],
  'rbac-empty': [rbac({ rules: { action: 'ALLOW' } }), tcp('r')],
  'rbac-empty-deny': [rbac({ rules: { action: 'DENY' } }), tcp('r')],
  'rbac-loopback': [
    rbac(rules('ALLOW', { near: policy(any, { direct_remote_ip: { address_prefix: '127.0.0.0', prefix_len: 8 } }) })),
    tcp('r'),
  ],
  'rbac-elsewhere': [
    rbac(rules('ALLOW', { far: policy(any, { remote_ip: { address_prefix: '10.0.0.0', prefix_len: 8 } }) })),
    tcp('r'),
  ],
  'rbac-source': [
    rbac(rules('DENY', { near: policy(any, { source_ip: { address_prefix: '127.0.0.1', prefix_len: 32 } }) })),
    tcp('r'),
  ],
  'rbac-destination': [
    rbac(rules('ALLOW', { to: policy({ destination_ip: { address_prefix: '127.0.0.1', prefix_len: 32 } }, any) })),
    tcp('r'),
  ],
  'rbac-port': [rbac(rules('ALLOW', { port: policy({ destination_port: 1 }, any) })), tcp('r')],
  'rbac-range': [
    rbac(rules('ALLOW', { range: policy({ destination_port_range: { start: 1024, end: 65535 } }, any) })),
    tcp('r'),
  ],
  'rbac-path': [rbac(rules('ALLOW', { path: policy({ url_path: { path: { prefix: '/' } } }, any) })), tcp('r')],
  'rbac-sni': [rbac(rules('ALLOW', { sni: policy({ requested_server_name: { exact: '' } }, any) })), tcp('r')],
  'rbac-authenticated': [rbac(rules('ALLOW', { who: policy(any, { authenticated: {} }) })), tcp('r')],
  'rbac-not': [rbac(rules('DENY', { no: policy({ not_rule: any }, any) })), tcp('r')],
  'rbac-and-or': [
    rbac(
      rules('ALLOW', {
        both: policy(
          { and_rules: { rules: [any, { or_rules: { rules: [{ destination_port: 1 }, any] } }] } },
          {
            and_ids: {
              ids: [
                { not_id: { remote_ip: { address_prefix: '10.0.0.0', prefix_len: 8 } } },
                { or_ids: { ids: [any] } },
              ],
            },
          },
        ),
      }),
    ),
    tcp('r'),
  ],
  'rbac-metadata': [
    rbac(
      rules('ALLOW', {
        meta: policy(
          { metadata: { filter: 'a', path: [{ key: 'b' }], value: { string_match: { exact: 'c' } }, invert: true } },
          any,
        ),
      }),
    ),
    tcp('r'),
  ],
  'rbac-state': [
    setState(state('envoy.string', 'yes')),
    rbac(
      rules('ALLOW', { state: policy(any, { filter_state: { key: 'envoy.string', string_match: { exact: 'yes' } } }) }),
    ),
    tcp('r'),
  ],
  'rbac-order': [
    rbac(rules('DENY', { zeta: policy(any, any), alpha: policy(any, any), Beta: policy(any, any) })),
    tcp('r'),
  ],
  'rbac-shadow': [
    rbac({
      ...rules('ALLOW', { all: policy(any, any) }),
      shadow_rules: { action: 'DENY', policies: { 'shadow one': policy(any, any) } },
      shadow_rules_stat_prefix: 'dry_',
    }),
    tcp('r'),
  ],
  'rbac-shadow-only': [
    rbac({ shadow_rules: { action: 'ALLOW', policies: { p: policy({ destination_port: 1 }, any) } } }),
    tcp('r'),
  ],
  'rbac-log': [rbac(rules('LOG', { seen: policy(any, any) })), tcp('r')],
  'rbac-log-none': [rbac(rules('LOG', { seen: policy({ destination_port: 1 }, any) })), tcp('r')],
  'rbac-continuous': [rbac({ ...rules('ALLOW', { all: policy(any, any) }), enforcement_type: 'CONTINUOUS' }), tcp('r')],
  'rbac-prefix': [rbac({ ...rules('ALLOW', { all: policy(any, any) }), stat_prefix: 'bare' }), tcp('r')],
  'rbac-http': [rbac(rules('ALLOW', { all: policy(any, any) })), http],
  'rbac-http-deny': [rbac(rules('DENY', { all: policy(any, any) })), http],
  limit: [
    filter('connection_limit', 'connection_limit.v3.ConnectionLimit', { stat_prefix: 'two', max_connections: 2 }),
    tcp('limit'),
  ],
  'limit-delay': [
    filter('connection_limit', 'connection_limit.v3.ConnectionLimit', {
      stat_prefix: 'one',
      max_connections: 1,
      delay: '0.1s',
    }),
    tcp('limit'),
  ],
  'limit-off': [
    filter('connection_limit', 'connection_limit.v3.ConnectionLimit', {
      stat_prefix: 'off',
      max_connections: 1,
      runtime_enabled: { default_value: false, runtime_key: 'never' },
    }),
    tcp('limit'),
  ],
  rate: [
    filter('local_ratelimit', 'local_ratelimit.v3.LocalRateLimit', {
      stat_prefix: 'rate',
      token_bucket: { max_tokens: 1, tokens_per_fill: 1, fill_interval: '3600s' },
    }),
    tcp('rate'),
  ],
  'rate-shared-a': [
    filter('local_ratelimit', 'local_ratelimit.v3.LocalRateLimit', {
      stat_prefix: 'shared',
      share_key: 'key',
      token_bucket: { max_tokens: 1, tokens_per_fill: 1, fill_interval: '3600s' },
    }),
    tcp('rate'),
  ],
  'rate-shared-b': [
    filter('local_ratelimit', 'local_ratelimit.v3.LocalRateLimit', {
      stat_prefix: 'shared',
      share_key: 'key',
      token_bucket: { max_tokens: 1, tokens_per_fill: 1, fill_interval: '3600s' },
    }),
    tcp('rate'),
  ],
  'rate-off': [
    filter('local_ratelimit', 'local_ratelimit.v3.LocalRateLimit', {
      stat_prefix: 'off',
      token_bucket: { max_tokens: 1, fill_interval: '3600s' },
      runtime_enabled: { default_value: false, runtime_key: 'never' },
    }),
    tcp('rate'),
  ],
  'rate-http': [
    filter('local_ratelimit', 'local_ratelimit.v3.LocalRateLimit', {
      stat_prefix: 'http',
      token_bucket: { max_tokens: 1, fill_interval: '3600s' },
    }),
    http,
  ],
  direct: [filter('direct_response', 'direct_response.v3.Config', { response: { inline_string: 'direct' } })],
  'direct-empty': [filter('direct_response', 'direct_response.v3.Config', {})],
  'rbac-direct': [
    rbac(rules('DENY', { all: policy(any, any) })),
    filter('direct_response', 'direct_response.v3.Config', { response: { inline_string: 'direct' } }),
  ],
  echo: [filter('echo', 'echo.v3.Echo', {})],
  'rbac-echo': [
    rbac(rules('ALLOW', { near: policy(any, { remote_ip: { address_prefix: '127.0.0.0', prefix_len: 8 } }) })),
    filter('echo', 'echo.v3.Echo', {}),
  ],
  sni: [filter('sni_cluster', 'sni_cluster.v3.SniCluster', {}), tcp('sni')],
  chain: [
    rbac(rules('ALLOW', { all: policy(any, any) })),
    filter('connection_limit', 'connection_limit.v3.ConnectionLimit', { stat_prefix: 'chain', max_connections: 9 }),
    setState(state('envoy.string', 'chain')),
    tcp('chain'),
  ],
  tunnel: [tunnel()],
  'tunnel-post': [tunnel({ use_post: true })],
  'tunnel-post-path': [tunnel({ use_post: true, post_path: '/in?to=%x' })],
  'tunnel-headers': [
    tunnel({
      hostname: 'host-%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%:80',
      headers_to_add: [
        { header: { key: 'x-from', value: '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%' } },
        { header: { key: 'X-Two', value: 'b' }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' },
      ],
      propagate_response_headers: true,
    }),
  ],
  'tunnel-closed': [tunnel({}, 'closed')],
  'tunnel-off': [setState(state('envoy.tcp_proxy.disable_tunneling', 'true')), tunnel()],
};

const cluster = (name: string, port: string, more: Fields = {}): Json => ({
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

/** The bootstrap that both proxies run; `@UPSTREAM@` and `@CLOSED@` are ports, `@DIR@` is the proxy's own folder. */
export function tcpConfig(): string {
  const bootstrap: Json = {
    admin: { address: { socket_address: { address: '127.0.0.1', port_value: 0 } } },
    static_resources: {
      listeners: Object.entries(listeners).map(([name, filters]) => ({
        name,
        address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
        access_log: accessLog('listener'),
        filter_chains: [{ filters: [...filters] }],
      })),
      clusters: [
        cluster('up', '@UPSTREAM@'),
        cluster('closed', '@CLOSED@'),
        cluster('full', '@UPSTREAM@', { circuit_breakers: { thresholds: [{ max_connections: 0 }] } }),
        cluster('no-pending', '@UPSTREAM@', { circuit_breakers: { thresholds: [{ max_pending_requests: 0 }] } }),
        { name: 'empty', connect_timeout: '1s' },
      ],
    },
  };
  return JSON.stringify(bootstrap, undefined, 1).replaceAll(/"(@UPSTREAM@|@CLOSED@)"/g, '$1');
}

const send = (text: string): TcpCase['steps'][number] => ({ send: text });
const MEBIBYTE = Buffer.alloc(1 << 20, 'abcdefghij');
/** A connection that sends, gets that back, and ends. */
const exchange = (listener: string, more: Partial<TcpCase> = {}): TcpCase => ({
  name: `${listener}: send and end`,
  listener,
  steps: [send('hello'), { expect: 5 }, 'end'],
  ...more,
});
/** One that is expected to be refused. */
const refused = (listener: string, more: Partial<TcpCase> = {}): TcpCase => ({
  name: `${listener}: refused`,
  listener,
  steps: [send('hello')],
  // Whether what was sent had come when the connection was closed decides between a FIN and a RST.
  ignore: ['end'],
  ...more,
});
const get = (listener: string, more: Partial<TcpCase> = {}): TcpCase => ({
  name: `${listener}: GET`,
  listener,
  steps: [send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')],
  ...more,
});
const ok = 'http:HTTP/1.1 200 OK\n\n' as const;
/** Envoy resets the stream of a tunnel whose halves have both ended; we let its connection close by itself, flushed. */
const whoClosed = /upstream_cx_destroy_(local|remote)/;

export const cases: readonly TcpCase[] = [
  exchange('plain'),
  { name: 'plain: half-close at once', listener: 'plain', steps: [send('x'), 'end'] },
  { name: 'plain: no bytes', listener: 'plain', steps: [{ wait: 30 }, 'end'] },
  {
    name: 'plain: greeting',
    listener: 'plain',
    upstream: 'greet',
    steps: [{ expect: 5 }, send('a'), { expect: 6 }, 'end'],
  },
  { name: 'plain: close without a word', listener: 'plain', steps: [{ wait: 30 }, 'close'] },
  { name: 'plain: close after the answer', listener: 'plain', steps: [send('x'), { expect: 1 }, 'close'] },
  { name: 'plain: reset', listener: 'plain', upstream: 'hold', steps: [send('x'), { wait: 40 }, 'reset'] },
  { name: 'plain: upstream closes', listener: 'plain', upstream: 'close', steps: [send('x')] },
  { name: 'plain: upstream resets', listener: 'plain', upstream: 'reset', steps: [send('x')] },
  {
    name: 'plain: upstream half-closes first',
    listener: 'plain',
    upstream: 'bye',
    steps: ['await-end', send('more'), { wait: 30 }, send(' and more'), { wait: 30 }, 'end'],
  },
  {
    name: 'plain: a mebibyte and back',
    listener: 'plain',
    steps: [{ send: MEBIBYTE }, 'end'],
    // How often reading paused.
    ignoreCounters: /flow_control/,
  },
  {
    name: 'plain: four mebibytes up',
    listener: 'plain',
    upstream: 'discard',
    steps: [{ send: MEBIBYTE }, { send: MEBIBYTE }, { send: MEBIBYTE }, { send: MEBIBYTE }, 'end'],
    ignoreCounters: /flow_control/,
  },
  {
    name: 'plain: pieces',
    listener: 'plain',
    steps: [send('a'), { expect: 1 }, send('b'), { expect: 2 }, send('c'), 'end'],
  },
  refused('closed'),
  refused('closed-thrice'),
  refused('closed-backoff'),
  { ...refused('closed'), name: 'closed: no bytes', steps: [], ignore: [] },
  refused('unknown'),
  { ...refused('unknown'), name: 'unknown: no bytes', steps: [], ignore: [] },
  refused('empty'),
  refused('full'),
  refused('pending'),
  { name: 'idle: no bytes', listener: 'idle', upstream: 'hold', steps: [] },
  { name: 'idle: after an answer', listener: 'idle', steps: [send('x'), { expect: 1 }] },
  {
    name: 'idle: half-closed',
    listener: 'idle',
    upstream: 'bye',
    steps: ['await-end', { wait: 260 }],
  },
  exchange('idle'),
  exchange('no-idle'),
  { name: 'duration: reached', listener: 'duration', steps: [send('x'), { expect: 1 }] },
  exchange('duration'),
  refused('duration-closed'),
  exchange('weighted'),
  exchange('weighted-state'),
  exchange('connected'),
  exchange('connected-old'),
  refused('connected-closed'),
  refused('cluster-state'),
  refused('cluster-state-unknown'),
  { name: 'idle-state: timeout', listener: 'idle-state', steps: [send('x'), { expect: 1 }] },
  exchange('bad-idle-state'),
  exchange('string-state'),
  ...['rbac-allow', 'rbac-none', 'rbac-empty-deny', 'rbac-loopback', 'rbac-destination', 'rbac-range'].map((name) =>
    exchange(name),
  ),
  ...['rbac-sni', 'rbac-not', 'rbac-and-or', 'rbac-metadata', 'rbac-state'].map((name) =>
    exchange(name, { timeoutMs: 1_000 }),
  ),
  ...['rbac-shadow', 'rbac-shadow-only', 'rbac-log', 'rbac-log-none', 'rbac-prefix'].map((name) => exchange(name)),
  {
    name: 'rbac-continuous: two sends',
    listener: 'rbac-continuous',
    steps: [send('a'), { expect: 1 }, send('b'), { expect: 2 }, 'end'],
  },
  ...[
    'rbac-deny',
    'rbac-empty',
    'rbac-elsewhere',
    'rbac-source',
    'rbac-port',
    'rbac-path',
    'rbac-authenticated',
    'rbac-order',
  ].map((name) => refused(name, { steps: [{ wait: 30 }, send('hello')] })),
  { name: 'rbac-deny: no bytes', listener: 'rbac-deny', upstream: 'greet', steps: [{ expect: 5 }, 'close'] },
  { name: 'rbac-deny: half-close only', listener: 'rbac-deny', upstream: 'hold', steps: [{ wait: 30 }, 'end'] },
  // The listener's log knows the HTTP version in Envoy.
  get('rbac-http', { ignore: ['log'] }),
  get('rbac-http-deny', { ignore: ['end'] }),
  exchange('limit'),
  exchange('limit', { name: 'limit: with one open', held: 1 }),
  refused('limit', { name: 'limit: with two open', held: 2 }),
  exchange('limit', { name: 'limit: afterwards' }),
  refused('limit-delay', { held: 1 }),
  exchange('limit-off', { held: 2 }),
  exchange('rate'),
  refused('rate'),
  exchange('rate-shared-a'),
  refused('rate-shared-b'),
  exchange('rate-off'),
  get('rate-http', { ignore: ['log'] }),
  get('rate-http', { name: 'rate-http: GET again', ignore: ['end'] }),
  { name: 'direct: connect', listener: 'direct', steps: [{ wait: 5 }] },
  { name: 'direct-empty: connect', listener: 'direct-empty', steps: [] },
  { name: 'rbac-direct: connect', listener: 'rbac-direct', steps: [{ wait: 5 }] },
  { name: 'echo: once', listener: 'echo', steps: [send('hello'), { expect: 5 }, 'close'] },
  { name: 'echo: half-close', listener: 'echo', steps: [send('hello'), { expect: 5 }, 'end'] },
  {
    name: 'rbac-echo: pieces',
    listener: 'rbac-echo',
    steps: [send('a'), { expect: 1 }, send('b'), { expect: 2 }, 'close'],
  },
  exchange('sni'),
  exchange('chain'),
  exchange('tunnel', { upstream: ok, ignoreCounters: whoClosed }),
  {
    name: 'tunnel: bytes after the answer',
    listener: 'tunnel',
    upstream: 'http:HTTP/1.1 200 OK\n\nfirst',
    steps: [{ expect: 5 }, send('x'), { expect: 6 }, 'end'],
    ignoreCounters: whoClosed,
  },
  refused('tunnel', { name: 'tunnel: 403', upstream: 'http:HTTP/1.1 403 Forbidden\ncontent-length: 0\n\n' }),
  refused('tunnel', { name: 'tunnel: garbage', upstream: 'http:what\n\n' }),
  refused('tunnel', { name: 'tunnel: upstream resets', upstream: 'reset' }),
  exchange('tunnel', { name: 'tunnel: 204', upstream: 'http:HTTP/1.1 204 None\n\n', ignoreCounters: whoClosed }),
  exchange('tunnel-headers', { upstream: 'http:HTTP/1.1 200 OK\nx-up: 1\n\n', ignoreCounters: whoClosed }),
  refused('tunnel-closed'),
  exchange('tunnel-off'),
];
