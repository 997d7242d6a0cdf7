import type { H2Step } from '../../support/h2-exchange.ts';
import { data, frame, goAway, headers, ping, T, type Fields } from '../../support/h2-frames.ts';
import type { ListenerParts } from '../config.ts';
import type { Case } from '../harness.ts';

/** HTTP/2 downstream: what a connection manager does with requests, good and bad. */
export const listeners: Readonly<Record<string, ListenerParts>> = {
  auto: {},
  only2: { hcm: { codec_type: 'HTTP2' } },
  only1: { hcm: { codec_type: 'HTTP1' } },
  lenient: { hcm: { stream_error_on_invalid_http_message: true } },
  'stream-error': {
    hcm: { http2_protocol_options: { override_stream_error_on_invalid_http_message: true } },
  },
  limited: {
    hcm: { max_request_headers_kb: 1, common_http_protocol_options: { max_headers_count: 8 } },
  },
  underscores: {
    hcm: { common_http_protocol_options: { headers_with_underscores_action: 'REJECT_REQUEST' } },
  },
  'drops-underscores': {
    hcm: { common_http_protocol_options: { headers_with_underscores_action: 'DROP_HEADER' } },
  },
  'three-requests': {
    hcm: { common_http_protocol_options: { max_requests_per_connection: 3 }, drain_timeout: '0.05s' },
  },
  idle: { hcm: { common_http_protocol_options: { idle_timeout: '0.1s' }, drain_timeout: '0.05s' } },
  old: { hcm: { common_http_protocol_options: { max_connection_duration: '0.1s' }, drain_timeout: '0.05s' } },
  timed: { hcm: { request_timeout: '0.1s', stream_idle_timeout: '0.2s' } },
  'stream-idle': { hcm: { stream_idle_timeout: '0.1s' } },
  duration: { hcm: { common_http_protocol_options: { max_stream_duration: '0.1s' } } },
  normalized: {
    hcm: { normalize_path: true, merge_slashes: true, path_with_escaped_slashes_action: 'UNESCAPE_AND_REDIRECT' },
  },
  edge: {
    hcm: { use_remote_address: true, via: 'us', add_user_agent: true, server_name: 's', append_x_forwarded_port: true },
  },
  few: { hcm: { http2_protocol_options: { max_concurrent_streams: 2 } } },
};

const request = (
  fields: Fields = [],
  more: { method?: string; path?: string; scheme?: string; authority?: string } = {},
): Fields => [
  [':method', more.method ?? 'GET'],
  [':scheme', more.scheme ?? 'http'],
  [':path', more.path ?? '/r'],
  [':authority', more.authority ?? 'a.example'],
  ...fields,
];
const h2 = (listener: string, name: string, steps: readonly H2Step[], more: Partial<Case> = {}): Case => ({
  name: `h2 ${listener}: ${name}`,
  listener,
  send: '',
  h2: steps,
  timeoutMs: 300,
  ...more,
});
const one = (listener: string, name: string, fields: Fields, more: Partial<Case> = {}): Case =>
  h2(listener, name, [{ headers: fields }], more);
const many = (count: number): Fields => Array.from({ length: count }, (_, i) => [`x-${i}`, 'v'] as const);

const malformed: readonly (readonly [name: string, fields: Fields])[] = [
  ['an upper-case name', request([['X-A', '1']])],
  ['a name with a space', request([['x a', '1']])],
  ['connection', request([['connection', 'close']])],
  ['transfer-encoding', request([['transfer-encoding', 'chunked']])],
  ['te: gzip', request([['te', 'gzip']])],
  ['a line end in a value', request([['x-a', 'a\r\nb']])],
  ['NUL in a value', request([['x-a', 'a\0b']])],
  ['a pseudo-header behind a field', [...request([['x-a', '1']]), [':path', '/again']]],
  ['an unknown pseudo-header', request([[':what', '1']])],
  ['no path', request().filter(([name]) => name !== ':path')],
  ['an empty path', request([], { path: '' })],
  ['no method', request().filter(([name]) => name !== ':method')],
  ['no scheme', request().filter(([name]) => name !== ':scheme')],
  ['no authority', request().filter(([name]) => name !== ':authority')],
  ['two paths', [...request(), [':path', '/b']]],
  ['a bad authority', request([], { authority: 'a b' })],
  ['userinfo in the authority', request([], { authority: 'me@a' })],
  ['a path without slash', request([], { path: 'x' })],
  ['a path with a blank', request([], { path: '/a b' })],
  ['a fragment', request([], { path: '/a#b' })],
  ['a scheme that nobody knows', request([], { scheme: 'foo' })],
  ['a scheme in upper case', request([], { scheme: 'HTTP' })],
  ['a method that nobody knows', request([], { method: 'BREW' })],
  ['a bad method', request([], { method: 'GE T' })],
  [':protocol without leave', [...request([], { method: 'CONNECT' }), [':protocol', 'websocket']]],
  ['content-length that is no number', request([['content-length', 'x']])],
  [
    'two content-lengths',
    request([
      ['content-length', '0'],
      ['content-length', '1'],
    ]),
  ],
  ['content-length with no body', request([['content-length', '5']])],
  ['host that differs', request([['host', 'b.example']])],
  ['an empty value', request([['x-a', '']])],
  ['blanks around a value', request([['x-a', ' 1 ']])],
  ['high bytes in a value', request([['x-a', '\xe4\xff']])],
];

