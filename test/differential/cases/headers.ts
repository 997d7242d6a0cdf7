import type { ListenerParts } from '../config.ts';
import type { Case } from '../harness.ts';

const route = { cluster: 'upstream' };
const add = (key: string, value: string, action?: string) => ({
  header: { key, value },
  ...(action !== undefined && { append_action: action }),
});

/** What the connection manager and the routes do to headers. */
export const listeners: Readonly<Record<string, ListenerParts>> = {
  internal: {},
  edge: { hcm: { use_remote_address: true } },
  'edge-hops': { hcm: { use_remote_address: true, xff_num_trusted_hops: 1 } },
  'inner-hops': { hcm: { xff_num_trusted_hops: 1 } },
  'edge-internal': {
    hcm: {
      use_remote_address: true,
      internal_address_config: { cidr_ranges: [{ address_prefix: '127.0.0.0', prefix_len: 8 }] },
    },
  },
  'skip-xff': { hcm: { use_remote_address: true, skip_xff_append: true } },
  via: { hcm: { via: 'a-proxy', server_name: 'named' } },
  'server-append': { hcm: { server_header_transformation: 'APPEND_IF_ABSENT' } },
  'server-pass': { hcm: { server_header_transformation: 'PASS_THROUGH' } },
  'request-id': {
    hcm: { always_set_request_id_in_response: true, preserve_external_request_id: true, use_remote_address: true },
  },
  'no-request-id': { hcm: { generate_request_id: false } },
  scheme: { hcm: { scheme_header_transformation: { scheme_to_overwrite: 'https' } } },
  'user-agent': { hcm: { add_user_agent: true } },
  'forwarded-port': { hcm: { append_x_forwarded_port: true, use_remote_address: true } },
  'underscore-reject': { hcm: { common_http_protocol_options: { headers_with_underscores_action: 'REJECT_REQUEST' } } },
  'underscore-drop': { hcm: { common_http_protocol_options: { headers_with_underscores_action: 'DROP_HEADER' } } },
  'max-requests': { hcm: { common_http_protocol_options: { max_requests_per_connection: 1 } } },
  'proxy-100': { hcm: { proxy_100_continue: true } },
  mutations: {
    routeConfig: {
      request_headers_to_add: [add('x-config', 'config'), add('x-all', 'config')],
      response_headers_to_add: [add('x-config', 'config')],
      request_headers_to_remove: ['x-remove-config'],
      response_headers_to_remove: ['x-upstream-secret'],
      internal_only_headers: ['x-internal'],
    },
    virtualHosts: [
      {
        name: 'm',
        domains: ['*'],
        request_headers_to_add: [add('x-vhost', 'vhost'), add('x-all', 'vhost')],
        response_headers_to_add: [add('x-vhost', 'vhost')],
        request_headers_to_remove: ['x-remove-vhost'],
        routes: [
          {
            match: { prefix: '/actions' },
            route,
            request_headers_to_add: [
              add('x-append', 'new'),
              add('x-overwrite', 'new', 'OVERWRITE_IF_EXISTS_OR_ADD'),
              add('x-absent', 'new', 'ADD_IF_ABSENT'),
              add('x-exists', 'new', 'OVERWRITE_IF_EXISTS'),
              add('x-empty', ''),
              { header: { key: 'x-kept-empty', value: '' }, keep_empty_value: true },
            ],
            request_headers_to_remove: ['x-gone'],
            response_headers_to_add: [add('x-response', '%RESPONSE_CODE%', 'OVERWRITE_IF_EXISTS_OR_ADD')],
          },
          {
            match: { prefix: '/format' },
            route,
            request_headers_to_add: [
              add('x-method', '%REQ(:METHOD)%'),
              add('x-path', '%REQ(:PATH)%'),
              add('x-missing', '%REQ(NOT-THERE)%'),
              add('x-fallback', '%REQ(NOT-THERE?:AUTHORITY)%'),
              add('x-cut', '%REQ(:PATH):4%'),
              add('x-protocol', '%PROTOCOL%'),
              add('x-remote', '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%'),
              add('x-percent', '100%%'),
              add('x-route', '%ROUTE_NAME%'),
              add('x-mixed', 'a %REQ(:METHOD)% b %PROTOCOL% c'),
            ],
            response_headers_to_add: [
              add('x-code', '%RESPONSE_CODE%'),
              add('x-up', '%UPSTREAM_CLUSTER%'),
              add('x-req', '%REQ(:PATH)%'),
              add('x-flags', '%RESPONSE_FLAGS%'),
            ],
            name: 'named-route',
          },
          {
            match: { prefix: '/weighted' },
            route: {
              weighted_clusters: {
                clusters: [
                  {
                    name: 'upstream',
                    weight: 1,
                    request_headers_to_add: [add('x-all', 'cluster')],
                    request_headers_to_remove: ['x-remove-cluster'],
                    response_headers_to_add: [add('x-cluster', 'yes')],
                  },
                ],
              },
            },
            request_headers_to_add: [add('x-all', 'route')],
          },
          {
            match: { prefix: '/direct' },
            direct_response: { status: 200, body: { inline_string: 'd' } },
            response_headers_to_add: [
              add('x-direct', '%REQ(X-A)%'),
              add('content-type', 'text/html', 'OVERWRITE_IF_EXISTS_OR_ADD'),
            ],
          },
          { match: { prefix: '/' }, route },
        ],
      },
    ],
  },
  'mutations-specific': {
    routeConfig: {
      most_specific_header_mutations_wins: true,
      request_headers_to_add: [add('x-all', 'config', 'OVERWRITE_IF_EXISTS_OR_ADD')],
    },
    virtualHosts: [
      {
        name: 'm',
        domains: ['*'],
        request_headers_to_add: [add('x-all', 'vhost', 'OVERWRITE_IF_EXISTS_OR_ADD')],
        routes: [
          {
            match: { prefix: '/' },
            route,
            request_headers_to_add: [add('x-all', 'route', 'OVERWRITE_IF_EXISTS_OR_ADD')],
          },
        ],
      },
    ],
  },
};

