import type { ListenerParts } from '../config.ts';
import type { Case } from '../harness.ts';

const route = { cluster: 'upstream' };
const retry = (retry_on: string, more: object = {}) => ({
  retry_on,
  num_retries: 2,
  retry_back_off: { base_interval: '0.001s', max_interval: '0.002s' },
  ...more,
});
const match = (prefix: string) => ({ match: { prefix } });

/** Responses, failures, timeouts and retries of the upstream. */
export const listeners: Readonly<Record<string, ListenerParts>> = {
  responses: {},
  'responses-trailers': {
    hcm: { http_protocol_options: { enable_trailers: true } },
    routes: [{ match: { prefix: '/' }, route: { cluster: 'with-trailers' } }],
  },
  retries: {
    virtualHosts: [
      {
        name: 'r',
        domains: ['*'],
        include_request_attempt_count: true,
        include_attempt_count_in_response: true,
        routes: [
          { ...match('/5xx'), route: { ...route, retry_policy: retry('5xx') } },
          { ...match('/gateway'), route: { ...route, retry_policy: retry('gateway-error') } },
          {
            ...match('/codes'),
            route: { ...route, retry_policy: retry('retriable-status-codes', { retriable_status_codes: [418, 429] }) },
          },
          { ...match('/4xx'), route: { ...route, retry_policy: retry('retriable-4xx') } },
          { ...match('/reset'), route: { ...route, retry_policy: retry('reset') } },
          { ...match('/connect'), route: { cluster: 'closed', retry_policy: retry('connect-failure') } },
          {
            ...match('/headers'),
            route: {
              ...route,
              retry_policy: retry('retriable-headers', {
                retriable_headers: [{ name: 'x-retry', present_match: true }],
              }),
            },
          },
          { ...match('/ratelimited'), route: { ...route, retry_policy: retry('envoy-ratelimited') } },
          {
            ...match('/request-headers'),
            route: {
              ...route,
              retry_policy: retry('5xx', {
                retriable_request_headers: [{ name: ':method', string_match: { exact: 'GET' } }],
              }),
            },
          },
          { ...match('/none'), route: { ...route, retry_policy: retry('5xx', { num_retries: 0 }) } },
          {
            ...match('/previous'),
            route: {
              ...route,
              retry_policy: retry('5xx', {
                retry_host_predicate: [
                  {
                    name: 'envoy.retry_host_predicates.previous_hosts',
                    typed_config: {
                      '@type':
                        'type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate',
                    },
                  },
                ],
                host_selection_retry_max_attempts: 3,
              }),
            },
          },
          { ...match('/'), route },
        ],
      },
    ],
  },
  overflow: { routes: [{ match: { prefix: '/' }, route: { cluster: 'limited', retry_policy: retry('5xx') } }] },
  timeouts: {
    routes: [
      { ...match('/global'), route: { ...route, timeout: '0.15s' } },
      {
        ...match('/per-try'),
        route: { ...route, timeout: '2s', retry_policy: retry('5xx', { num_retries: 1, per_try_timeout: '0.1s' }) },
      },
      {
        ...match('/per-try-none'),
        route: {
          ...route,
          timeout: '2s',
          retry_policy: retry('gateway-error', { num_retries: 0, per_try_timeout: '0.1s' }),
        },
      },
      {
        ...match('/per-try-idle'),
        route: {
          ...route,
          timeout: '2s',
          retry_policy: retry('gateway-error', { num_retries: 0, per_try_idle_timeout: '0.1s' }),
        },
      },
      { ...match('/idle'), route: { ...route, timeout: '0s', idle_timeout: '0.1s' } },
      {
        ...match('/max-stream'),
        route: { ...route, timeout: '0s', max_stream_duration: { max_stream_duration: '0.15s' } },
      },
      { ...match('/header'), route: { ...route, timeout: '5s' } },
    ],
  },
  'request-timeouts': { hcm: { request_timeout: '0.15s', request_headers_timeout: '0.1s', stream_idle_timeout: '1s' } },
  'internal-redirects': {
    routes: [
      { ...match('/start'), route: { ...route, internal_redirect_policy: { max_internal_redirects: 1 } } },
      {
        ...match('/codes'),
        route: {
          ...route,
          internal_redirect_policy: {
            redirect_response_codes: [307],
            allow_cross_scheme_redirect: true,
            response_headers_to_copy: ['x-copied'],
          },
        },
      },
      { ...match('/'), route: { ...route, prefix_rewrite: '/landed/' } },
    ],
  },
  mirrors: {
    routes: [
      { ...match('/all'), route: { ...route, request_mirror_policies: [{ cluster: 'mirror' }] } },
      {
        ...match('/none'),
        route: {
          ...route,
          request_mirror_policies: [{ cluster: 'mirror', runtime_fraction: { default_value: { numerator: 0 } } }],
        },
      },
    ],
  },
};

