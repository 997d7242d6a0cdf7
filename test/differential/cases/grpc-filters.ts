import type { ListenerParts } from '../config.ts';
import type { Case } from '../harness.ts';

/** grpc_web, grpc_stats, grpc_http1_bridge; over HTTP/1.1 with trailers, which the upstream of these cases sends. */
const TYPE = 'type.googleapis.com/envoy.extensions.filters.http';
const filter = (name: string, type: string, config: object = {}) => ({
  name: `envoy.filters.http.${name}`,
  typed_config: { '@type': `${TYPE}.${type}`, ...config },
});
const routesTo = (cluster: string) => [{ match: { prefix: '/' }, route: { cluster } }];
const web = filter('grpc_web', 'grpc_web.v3.GrpcWeb');
const stats = (config: object) => filter('grpc_stats', 'grpc_stats.v3.FilterConfig', config);
const bridge = (config: object) => filter('grpc_http1_bridge', 'grpc_http1_bridge.v3.Config', config);
const listener = (...filters: object[]): ListenerParts => ({ filters: filters as never, routes: routesTo('grpc') });
/** Envoy tells the stats of allowed methods from those of any method even if they have one name: each has its cluster. */
const counted = (cluster: string, ...filters: object[]): ListenerParts => ({
  filters: filters as never,
  routes: routesTo(cluster),
});
const reverse = (config: object = {}): ListenerParts => ({
  ...listener(
    filter('grpc_http1_reverse_bridge', 'grpc_http1_reverse_bridge.v3.FilterConfig', {
      content_type: 'application/x-protobuf',
      ...config,
    }),
  ),
  hcm: { http_protocol_options: { enable_trailers: true } },
});
const abort = {
  name: 'envoy.filters.http.fault',
  typed_config: { '@type': `${TYPE}.fault.v3.HTTPFault`, abort: { http_status: 503, percentage: { numerator: 100 } } },
};

const trailers = { http_protocol_options: { enable_trailers: true } };
export const clusters = { grpc: trailers, all: trailers, dots: trailers, some: trailers };
export const listeners: Readonly<Record<string, ListenerParts>> = {
  web: listener(web),
  'web-abort': listener(web, abort),
  'web-trailers': { ...listener(web), hcm: { http_protocol_options: { enable_trailers: true } } },
  'web-lost': { filters: [web] as never, routes: routesTo('closed') },
  'stats-none': listener(stats({})),
  'stats-all': counted(
    'all',
    stats({ stats_for_all_methods: true, emit_filter_state: true, enable_upstream_stats: true }),
  ),
  'stats-dots': counted('dots', stats({ stats_for_all_methods: true, replace_dots_in_grpc_service_name: true })),
  'stats-some': counted(
    'some',
    stats({ individual_method_stats_allowlist: { services: [{ name: 'pkg.Svc', method_names: ['Call', 'Other'] }] } }),
  ),
  'stats-web': listener(web, stats({ stats_for_all_methods: true })),
  bridge: listener(bridge({})),
  'bridge-trailers': { ...listener(bridge({})), hcm: { http_protocol_options: { enable_trailers: true } } },
  'bridge-query': listener(bridge({ ignore_query_parameters: true })),
  'bridge-protobuf': listener(bridge({ upgrade_protobuf_to_grpc: true, ignore_query_parameters: true })),
  reverse: reverse(),
  'reverse-frames': reverse({ withhold_grpc_frames: true }),
  'reverse-size': reverse({ withhold_grpc_frames: true, response_size_header: 'x-size' }),
  'reverse-off': {
    ...reverse(),
    routes: [
      {
        match: { prefix: '/' },
        route: { cluster: 'grpc' },
        typed_per_filter_config: {
          'envoy.filters.http.grpc_http1_reverse_bridge': {
            '@type': `${TYPE}.grpc_http1_reverse_bridge.v3.FilterConfigPerRoute`,
            disabled: true,
          },
        },
      },
    ],
  },
  'bridge-lost': {
    filters: [bridge({ upgrade_protobuf_to_grpc: true })] as never,
    routes: routesTo('closed'),
  },
};

const frame = (message: string, flags = 0): string => {
  const head = Buffer.from([flags, 0, 0, 0, 0]);
  head.writeUInt32BE(message.length, 1);
  return head.toString('latin1') + message;
};
const base64 = (text: string): string => Buffer.from(text, 'latin1').toString('base64');