export const cases: readonly Case[] = [
  ...malformed.map(([name, fields]) => one('auto', name, fields)),
  ...malformed.slice(0, 16).map(([name, fields]) => one('stream-error', name, fields)),
  ...malformed.slice(0, 4).map(([name, fields]) => one('lenient', name, fields)),
  ...['only2', 'only1'].map((listener) => one(listener, 'a request', request())),
  { name: 'h2 only2: HTTP/1', listener: 'only2', send: 'GET / HTTP/1.1\nHost: a\n\n', timeoutMs: 300 },
  {
    name: 'h2 auto: HTTP/1 that begins as the preface',
    listener: 'auto',
    send: 'PRI / HTTP/1.1\nHost: a\n\n',
    timeoutMs: 300,
  },

  h2('auto', 'a body over its length', [
    { headers: request([['content-length', '2']], { method: 'POST' }), end: false },
    { data: 'four', end: true },
  ]),
  h2('auto', 'a body below its length', [
    { headers: request([['content-length', '9']], { method: 'POST' }), end: false },
    { data: 'four', end: true },
  ]),
  h2('auto', 'bad trailers', [
    { headers: request([], { method: 'POST' }), end: false },
    { data: 'four' },
    { trailers: [[':path', '/']] },
  ]),
  h2('auto', 'DATA on an idle stream', [{ bytes: data(1, 'x') }]),
  h2('auto', 'HEADERS on stream 0', [{ bytes: headers(0, request()) }]),
  h2('auto', 'an even stream', [{ bytes: headers(2, request()) }]),
  h2('auto', 'a PING of the wrong size', [{ bytes: ping('123') }]),
  h2('auto', 'an unknown frame', [{ bytes: frame(77, 0, 0, 'x') }, { headers: request() }]),
  h2('auto', 'a client that says GOAWAY', [{ headers: request([['x-up', 'delay:30']]) }, { bytes: goAway(0, 0) }]),
  h2('auto', 'PUSH_PROMISE', [{ bytes: frame(T.PUSH_PROMISE, 4, 1, '\0\0\0\x02') }]),

  one('limited', 'too many fields', request(many(12))),
  one('limited', 'as many fields as may be', request(many(3))),
  one('limited', 'fields that are too long', request([['x-long', 'x'.repeat(1500)]])),
  one('underscores', 'an underscore', request([['x_a', '1']])),
  one('drops-underscores', 'an underscore', request([['x_a', '1']])),

  h2(
    'three-requests',
    'the third drains',
    [
      { headers: request() },
      { waitMs: 15 },
      { headers: request(), stream: 3 },
      { waitMs: 15 },
      { headers: request(), stream: 5 },
      { waitMs: 15 },
      { headers: request(), stream: 7 },
      { waitMs: 150 },
    ],
    { responses: 4 },
  ),
  h2('idle', 'no request for a while', [{ headers: request() }, { waitMs: 250 }]),
  h2('idle', 'a slow request is no idleness', [{ headers: request([['x-up', 'delay:150']]) }]),
  h2('old', 'an old connection', [{ headers: request() }, { waitMs: 250 }]),
  h2('old', 'an old connection with a request', [{ headers: request([['x-up', 'delay:200']]) }, { waitMs: 280 }], {
    timeoutMs: 400,
  }),
  h2('timed', 'a request that does not end', [{ headers: request([], { method: 'POST' }), end: false }], {
    timeoutMs: 400,
  }),
  h2('timed', 'a request that does not end, beside one that does', [
    { headers: request([], { method: 'POST' }), end: false },
    { waitMs: 40 },
    { headers: request(), stream: 3 },
  ]),
  h2('stream-idle', 'an upstream that hangs', [{ headers: request([['x-up', 'hang']]) }]),
  h2('stream-idle', 'an upstream that hangs midway', [
    { headers: request([['x-up', 'size:100;reset-after:90;delay:10']]) },
  ]),
  h2('duration', 'an upstream that hangs', [{ headers: request([['x-up', 'hang']]) }]),
  one('normalized', 'dots and slashes', request([], { path: '/a/../b//c' })),
  one('normalized', 'escaped slashes', request([], { path: '/a%2Fb' })),
  one(
    'edge',
    'from outside',
    request([
      ['x-forwarded-for', '1.2.3.4'],
      ['x-envoy-internal', 'true'],
      ['x-forwarded-proto', 'https'],
    ]),
  ),
  // Of two requests at once either may come to the upstream first; the second answer is the later one.
  h2(
    'few',
    'more streams than allowed',
    [
      { headers: request([['x-up', 'delay:40']]) },
      { headers: request([['x-up', 'delay:140']]), stream: 3 },
      { headers: request(), stream: 5 },
    ],
    { ignore: ['upstream'] },
  ),
];