const get = (listener: string, fields = '', path = '/h', more: Partial<Case> = {}): Case => ({
  name: `${listener}: ${path} ${fields.replaceAll('\n', ' ')}`.trim(),
  listener,
  send: `GET ${path} HTTP/1.1\n${/^host:/im.test(fields) ? '' : 'Host: example.com\n'}${fields}\n`,
  responses: 1,
  ...more,
});

const ENVOY_HEADERS = [
  'x-envoy-internal: true',
  'x-envoy-external-address: 9.9.9.9',
  'x-envoy-downstream-service-cluster: c',
  'x-envoy-downstream-service-node: n',
  'x-envoy-decorator-operation: op',
  'x-envoy-force-trace: 1',
  'x-envoy-ip-tags: t',
  'x-envoy-max-retries: 0',
  'x-envoy-retry-on: 5xx',
  'x-envoy-retry-grpc-on: cancelled',
  'x-envoy-upstream-alt-stat-name: alt',
  'x-envoy-upstream-rq-timeout-ms: 20000',
  'x-envoy-upstream-rq-per-try-timeout-ms: 10000',
  'x-envoy-expected-rq-timeout-ms: 5000',
  'x-envoy-original-url: http://o/',
  'x-envoy-original-path: /o',
  'x-envoy-attempt-count: 7',
  'x-envoy-hedge-on-per-try-timeout: true',
  'x-envoy-retriable-status-codes: 418',
  'x-envoy-retriable-header-names: x',
  'x-forwarded-client-cert: By=x',
  'x-forwarded-host: fh',
  'x-forwarded-port: 1',
  'x-b3-traceid: 1',
  'referer: http://r/',
];