interface Answer {
  /** All of it. */
  readonly raw?: string;
  readonly status?: number;
  readonly headers?: readonly string[];
  readonly pieces?: readonly string[];
  readonly trailers?: readonly string[];
}
const OK = ['grpc-status: 0'];

/** What the upstream is to answer, byte for byte. Without `pieces`: headers alone. */
function answer({
  raw,
  status = 200,
  headers = ['content-type: application/grpc'],
  pieces,
  trailers = [],
}: Answer): string {
  if (raw !== undefined) return `raw-keep:${base64(raw)}`;
  let text = `HTTP/1.1 ${status} S\r\n${headers.map((line) => `${line}\r\n`).join('')}`;
  if (pieces === undefined) text += 'content-length: 0\r\n\r\n';
  else {
    text += 'transfer-encoding: chunked\r\n\r\n';
    for (const piece of pieces) text += `${piece.length.toString(16)}\r\n${piece}\r\n`;
    text += `0\r\n${trailers.map((line) => `${line}\r\n`).join('')}\r\n`;
  }
  return `raw-keep:${base64(text)}`;
}

/** Of a server that knows nothing of gRPC. */
const plain = (more: Answer = {}): Answer => ({
  headers: ['content-type: application/x-protobuf', 'x-size: 8'],
  pieces: ['resp', 'onse'],
  ...more,
});

interface Call {
  readonly path?: string;
  readonly type?: string;
  readonly headers?: readonly string[];
  readonly body?: string;
  readonly answer: Answer;
}

const call = (name: string, to: string, { path = '/pkg.Svc/Call', ...rest }: Call, ignore?: Case['ignore']): Case => {
  const { type = 'application/grpc', headers = [], body = frame('request') } = rest;
  const lines = [
    `POST ${path} HTTP/1.1`,
    'host: h',
    `content-type: ${type}`,
    `x-up: ${answer(rest.answer)}`,
    ...headers,
    `content-length: ${body.length}`,
  ];
  return {
    name,
    listener: to,
    send: `${lines.join('\r\n')}\r\n\r\n${body}`,
    exact: true,
    responses: 1,
    timeoutMs: 1500,
    ...(ignore !== undefined && { ignore }),
  };
};

const reply: Answer = { pieces: [frame('response')], trailers: OK };
const failed: Answer = { pieces: [frame('half')], trailers: ['grpc-status: 13', 'grpc-message: it broke'] };
const trailersOnly: Answer = { headers: ['content-type: application/grpc', 'grpc-status: 5', 'grpc-message: no'] };
const WEB = 'application/grpc-web';
const TEXT = 'application/grpc-web-text';
const html: Answer = {
  status: 404,
  headers: ['content-type: text/html'],
  pieces: ['<b>100% ~ ', 'nothing \xe4\n</b>'],
};

const webCases = [WEB, `${WEB}+proto`, TEXT, `${TEXT}+proto`].flatMap((type) => {
  const body = type.startsWith(TEXT) ? base64(frame('request')) : frame('request');
  const headers = [`accept: ${type}`];
  return [
    call(`${type}: a call`, 'web', { type, body, headers, answer: reply }),
    call(`${type}: a call that fails`, 'web', { type, body, headers, answer: failed }),
    call(`${type}: trailers only`, 'web', { type, body, headers, answer: trailersOnly }),
    call(`${type}: an answer that is not gRPC`, 'web', { type, body, headers, answer: html }),
  ];
});

