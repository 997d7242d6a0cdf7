import type { H2Step } from '../../support/h2-exchange.ts';
import type { Fields } from '../../support/h2-frames.ts';
import type { ListenerParts } from '../config.ts';
import type { Case } from '../harness.ts';

const trailers = { http_protocol_options: { enable_trailers: true } };
const to = (cluster: string): ListenerParts => ({
  hcm: { proxy_100_continue: true, ...trailers },
  routes: [{ match: { prefix: '/' }, route: { cluster } }],
});

/** The same exchanges with either version on either side: what each version asks for on the wire. */
export const listeners: Readonly<Record<string, ListenerParts>> = {
  'to-1': to('with-trailers'),
  'to-2': to('upstream2'),
  'scheme-of-upstream': {
    hcm: { scheme_header_transformation: { match_upstream: true } },
    routes: [{ match: { prefix: '/' }, route: { cluster: 'upstream2' } }],
  },
  hashed: {
    routes: [
      {
        match: { prefix: '/session' },
        route: { cluster: 'ring', hash_policy: [{ cookie: { name: 'c', ttl: '0s' } }] },
      },
      {
        match: { prefix: '/kept' },
        route: {
          cluster: 'ring',
          hash_policy: [
            {
              cookie: {
                name: 'kept',
                ttl: '90.5s',
                path: '/p',
                attributes: [{ name: 'SameSite', value: 'None' }, { name: 'Secure' }],
              },
            },
          ],
        },
      },
      { match: { prefix: '/not-made' }, route: { cluster: 'ring', hash_policy: [{ cookie: { name: 'c' } }] } },
      {
        match: { prefix: '/terminal' },
        route: {
          cluster: 'ring',
          hash_policy: [{ header: { header_name: 'x-a' }, terminal: true }, { cookie: { name: 'c', ttl: '0s' } }],
        },
      },
      { match: { prefix: '/' }, route: { cluster: 'upstream', hash_policy: [{ cookie: { name: 'c', ttl: '0s' } }] } },
    ],
  },
  continues: { routes: [{ match: { prefix: '/' }, route: { cluster: 'upstream2' } }] },
};
export const clusters = {
  ring: { lb_policy: 'RING_HASH' },
  'with-trailers': {
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
        explicit_http_config: { http_protocol_options: { enable_trailers: true } },
      },
    },
  },
};

const raw = (listener: string, name: string, send: string, more: Partial<Case> = {}): Case => ({
  name: `${listener}: h1 ${name}`,
  listener,
  send,
  responses: 1,
  timeoutMs: 400,
  ...more,
});
const h2 = (listener: string, name: string, steps: readonly H2Step[], more: Partial<Case> = {}): Case => ({
  name: `${listener}: h2 ${name}`,
  listener,
  send: '',
  h2: steps,
  timeoutMs: 400,
  ...more,
});
const request = (method: string, fields: Fields = [], path = '/t'): Fields => [
  [':method', method],
  [':scheme', 'http'],
  [':path', path],
  [':authority', 'a.example'],
  ...fields,
];
const get = (script: string, fields: Fields = [], method = 'GET'): H2Step[] => [
  { headers: request(method, [...fields, ['x-up', script]]) },
];
const get1 = (script: string, fields = '', method = 'GET'): string =>
  `${method} /t HTTP/1.1\nHost: a.example\n${fields}x-up: ${script}\n\n`;

/** What an upstream answers, in words that the upstreams of both versions know. */
const answers: readonly (readonly [name: string, script: string])[] = [
  ['a plain answer', ''],
  ['a body of 70,000 bytes', 'size:70000'],
  ['an empty body', 'body:'],
  ['204', 'status:204'],
  ['304', 'status:304'],
  ['503', 'status:503;body:down'],
  ['several cookies', 'header:set-cookie=a=1'],
  ['hop-by-hop fields', 'header:keep-alive2=1|x-a=1|x-b=2'],
  ['a 103', 'informational:103'],
  ['a 100', 'informational:100'],
  ['a location', 'status:302;header:location=http://b.example/'],
];