export const clusters = {
  limited: { circuit_breakers: { thresholds: [{ max_requests: 0 }] } },
  mirror: {},
  'with-trailers': {
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
        explicit_http_config: { http_protocol_options: { enable_trailers: true } },
      },
    },
  },
};

const get = (listener: string, path: string, fields = '', more: Partial<Case> = {}): Case => ({
  name: `${listener}: ${path} ${fields.replaceAll('\n', ' ')}`.trim().slice(0, 120),
  listener,
  send: `GET ${path} HTTP/1.1\nHost: example.com\n${fields}\n`,
  responses: 1,
  ...more,
});
const post = (listener: string, path: string, fields: string, body: string, more: Partial<Case> = {}): Case => ({
  ...get(listener, path, fields, more),
  name: `${listener}: POST ${path} ${fields.replaceAll('\n', ' ')}`.trim().slice(0, 120),
  send: `POST ${path} HTTP/1.1\nHost: example.com\nContent-Length: ${body.length}\n${fields}\n${body}`,
});
const raw = (name: string, bytes: string, more: Partial<Case> = {}): Case => ({
  ...get(
    'responses',
    '/raw',
    `x-up: raw:${Buffer.from(bytes.replaceAll('\n', '\r\n'), 'latin1').toString('base64')}\n`,
    more,
  ),
  name: `upstream answers with ${name}`,
});