export const cases: readonly Case[] = [
  ...['internal', 'edge', 'edge-hops', 'inner-hops', 'edge-internal', 'skip-xff'].flatMap((listener) =>
    [
      '',
      'x-forwarded-for: 1.2.3.4\n',
      'x-forwarded-for: 10.0.0.1\n',
      'x-forwarded-for: 1.2.3.4, 5.6.7.8\n',
      'x-forwarded-for: 1.2.3.4,10.0.0.1, 127.0.0.1\n',
      'x-forwarded-for: junk\n',
      'x-forwarded-for: 1.2.3.4\nx-forwarded-for: 5.6.7.8\n',
      'x-forwarded-for: ::1\n',
      'x-forwarded-proto: https\n',
      'x-forwarded-proto: junk\n',
    ].map((fields) => get(listener, fields)),
  ),
  ...['internal', 'edge', 'edge-internal'].flatMap((listener) =>
    ENVOY_HEADERS.map((field) => get(listener, `${field}\n`)),
  ),
  ...['internal', 'edge'].flatMap((listener) =>
    [
      'x-request-id: mine',
      'x-request-id: 7d9f1b2e-4f3a-4b6c-8d7e-0123456789ab',
      'user-agent: me',
      'x-client-trace-id: 1',
    ].map((field) => get(listener, `${field}\n`)),
  ),
  get('via'),
  get('via', 'via: 1.0 other\n'),
  get('via', 'x-up: header:via=1.1 up|server=upstream-server\n'),
  ...['server-append', 'server-pass'].flatMap((listener) => [
    get(listener, 'x-up: header:server=theirs\n'),
    get(listener),
  ]),
  get('internal', 'x-up: header:server=theirs\n'),
  get('internal', 'x-up: header:date=Thu, 01 Jan 1970 00:00:00 GMT\n'),
  ...['request-id', 'no-request-id'].flatMap((listener) => [get(listener), get(listener, 'x-request-id: mine\n')]),
  get('scheme'),
  get('scheme', 'x-forwarded-proto: http\n'),
  get('user-agent'),
  get('user-agent', 'user-agent: me\n'),
  get('forwarded-port'),
  get('forwarded-port', 'x-forwarded-port: 5\n'),
  get('underscore-reject', 'a_b: c\n', '/h', { responses: undefined, timeoutMs: 300 }),
  get('underscore-reject', 'a-b: c\n'),
  get('underscore-drop', 'a_b: c\nd-e: f\n'),
  get('max-requests', '', '/h', { responses: undefined }),
  {
    ...get('proxy-100'),
    name: 'proxy-100: expect',
    send: 'POST /h HTTP/1.1\nHost: a\nExpect: 100-continue\nContent-Length: 2\nx-up: informational:100\n\nhi',
  },
  get('proxy-100', 'x-up: informational:103\n'),
  get('internal', 'x-up: informational:100\n'),
  get('internal', 'x-up: informational:103\n'),
  get('mutations', 'x-remove-config: 1\nx-remove-vhost: 1\nx-internal: 1\n'),
  get('mutations', 'x-all: mine\n'),
  get('mutations', 'x-up: header:x-upstream-secret=1|x-config=up\n'),
  get(
    'mutations',
    'x-append: old\nx-overwrite: old\nx-absent: old\nx-exists: old\nx-empty: old\nx-gone: 1\n',
    '/actions',
  ),
  get('mutations', '', '/actions'),
  get('mutations', 'x-append: a\nx-append: b\nx-overwrite: a\nx-overwrite: b\n', '/actions'),
  get('mutations', 'x-up: header:x-response=up\n', '/actions'),
  get('mutations', '', '/format/with/path?and=query'),
  get('mutations', 'x-remove-cluster: 1\nx-all: mine\n', '/weighted'),
  get('mutations', 'x-a: 1\n', '/direct'),
  get('mutations', '', '/direct'),
  get('mutations-specific', 'x-all: mine\n'),
  get('internal', 'x-up: header:connection=close|keep-alive=5|proxy-connection=x|upgrade=y|x-a=1\n'),
  get('internal', 'x-up: header:x-envoy-upstream-service-time=99|x-envoy-attempt-count=5\n'),
  get('internal', 'x-up: header:x-envoy-upstream-canary=true\n'),
  get('internal', 'x-up: header:set-cookie=a=1|set-cookie=b=2\n'),
];
