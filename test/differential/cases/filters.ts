import type { ListenerParts } from '../config.ts';
import type { Case } from '../harness.ts';

const TYPE = 'type.googleapis.com/envoy.extensions.filters.http';
const route = { cluster: 'upstream' };
const fault = (config: object) => ({
  name: 'envoy.filters.http.fault',
  typed_config: { '@type': `${TYPE}.fault.v3.HTTPFault`, ...config },
});
const all = { numerator: 100 };
const perRoute = (config: object) => ({
  typed_per_filter_config: { 'envoy.filters.http.fault': { '@type': `${TYPE}.fault.v3.HTTPFault`, ...config } },
});
const mutation = (config: object) => ({
  name: 'envoy.filters.http.header_mutation',
  typed_config: { '@type': `${TYPE}.header_mutation.v3.HeaderMutation`, ...config },
});
const append = (key: string, value: string, append_action?: string) => ({
  append: { header: { key, value }, ...(append_action !== undefined && { append_action }) },
});

/** fault, buffer, header_mutation; path normalisation; local reply config. */
export const listeners: Readonly<Record<string, ListenerParts>> = {
  fault: {
    filters: [fault({})] as never,
    routes: [
      { match: { prefix: '/abort' }, route, ...perRoute({ abort: { http_status: 418, percentage: all } }) },
      { match: { prefix: '/grpc' }, route, ...perRoute({ abort: { grpc_status: 5, percentage: all } }) },
      { match: { prefix: '/delay' }, route, ...perRoute({ delay: { fixed_delay: '0.02s', percentage: all } }) },
      {
        match: { prefix: '/both' },
        route,
        ...perRoute({ delay: { fixed_delay: '0.02s', percentage: all }, abort: { http_status: 500, percentage: all } }),
      },
      {
        match: { prefix: '/never' },
        route,
        ...perRoute({ abort: { http_status: 418, percentage: { numerator: 0 } } }),
      },
      {
        match: { prefix: '/header' },
        route,
        ...perRoute({ abort: { header_abort: {}, percentage: all }, delay: { header_delay: {}, percentage: all } }),
      },
      {
        match: { prefix: '/only-a' },
        route,
        ...perRoute({ headers: [{ name: 'x-a', present_match: true }], abort: { http_status: 418, percentage: all } }),
      },
      {
        match: { prefix: '/limit' },
        route,
        ...perRoute({ response_rate_limit: { fixed_limit: { limit_kbps: 1000 }, percentage: all } }),
      },
      { match: { prefix: '/' }, route },
    ] as never,
  },
  buffer: {
    filters: [
      {
        name: 'envoy.filters.http.buffer',
        typed_config: { '@type': `${TYPE}.buffer.v3.Buffer`, max_request_bytes: 10 },
      },
    ],
    routes: [
      {
        match: { prefix: '/off' },
        route,
        typed_per_filter_config: {
          'envoy.filters.http.buffer': { '@type': `${TYPE}.buffer.v3.BufferPerRoute`, disabled: true },
        },
      },
      {
        match: { prefix: '/more' },
        route,
        typed_per_filter_config: {
          'envoy.filters.http.buffer': {
            '@type': `${TYPE}.buffer.v3.BufferPerRoute`,
            buffer: { max_request_bytes: 100 },
          },
        },
      },
      { match: { prefix: '/' }, route },
    ],
  },
  'header-mutation': {
    filters: [
      mutation({
        mutations: {
          request_mutations: [
            append('x-new', 'v'),
            append('x-over', 'v', 'OVERWRITE_IF_EXISTS_OR_ADD'),
            { remove: 'x-gone' },
            append('x-method', '%REQ(:METHOD)%'),
          ],
          response_mutations: [append('x-res', '%RESPONSE_CODE%'), { remove: 'x-secret' }],
        },
      }),
    ] as never,
    routes: [
      {
        match: { prefix: '/route' },
        route,
        typed_per_filter_config: {
          'envoy.filters.http.header_mutation': {
            '@type': `${TYPE}.header_mutation.v3.HeaderMutationPerRoute`,
            mutations: {
              request_mutations: [append('x-route', 'r'), append('x-over', 'route', 'OVERWRITE_IF_EXISTS_OR_ADD')],
              response_mutations: [append('x-route', 'r')],
            },
          },
        },
      },
      { match: { prefix: '/' }, route },
    ] as never,
  },
  'path-normal': { hcm: { normalize_path: true } },
  'path-merge': { hcm: { normalize_path: true, merge_slashes: true } },
  'path-reject': { hcm: { normalize_path: true, path_with_escaped_slashes_action: 'REJECT_REQUEST' } },
  'path-redirect': { hcm: { normalize_path: true, path_with_escaped_slashes_action: 'UNESCAPE_AND_REDIRECT' } },
  'path-forward': {
    hcm: { normalize_path: true, merge_slashes: true, path_with_escaped_slashes_action: 'UNESCAPE_AND_FORWARD' },
  },
  'path-raw': {},
  'host-strip': { hcm: { strip_any_host_port: true, strip_trailing_host_dot: true } },
  'local-replies': {
    hcm: {
      local_reply_config: {
        mappers: [
          {
            filter: {
              status_code_filter: { comparison: { op: 'EQ', value: { default_value: 404, runtime_key: 'k' } } },
            },
            status_code: 410,
            body: { inline_string: 'gone' },
            headers_to_add: [
              { header: { key: 'x-local', value: '%RESPONSE_CODE%' }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' },
            ],
          },
          {
            filter: { response_flag_filter: { flags: ['UF'] } },
            body_format_override: {
              text_format_source: { inline_string: 'uf %RESPONSE_CODE% %LOCAL_REPLY_BODY% %REQ(:PATH)%' },
              content_type: 'text/html',
            },
          },
        ],
        body_format: { json_format: { code: '%RESPONSE_CODE%', body: '%LOCAL_REPLY_BODY%', path: '%REQ(:PATH)%' } },
      },
    },
    routes: [
      { match: { prefix: '/closed' }, route: { cluster: 'closed' } },
      { match: { prefix: '/empty' }, route: { cluster: 'empty' } },
      { match: { prefix: '/direct' }, direct_response: { status: 200, body: { inline_string: 'direct' } } },
      { match: { prefix: '/up' }, route },
    ],
  },
};

const get = (listener: string, path: string, fields = '', more: Partial<Case> = {}): Case => ({
  name: `${listener}: ${path} ${fields.replaceAll('\n', ' ')}`.trim().slice(0, 120),
  listener,
  send: `GET ${path} HTTP/1.1\n${/^host:/im.test(fields) ? '' : 'Host: example.com\n'}${fields}\n`,
  responses: 1,
  ...more,
});
const post = (listener: string, path: string, fields: string, body: string, more: Partial<Case> = {}): Case => ({
  ...get(listener, path, fields, more),
  name: `${listener}: POST ${path} ${fields.replaceAll('\n', ' ')} ${body}`.trim().slice(0, 120),
  send: `POST ${path} HTTP/1.1\nHost: example.com\n${fields}\n${body}`,
});

const PATHS = [
  '/a/b',
  '/a/../b',
  '/a/./b',
  '/../a',
  '/a/..',
  '/a/.',
  '/a//b',
  '//a',
  '/a/%2e%2e/b',
  '/a/%2E/b',
  '/a%2Fb',
  '/a%2fb?x=%2F',
  '/a%5Cb',
  '/a%5cb',
  '/a\\b',
  '/%41%7e',
  '/a%zz',
  '/a?b=../c',
  '/a;x=1/../b',
  '/a/b/',
  '/a/..//b',
  '/%00',
  '/a%20b',
  '/ä'.replace('ä', '\xe4'),
];

export const cases: readonly Case[] = [
  ...['/abort', '/grpc', '/delay', '/both', '/never', '/header', '/only-a', '/limit', '/plain'].map((path) =>
    get('fault', path),
  ),
  get('fault', '/abort', 'content-type: application/grpc\n'),
  get('fault', '/grpc', 'content-type: application/grpc\n'),
  get('fault', '/header', 'x-envoy-fault-abort-request: 429\n'),
  get('fault', '/header', 'x-envoy-fault-abort-request: 42\n'),
  get('fault', '/header', 'x-envoy-fault-abort-grpc-request: 3\n'),
  get('fault', '/header', 'x-envoy-fault-delay-request: 20\n'),
  get('fault', '/header', 'x-envoy-fault-abort-request: 429\nx-envoy-fault-abort-request-percentage: 0\n'),
  get('fault', '/only-a', 'x-a: 1\n'),
  post('fault', '/abort', 'Content-Length: 4\n', 'body'),
  {
    ...get('fault', '/abort'),
    name: 'fault: HEAD /abort',
    send: 'HEAD /abort HTTP/1.1\nHost: a\n\n',
    methods: ['HEAD'],
  },
  post('buffer', '/', 'Content-Length: 5\n', 'hello'),
  post('buffer', '/', 'Content-Length: 20\n', 'x'.repeat(20), { ignore: ['end'] }),
  post('buffer', '/', 'Transfer-Encoding: chunked\n', '5\nhello\n0\n\n'),
  post('buffer', '/', 'Transfer-Encoding: chunked\n', 'f\nhello and more.\n0\n\n', { ignore: ['end'] }),
  post('buffer', '/off', 'Content-Length: 20\n', 'x'.repeat(20)),
  post('buffer', '/more', 'Content-Length: 20\n', 'x'.repeat(20)),
  get('buffer', '/'),
  get('header-mutation', '/', 'x-over: old\nx-gone: 1\nx-new: old\n'),
  get('header-mutation', '/', 'x-up: header:x-secret=1|x-res=up\n'),
  get('header-mutation', '/route', 'x-over: old\n'),
  get('header-mutation', '/route', 'x-up: status:404\n'),
  ...['path-normal', 'path-merge', 'path-reject', 'path-redirect', 'path-forward', 'path-raw'].flatMap((listener) =>
    PATHS.map((path) => get(listener, path, '', { timeoutMs: 500 })),
  ),
  ...['example.com:80', 'example.com:8080', 'example.com.', 'example.com.:80', '[::1]:80', 'example.com:'].map((name) =>
    get('host-strip', '/', `Host: ${name}\n`, { timeoutMs: 500 }),
  ),
  ...['/nowhere', '/closed', '/empty', '/direct', '/up'].map((path) => get('local-replies', path)),
  get('local-replies', '/up', 'x-up: status:404\n'),
  get('local-replies', '/nowhere', 'content-type: application/grpc\n'),
  {
    ...get('local-replies', '/nowhere'),
    name: 'local-replies: HEAD',
    send: 'HEAD /nowhere HTTP/1.1\nHost: a\n\n',
    methods: ['HEAD'],
  },
  {
    ...get('local-replies', '/x'),
    name: 'local-replies: malformed',
    send: 'GET /x HTTP/1.1\nx a: b\n\n',
    responses: undefined,
  },
];