export const cases: readonly Case[] = [
  ...(['to-1', 'to-2'] as const).flatMap((listener) => [
    ...answers.flatMap(([name, script]) => [
      h2(listener, name, get(script)),
      raw(listener, name, get1(script), { ignore: script.startsWith('size') ? ['response', 'log'] : [] }),
    ]),
    h2(listener, 'HEAD', get('body:12345', [], 'HEAD')),
    raw(listener, 'HEAD', get1('body:12345', '', 'HEAD'), { methods: ['HEAD'] }),
    h2(listener, 'OPTIONS *', [{ headers: request('OPTIONS', [], '*') }]),
    h2(
      listener,
      'cookies, te and fields that are there twice',
      get('', [
        ['cookie', 'a=1'],
        ['x-a', '1'],
        ['te', 'trailers'],
        ['cookie', 'b=2; c=3'],
        ['x-a', '2'],
      ]),
    ),
    raw(
      listener,
      'cookies, te and fields that are there twice',
      get1('', 'Cookie: a=1\nX-A: 1\nTE: trailers, deflate\nCookie: b=2\nX-A: 2\n'),
    ),
    raw(
      listener,
      'connection, keep-alive and what they nominate',
      get1('', 'Connection: keep-alive, x-mine\nKeep-Alive: 5\nX-Mine: 1\nProxy-Connection: keep-alive\n'),
    ),
    h2(listener, 'host and authority', [{ headers: [...request('GET'), ['host', 'b.example']] }]),
    h2(listener, 'host in place of authority', [
      {
        headers: [
          [':method', 'GET'],
          [':scheme', 'http'],
          [':path', '/'],
          ['host', 'b.example'],
        ],
      },
    ]),
    h2(listener, 'scheme https', [
      {
        headers: [
          [':method', 'GET'],
          [':scheme', 'https'],
          [':path', '/'],
          [':authority', 'a'],
        ],
      },
    ]),
    h2(listener, 'a body in pieces', [
      { headers: request('POST'), end: false },
      { data: 'one' },
      { waitMs: 10 },
      { data: 'two' },
      { waitMs: 10 },
      { data: '', end: true },
    ]),
    h2(listener, 'a body with its length', [
      { headers: request('POST', [['content-length', '6']]), end: false },
      { data: 'onetwo', end: true },
    ]),
    h2(listener, 'an empty body that ends with DATA', [
      { headers: request('POST'), end: false },
      { data: '', end: true },
    ]),
    h2(listener, 'no body, POST', [{ headers: request('POST') }]),
    h2(listener, 'no body, PUT with length 0', [{ headers: request('PUT', [['content-length', '0']]) }]),
    h2(listener, 'request trailers', [
      { headers: request('POST', [['x-up', '']]), end: false },
      { data: 'body' },
      { trailers: [['x-request-trailer', 'yes']] },
    ]),
    h2(listener, 'request trailers without a body', [
      { headers: request('POST'), end: false },
      { trailers: [['x-request-trailer', 'yes']] },
    ]),
    raw(
      listener,
      'request trailers',
      `POST /t HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n4\nbody\n0\nx-request-trailer: yes\n\n`,
    ),
    raw(listener, 'a body in chunks', `POST /t HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n4\nbody\n0\n\n`),
    raw(listener, 'an empty body in chunks', `POST /t HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n0\n\n`),
    raw(listener, 'a body with its length', `POST /t HTTP/1.1\nHost: a\nContent-Length: 4\n\nbody`),
    raw(listener, 'POST without a body', `POST /t HTTP/1.1\nHost: a\n\n`),
    h2(listener, 'expect', [
      { headers: request('POST', [['expect', '100-continue']]), end: false },
      { waitMs: 20 },
      { data: 'x', end: true },
    ]),
    h2(listener, 'an answer before the request is complete', [
      { headers: request('POST', [['x-up', 'early']]), end: false },
      { data: 'some' },
    ]),
    raw(
      listener,
      'an answer before the request is complete',
      `POST /t HTTP/1.1\nHost: a\nContent-Length: 100\nx-up: early\n\nsome`,
    ),
    h2(listener, 'a client that gives up', [
      { headers: request('POST', [['x-up', 'hang']]), end: false },
      { data: 'some' },
      { waitMs: 25 },
      { reset: 8 },
    ]),
    // Either may come to the upstream first.
    h2(
      listener,
      'two streams at once',
      [
        { headers: request('GET', [['x-up', 'delay:30;body:slow']]) },
        { headers: request('GET', [['x-up', 'body:fast']]), stream: 3 },
      ],
      { ignore: ['upstream'] },
    ),
  ]),
  h2('to-1', 'response trailers', get('trailers')),
  raw('to-1', 'response trailers', get1('trailers')),
  h2('to-1', 'a body that ends with the connection', get('until-close')),
  h2('to-1', 'connection: close of the upstream', get('close')),
  h2('to-1', 'a response that is cut off', get('size:1000;reset-after:300')),
  h2('to-1', 'an upstream that resets', get('reset')),
  h2('to-2', 'response trailers', get('trailers:x-trailer=yes|x-other=no')),
  raw('to-2', 'response trailers', get1('trailers:x-trailer=yes|x-other=no')),
  h2('to-2', 'headers alone', get('no-body')),
  raw('to-2', 'headers alone', get1('no-body')),
  ...[1, 2, 7, 8, 11].flatMap((code) => [
    h2('to-2', `an upstream that resets with ${code}`, get(`reset:${code}`)),
    raw('to-2', `an upstream that resets with ${code}`, get1(`reset:${code}`)),
    h2('to-2', `a response that is reset with ${code}`, get(`reset-after:${code}`)),
    raw('to-2', `a response that is reset with ${code}`, get1(`reset-after:${code}`)),
  ]),
  h2('to-2', 'an upstream that says GOAWAY', get('goaway')),
  h2('continues', 'expect', [
    { headers: request('POST', [['expect', '100-continue']]), end: false },
    { waitMs: 20 },
    { data: 'x', end: true },
  ]),
  ...['/session', '/kept', '/not-made', '/terminal', '/other'].flatMap((path) => [
    raw('hashed', `${path} without a cookie`, `GET ${path} HTTP/1.1\nHost: a\n\n`),
    raw('hashed', `${path} with cookies`, `GET ${path} HTTP/1.1\nHost: a\nCookie: d=1; c=mine; kept=x\n\n`),
    raw('hashed', `${path} with a header`, `GET ${path} HTTP/1.1\nHost: a\nX-A: 1\n\n`),
  ]),
  h2('scheme-of-upstream', 'scheme https', [
    {
      headers: [
        [':method', 'GET'],
        [':scheme', 'https'],
        [':path', '/'],
        [':authority', 'a'],
      ],
    },
  ]),
];
