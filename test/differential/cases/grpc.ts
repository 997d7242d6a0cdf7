import type { H2Step } from '../../support/h2-exchange.ts';
import type { Fields } from '../../support/h2-frames.ts';
import type { ListenerParts } from '../config.ts';
import type { Case } from '../harness.ts';

const match = (prefix: string): object => ({ match: { prefix } });
const route = (more: object): object => ({ route: { cluster: 'upstream2', ...more } });
const retry = (retryOn: string, more: object = {}): object =>
  route({
    retry_policy: {
      retry_on: retryOn,
      num_retries: 1,
      retry_back_off: { base_interval: '0.001s', max_interval: '0.002s' },
      ...more,
    },
  });

/** gRPC through the router: deadlines, retries on status, replies of the proxy's own. */
export const listeners = {
  grpc: {
    routes: [
      { ...match('/max'), ...route({ timeout: '5s', max_grpc_timeout: '2s' }) },
      { ...match('/any'), ...route({ max_grpc_timeout: '0s' }) },
      { ...match('/offset'), ...route({ max_grpc_timeout: '0s', grpc_timeout_offset: '0.5s' }) },
      { ...match('/stream-max'), ...route({ max_stream_duration: { grpc_timeout_header_max: '2s' } }) },
      {
        ...match('/stream-offset'),
        ...route({ max_stream_duration: { grpc_timeout_header_max: '0s', grpc_timeout_header_offset: '0.2s' } }),
      },
      { ...match('/stream-duration'), ...route({ max_stream_duration: { max_stream_duration: '0.1s' } }) },
      { ...match('/short'), ...route({ timeout: '0.1s' }) },
      { ...match('/retry-unavailable'), ...retry('unavailable') },
      { ...match('/retry-cancelled'), ...retry('cancelled') },
      { ...match('/retry-5xx'), ...retry('5xx') },
      { ...match('/retry-refused'), ...retry('refused-stream') },
      { ...match('/retry-reset'), ...retry('reset') },
      { match: { prefix: '/only-grpc', grpc: {} }, ...route({}) },
      { ...match('/direct'), direct_response: { status: 404, body: { inline_string: 'nothing here' } } },
      { ...match('/redirect'), redirect: { path_redirect: '/x' } },
      { ...match('/missing'), route: { cluster_header: 'x-none' } },
      { ...match('/empty'), route: { cluster: 'empty' } },
      { ...match('/closed'), route: { cluster: 'closed' } },
      { ...match('/h1'), route: { cluster: 'upstream' } },
      { ...match('/S'), ...route({}) },
    ],
  },
} as unknown as Readonly<Record<string, ListenerParts>>;

const call = (path: string, script: string, fields: Fields = []): Fields => [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', path],
  [':authority', 'grpc.example'],
  ['content-type', 'application/grpc'],
  ['te', 'trailers'],
  ...fields,
  ['x-up', script],
];
const OK = 'header:content-type=application/grpc;trailers:grpc-status=0';
const only = (status: number): string =>
  `no-body;header:content-type=application/grpc|grpc-status=${status}|grpc-message=m`;
const unary = (name: string, path: string, script: string, fields: Fields = [], more: Partial<Case> = {}): Case => ({
  name: `grpc: ${name}`,
  listener: 'grpc',
  send: '',
  h2: [
    { headers: call(path, script, fields), end: false },
    { data: '\0\0\0\0\x02hi', end: true },
  ] satisfies H2Step[],
  timeoutMs: 500,
  ...more,
});
const raw = (name: string, path: string, script: string, fields = ''): Case => ({
  name: `grpc: h1 ${name}`,
  listener: 'grpc',
  send: `POST ${path} HTTP/1.1\nHost: g\nContent-Type: application/grpc\nContent-Length: 2\n${fields}x-up: ${script}\n\nhi`,
  responses: 1,
  timeoutMs: 500,
});

export const cases: readonly Case[] = [
  unary('a call', '/S/m', OK),
  unary(
    'a call that fails in trailers',
    '/S/m',
    'header:content-type=application/grpc;trailers:grpc-status=13|grpc-message=no',
  ),
  unary('trailers only', '/S/m', only(12)),
  unary('an answer that is no gRPC', '/S/m', 'status:503;body:down'),
  unary('to HTTP/1', '/h1', 'trailers'),
  unary('with a path behind the type', '/S/m', OK, [['content-type', 'application/grpc+proto']]),
  raw('a call', '/S/m', OK),
  raw('a call that fails in trailers only', '/S/m', only(5)),

  ...['1S', '500m', '3S', '2500m', '100000000S', '99999999H', '5X', '', '1000000u', '1500000000n'].flatMap((timeout) =>
    ['/max', '/any', '/offset', '/stream-max', '/stream-offset'].map((path) =>
      unary(`${path} grpc-timeout ${timeout}`, path, OK, [['grpc-timeout', timeout]]),
    ),
  ),
  ...['/max', '/any', '/offset', '/stream-max', '/stream-offset'].map((path) =>
    unary(`${path} no grpc-timeout`, path, OK),
  ),
  unary('a route timeout', '/short', 'hang'),
  raw('a route timeout', '/short', 'hang'),
  unary('grpc-timeout that passes', '/any', 'hang', [['grpc-timeout', '80m']]),
  unary('a stream duration that passes', '/stream-max', 'hang', [['grpc-timeout', '80m']]),
  unary('a stream duration of the route', '/stream-duration', 'hang'),
  unary('a stream duration that passes midway', '/stream-duration', `${OK};delay:60`),

  ...[1, 4, 8, 13, 14].map((status) =>
    unary(`retry on unavailable, status ${status}`, '/retry-unavailable', only(status)),
  ),
  unary('retry on cancelled', '/retry-cancelled', only(1)),
  unary(
    'no retry for a status in trailers',
    '/retry-unavailable',
    'header:content-type=application/grpc;trailers:grpc-status=14',
  ),
  unary('retry on 5xx', '/retry-5xx', 'status:503'),
  unary('retry by header', '/S/m', only(14), [
    ['x-envoy-retry-grpc-on', 'unavailable'],
    ['x-envoy-max-retries', '2'],
  ]),
  unary('retry of a refused stream', '/retry-refused', 'reset:7'),
  unary('no retry of another reset', '/retry-refused', 'reset:8'),
  unary('retry of a reset', '/retry-reset', 'reset:2'),

  unary('a route for gRPC alone', '/only-grpc', OK),
  raw('a route for gRPC alone', '/only-grpc', OK),
  unary('a direct response', '/direct', ''),
  raw('a direct response', '/direct', ''),
  unary('a redirect', '/redirect', ''),
  unary('no such cluster', '/missing', ''),
  unary('no route', '/nothing', ''),
  unary('no host', '/empty', ''),
  unary('nobody there', '/closed', ''),
  unary('an upstream that resets', '/S/m', 'reset:2'),
  unary('an upstream that resets midway', '/S/m', 'reset-after:2'),
  raw('nobody there', '/closed', ''),
];