export const cases: readonly Case[] = [
  ...[200, 201, 202, 204, 206, 301, 304, 400, 404, 418, 429, 451, 500, 503, 599].map((status) =>
    get('responses', '/s', `x-up: status:${status}\n`),
  ),
  get('responses', '/s', 'x-up: size:100000\n'),
  get('responses', '/s', 'x-up: size:0\n'),
  get('responses', '/s', 'x-up: chunked;size:0\n'),
  get('responses', '/s', 'x-up: close\n'),
  get('responses', '/s', 'x-up: http10\n'),
  get('responses', '/s', 'x-up: trailers\n'),
  get('responses-trailers', '/s', 'x-up: trailers\n'),
  get('responses', '/s', 'x-up: reset\n'),
  get('responses', '/s', 'x-up: reset-after:20\n'),
  get('responses', '/s', 'x-up: size:100;reset-after:60\n', { responses: undefined, timeoutMs: 500 }),
  {
    ...get('responses', '/s', 'x-up: chunked\n'),
    name: 'responses: HEAD, chunked',
    send: 'HEAD /s HTTP/1.1\nHost: a\nx-up: chunked\n\n',
    methods: ['HEAD'],
  },
  {
    ...get('responses', '/s'),
    name: 'responses: HEAD, 404',
    send: 'HEAD /s HTTP/1.1\nHost: a\nx-up: status:404\n\n',
    methods: ['HEAD'],
  },
  raw('a lower-case version', 'http/1.1 200 OK\ncontent-length: 0\n\n'),
  raw('HTTP/2.0', 'HTTP/2.0 200 OK\ncontent-length: 0\n\n'),
  raw('no reason', 'HTTP/1.1 200\ncontent-length: 0\n\n'),
  raw('an empty reason', 'HTTP/1.1 200 \ncontent-length: 0\n\n'),
  raw('a long reason', 'HTTP/1.1 200 Everything is quite fine\ncontent-length: 0\n\n'),
  raw('a status of 99', 'HTTP/1.1 99 X\ncontent-length: 0\n\n'),
  raw('a status of 600', 'HTTP/1.1 600 X\ncontent-length: 0\n\n'),
  raw('a status of 1000', 'HTTP/1.1 1000 X\ncontent-length: 0\n\n'),
  raw('garbage', 'garbage\n\n'),
  raw('nothing', ''),
  raw('half a head', 'HTTP/1.1 200 OK\ncontent-le'),
  raw('too short a body', 'HTTP/1.1 200 OK\ncontent-length: 10\n\nabc', { responses: undefined, timeoutMs: 500 }),
  raw('more than its length', 'HTTP/1.1 200 OK\ncontent-length: 3\n\nabcdef', { ignore: ['counters'] }),
  raw('a body with 204', 'HTTP/1.1 204 No Content\n\nabc', { ignore: ['counters'] }),
  raw('content-length with 204', 'HTTP/1.1 204 No Content\ncontent-length: 0\n\n'),
  raw('chunked with 204', 'HTTP/1.1 204 No Content\ntransfer-encoding: chunked\n\n0\n\n', { ignore: ['counters'] }),
  raw('content-length with 304', 'HTTP/1.1 304 Not Modified\ncontent-length: 5\n\n'),
  raw('content-length and chunked', 'HTTP/1.1 200 OK\ncontent-length: 5\ntransfer-encoding: chunked\n\n0\n\n'),
  raw('two content-lengths', 'HTTP/1.1 200 OK\ncontent-length: 3\ncontent-length: 4\n\nabcd'),
  raw('two equal content-lengths', 'HTTP/1.1 200 OK\ncontent-length: 3\ncontent-length: 3\n\nabc'),
  raw('a bad content-length', 'HTTP/1.1 200 OK\ncontent-length: x\n\nabc'),
  raw('gzip, chunked', 'HTTP/1.1 200 OK\ntransfer-encoding: gzip, chunked\n\n0\n\n'),
  raw('an unknown transfer coding', 'HTTP/1.1 200 OK\ntransfer-encoding: zip\n\nabc'),
  raw('a bad chunk', 'HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\nzz\nabc\n0\n\n', {
    responses: undefined,
    timeoutMs: 500,
  }),
  raw('a chunk cut short', 'HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n5\nab', {
    responses: undefined,
    timeoutMs: 500,
  }),
  raw('a bad name', 'HTTP/1.1 200 OK\nx a: b\ncontent-length: 0\n\n'),
  raw('a space before the colon', 'HTTP/1.1 200 OK\nx-a : b\ncontent-length: 0\n\n'),
  raw('a NUL in a value', 'HTTP/1.1 200 OK\nx-a: b\0c\ncontent-length: 0\n\n'),
  raw('obs-fold', 'HTTP/1.1 200 OK\nx-a: b\n c\ncontent-length: 0\n\n'),
  raw('obs-text', 'HTTP/1.1 200 OK\nx-a: caf\xe9\ncontent-length: 0\n\n'),
  raw('names in upper case', 'HTTP/1.1 200 OK\nX-Upper: V\nContent-Length: 0\n\n'),
  raw(
    '110 fields',
    `HTTP/1.1 200 OK\n${Array.from({ length: 110 }, (_, i) => `x-${i}: v\n`).join('')}content-length: 0\n\n`,
  ),
  raw(
    'a head over 80 KiB',
    `HTTP/1.1 200 OK\nx-big: ${'v'.repeat(90_000)}\ncontent-length: 0\n\n`.slice(0, 40_000) +
      'v'.repeat(60_000) +
      '\n\n',
  ),
  raw('101 unasked', 'HTTP/1.1 101 Switching Protocols\nupgrade: x\nconnection: upgrade\n\n', { timeoutMs: 700 }),
  raw('only a 100', 'HTTP/1.1 100 Continue\n\n'),
  raw('a 100 and a 200', 'HTTP/1.1 100 Continue\n\nHTTP/1.1 200 OK\ncontent-length: 2\n\nhi'),
  // retries
  ...['503,200', '503,503,200', '503,503,503', '500,200', '404,200'].map((sequence) =>
    get('retries', '/5xx', `x-up: sequence:${sequence}\n`),
  ),
  ...['502,200', '503,200', '504,200', '500,200'].map((sequence) =>
    get('retries', '/gateway', `x-up: sequence:${sequence}\n`),
  ),
  ...['418,200', '429,200', '503,200'].map((sequence) => get('retries', '/codes', `x-up: sequence:${sequence}\n`)),
  get('retries', '/4xx', 'x-up: sequence:409,200\n'),
  get('retries', '/4xx', 'x-up: sequence:404,200\n'),
  get('retries', '/reset', 'x-up: reset\n'),
  get('retries', '/5xx', 'x-up: reset\n'),
  get('retries', '/gateway', 'x-up: reset\n'),
  get('retries', '/connect'),
  get('retries', '/headers', 'x-up: header:x-retry=1\n'),
  get('retries', '/ratelimited', 'x-up: status:429;header:x-envoy-ratelimited=true\n'),
  get('retries', '/5xx', 'x-up: status:503;header:x-envoy-ratelimited=true\n'),
  get('retries', '/5xx', 'x-up: status:503;header:x-envoy-overloaded=true\n'),
  get('retries', '/request-headers', 'x-up: sequence:503,200\n'),
  post('retries', '/request-headers', 'x-up: sequence:503,200\n', 'body'),
  post('retries', '/5xx', 'x-up: sequence:503,200\n', 'a body that is sent twice'),
  get('retries', '/none', 'x-up: sequence:503,200\n'),
  get('retries', '/previous', 'x-up: sequence:503,503,200\n'),
  get('retries', '/', 'x-up: sequence:503,200\nx-envoy-retry-on: 5xx\n'),
  get('retries', '/', 'x-up: sequence:503,503,200\nx-envoy-retry-on: 5xx\nx-envoy-max-retries: 1\n'),
  get('retries', '/', 'x-up: sequence:503,503,200\nx-envoy-retry-on: 5xx\nx-envoy-max-retries: 3\n'),
  get(
    'retries',
    '/',
    'x-up: sequence:418,200\nx-envoy-retry-on: retriable-status-codes\nx-envoy-retriable-status-codes: 418\n',
  ),
  get('overflow', '/'),
  post('overflow', '/', '', 'body'),
  // timeouts
  get('timeouts', '/global', 'x-up: hang\n'),
  get('timeouts', '/global', 'x-up: delay:20\n'),
  {
    ...get('timeouts', '/global', 'x-up: hang\n'),
    name: 'timeouts: HEAD /global',
    send: 'HEAD /global HTTP/1.1\nHost: a\nx-up: hang\n\n',
    methods: ['HEAD'],
  },
  get('timeouts', '/global', 'x-up: hang\nx-envoy-upstream-rq-timeout-alt-response: 1\n'),
  get('timeouts', '/global', 'x-up: hang\ncontent-type: application/grpc\n'),
  get('timeouts', '/per-try', 'x-up: hang\n'),
  get('timeouts', '/per-try-none', 'x-up: hang\n'),
  get('timeouts', '/per-try-idle', 'x-up: hang\n'),
  get('timeouts', '/idle', 'x-up: hang\n'),
  get('timeouts', '/max-stream', 'x-up: hang\n'),
  get('timeouts', '/header', 'x-up: hang\nx-envoy-upstream-rq-timeout-ms: 120\n'),
  get('timeouts', '/header', 'x-envoy-upstream-rq-timeout-ms: 3000\nx-envoy-upstream-rq-per-try-timeout-ms: 2000\n'),
  get('timeouts', '/header', 'x-envoy-upstream-rq-timeout-ms: junk\n'),
  {
    ...get('request-timeouts', '/'),
    name: 'request-timeouts: half a head',
    send: 'GET / HTTP/1.1\nHo',
    responses: undefined,
  },
  post('request-timeouts', '/', '', 'x'),
  {
    ...get('request-timeouts', '/'),
    name: 'request-timeouts: half a body',
    send: 'POST / HTTP/1.1\nHost: a\nContent-Length: 10\n\nabc',
    responses: undefined,
    ignore: ['upstream'],
  },
  // redirects and mirrors
  get('internal-redirects', '/start', 'x-up: status:302;header:location=http://example.com/next\n'),
  get('internal-redirects', '/start', 'x-up: status:302;header:location=/relative\n'),
  get('internal-redirects', '/start', 'x-up: status:307;header:location=http://example.com/next\n'),
  get('internal-redirects', '/start', 'x-up: status:302;header:location=https://example.com/next\n'),
  get('internal-redirects', '/start', 'x-up: status:302\n'),
  get('internal-redirects', '/codes', 'x-up: status:307;header:location=https://other.example/next|x-copied=1\n'),
  get('internal-redirects', '/codes', 'x-up: status:302;header:location=http://other.example/next\n'),
  post('internal-redirects', '/start', 'x-up: status:302;header:location=http://example.com/next\n', 'body'),
  get('mirrors', '/none'),
  get('mirrors', '/all', '', { ignore: ['upstream', 'counters'] }),
];