export const cases: readonly Case[] = [
  ...webCases,
  call('web: several messages', 'web', {
    type: WEB,
    body: frame('a') + frame(''),
    answer: { pieces: [frame('b'), frame('c') + frame('')], trailers: [...OK, 'x-more: 1', 'x-more: 2'] },
  }),
  call('web: text with messages cut anywhere', 'web', {
    type: TEXT,
    headers: [`accept: ${TEXT}`],
    body: base64(frame('a')) + base64(frame('bcde')),
    answer: { pieces: [frame('response').slice(0, 3), frame('response').slice(3) + frame('x')], trailers: OK },
  }),
  call('web: text in, binary out', 'web', { type: TEXT, body: base64(frame('a')), answer: reply }),
  call('web: binary in, text out', 'web', { type: WEB, headers: [`accept: ${TEXT}`], answer: reply }),
  call(
    'web: base64 that is cut off',
    'web',
    { type: TEXT, body: base64(frame('a')).slice(0, -1), answer: reply },
    // Envoy hears of the end of a body after the last of it, here both come at once: the answer is before the end.
    ['counters'],
  ),
  call('web: what is not base64', 'web', { type: TEXT, body: '????', answer: reply }),
  call('web: base64 with bits too many', 'web', { type: TEXT, body: 'AAB=', answer: reply }),
  call('web: an empty text body', 'web', { type: TEXT, body: '', answer: reply }),
  call('web: not gRPC-Web', 'web', { type: 'application/json', answer: html }),
  call('web: gRPC', 'web', { answer: reply }),
  call('web: a type with parameters', 'web', { type: `${WEB}; charset=utf-8`, answer: reply }),
  call('web: its headers', 'web', {
    type: WEB,
    headers: ['te: gzip', 'grpc-accept-encoding: gzip', 'grpc-timeout: 1S'],
    answer: reply,
  }),
  call('web: an answer that is gRPC-Web already', 'web', {
    type: WEB,
    answer: { headers: [`content-type: ${WEB}+PROTO ; a=b`], pieces: [frame('r')] },
  }),
  call('web: a status that is not 200', 'web', {
    type: WEB,
    answer: { status: 503, headers: ['content-type: application/grpc'], pieces: ['down'], trailers: OK },
  }),
  call('web: an answer that is not gRPC, headers alone', 'web', { type: WEB, answer: { status: 404, headers: [] } }),
  call('web: a path that is no method', 'web', { type: WEB, path: '/a/b/c', answer: reply }),
  call('web: a local reply', 'web-abort', { type: WEB, answer: reply }),
  call('web: a local reply as text', 'web-abort', { type: TEXT, headers: [`accept: ${TEXT}`], answer: reply }),
  call('web: no upstream', 'web-lost', { type: WEB, answer: reply }),
  call('web: trailers for a client that takes them', 'web-trailers', { type: WEB, answer: reply }),

  ...['stats-none', 'stats-all', 'stats-dots', 'stats-some'].flatMap((to) => [
    call(`${to}: a call`, to, { answer: reply }),
    call(`${to}: a call that fails`, to, { path: '/pkg.Svc/Unlisted?x=1', answer: failed }),
    call(`${to}: trailers only`, to, { path: '/pkg.Svc/Other', answer: trailersOnly }),
  ]),
  call('stats: several messages', 'stats-all', {
    type: 'application/grpc+json',
    body: frame('a') + frame('') + frame('bc'),
    answer: { pieces: [frame('b').slice(0, 2), frame('b').slice(2) + frame('c')], trailers: OK },
  }),
  call('stats: a message that is not complete', 'stats-all', {
    body: frame('abcdef').slice(0, 7) + '',
    answer: { pieces: [frame('b').slice(0, 4)], trailers: OK },
  }),
  call('stats: a status of its own', 'stats-all', {
    answer: { pieces: [], trailers: ['grpc-status: 123'] },
  }),
  call('stats: a status that is no number', 'stats-all', { answer: { pieces: [], trailers: ['grpc-status: a:b'] } }),
  call('stats: no status', 'stats-all', { answer: { pieces: [frame('a')] } }),
  call('stats: not gRPC', 'stats-all', { type: 'application/json', answer: html }),
  call('stats: an answer that is not gRPC', 'stats-all', { answer: html }),
  call('stats: a path that is no method', 'stats-all', { path: '/pkg.Svc', answer: reply }),
  call('stats: a path with more slashes', 'stats-all', { path: '//pkg.Svc//Call/', answer: reply }),
  call('stats: gRPC-Web', 'stats-web', { type: WEB, answer: reply }),
  call('stats: a unary call of Connect', 'stats-all', {
    type: 'application/proto',
    headers: ['connect-protocol-version: 1'],
    body: 'request',
    answer: { headers: ['content-type: application/proto'], pieces: ['response'] },
  }),
  call('stats: a unary call of Connect that fails', 'stats-all', {
    type: 'application/proto',
    headers: ['connect-protocol-version: 1'],
    body: 'request',
    answer: { status: 404, headers: ['content-type: application/json'], pieces: ['{"code":"not_found"}'] },
  }),
  ...['{}', '{"error":{"code":"internal"}}', 'broken'].map((end) =>
    call(`stats: a Connect stream that ends with ${end}`, 'stats-all', {
      type: 'application/connect+proto',
      body: frame('a') + frame('b'),
      answer: { headers: ['content-type: application/connect+proto'], pieces: [frame('c'), frame(end, 2)] },
    }),
  ),

  ...['bridge', 'bridge-trailers'].flatMap((to) => [
    call(`${to}: a call`, to, { answer: reply }),
    call(`${to}: a call that fails`, to, { answer: failed }),
    call(`${to}: trailers only`, to, { answer: trailersOnly }),
  ]),
  call('bridge: several messages', 'bridge', {
    path: '/pkg.Svc/Call?a=b',
    answer: { pieces: [frame('b'), frame('c')], trailers: [...OK, 'x-more: 1'] },
  }),
  call('bridge: no message', 'bridge', { answer: { pieces: [], trailers: OK } }),
  call('bridge: trailers without a status', 'bridge', { answer: { pieces: ['x'], trailers: ['x-more: 1'] } }),
  call('bridge: a status that is no number', 'bridge', { answer: { pieces: ['x'], trailers: ['grpc-status: no'] } }),
  call('bridge: a status of zeros', 'bridge', { answer: { pieces: ['x'], trailers: ['grpc-status: 00'] } }),
  call('bridge: no trailers', 'bridge', { answer: { pieces: [frame('a')] } }),
  call('bridge: not gRPC', 'bridge', { type: 'application/json', answer: reply }),
  call('bridge: protobuf, without the upgrade', 'bridge', { type: 'application/x-protobuf', answer: reply }),
  call('bridge: query parameters are ignored', 'bridge-query', { path: '/pkg.Svc/Call?a=b', answer: reply }),
  call('bridge: query parameters of others are not', 'bridge-query', {
    path: '/pkg.Svc/Call?a=b',
    type: 'text/plain',
    answer: reply,
  }),
  ...[reply, failed, trailersOnly, html].map((answer, i) =>
    call(`bridge: protobuf, answer ${i}`, 'bridge-protobuf', {
      type: 'application/x-protobuf',
      path: '/pkg.Svc/Call?a=b',
      body: 'message',
      answer,
    }),
  ),
  call('bridge: protobuf, an empty message', 'bridge-protobuf', {
    type: 'application/x-protobuf',
    body: '',
    answer: reply,
  }),
  call('bridge: protobuf, an answer in pieces', 'bridge-protobuf', {
    type: 'application/x-protobuf',
    body: 'message',
    answer: { pieces: [frame('response').slice(0, 6), frame('response').slice(6)], trailers: OK },
  }),
  call('bridge: gRPC, no upstream', 'bridge-lost', { answer: reply }),
  call('bridge: protobuf, no upstream', 'bridge-lost', { type: 'application/x-protobuf', answer: reply }),

  ...['reverse', 'reverse-frames', 'reverse-size'].flatMap((to) => [
    call(`${to}: a call`, to, { type: 'application/grpc+proto', headers: ['te: trailers'], answer: plain() }),
    call(`${to}: a call that fails`, to, { answer: plain({ status: 404 }) }),
    call(`${to}: an answer with trailers`, to, { answer: plain({ trailers: ['x-more: 1'] }) }),
    call(`${to}: an answer of another type`, to, { answer: html }),
    call(`${to}: an answer of no type`, to, { answer: { status: 503, headers: [], pieces: ['x'] } }),
    call(`${to}: an answer without a body`, to, {
      answer: { headers: ['content-type: application/x-protobuf', 'x-size: 0'] },
    }),
    call(`${to}: not gRPC`, to, { type: 'text/plain', answer: html }),
  ]),
  call('reverse: turned off', 'reverse-off', { answer: reply }),
  call('reverse: a length', 'reverse-frames', {
    answer: { raw: 'HTTP/1.1 200 S\r\ncontent-type: application/x-protobuf\r\ncontent-length: 3\r\n\r\nabc' },
  }),
  // Envoy's head is still being held back when it gives up.
  call('reverse: a request that is too short', 'reverse-frames', { body: 'abc', answer: plain() }, ['upstream', 'log']),
  call('reverse: a size that is missing', 'reverse-size', {
    answer: { headers: ['content-type: application/x-protobuf'], pieces: ['a'] },
  }),
  call('reverse: several sizes', 'reverse-size', {
    answer: { headers: ['content-type: application/x-protobuf', 'x-size: 1, 2'], pieces: ['a'] },
  }),
];
