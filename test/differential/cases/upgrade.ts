import type { H2Step } from '../../support/h2-exchange.ts';
import type { Fields } from '../../support/h2-frames.ts';
import type { ListenerParts } from '../config.ts';
import type { Case } from '../harness.ts';

const UPGRADES = [{ upgrade_type: 'websocket' }, { upgrade_type: 'chat' }, { upgrade_type: 'CONNECT' }];
const http2 = { http2_protocol_options: { allow_connect: true } };
const to = (cluster: string, more: object = {}): never[] =>
  [
    { match: { connect_matcher: {} }, route: { cluster, ...more } },
    { match: { prefix: '/' }, route: { cluster, ...more } },
  ] as never[];
const terminated = (config: object = {}): object => ({
  upgrade_configs: [{ upgrade_type: 'CONNECT', connect_config: config }],
});

/** Upgrades and CONNECT: what becomes of them between HTTP/1 and HTTP/2, and where they end. */
export const listeners: Readonly<Record<string, ListenerParts>> = {
  'to-h1': { hcm: { upgrade_configs: UPGRADES, ...http2 }, routes: to('upstream') },
  'to-h2': { hcm: { upgrade_configs: UPGRADES, ...http2 }, routes: to('upstream2') },
  'not-allowed': { hcm: http2 },
  'off-by-route': {
    hcm: { upgrade_configs: UPGRADES, ...http2 },
    routes: to('upstream', { upgrade_configs: [{ upgrade_type: 'websocket', enabled: false }] }),
  },
  'by-route': { hcm: http2, routes: to('upstream', { upgrade_configs: [{ upgrade_type: 'websocket' }] }) },
  terminated: { hcm: http2, routes: to('upstream', terminated()) },
  post: { hcm: http2, routes: to('upstream', terminated({ allow_post: true })) },
  proxy: { hcm: http2, routes: to('upstream', terminated({ proxy_protocol_config: { version: 'V1' } })) },
  closed: { hcm: { upgrade_configs: UPGRADES, ...http2 }, routes: to('closed', terminated()) },
  timed: {
    hcm: { upgrade_configs: UPGRADES, request_timeout: '0.1s', ...http2 },
    routes: to('upstream', { timeout: '0.1s', idle_timeout: '0.25s' }),
  },
};

const ws = (script: string, more = '', type = 'websocket'): string =>
  `GET /ws HTTP/1.1\nHost: a.example\nUpgrade: ${type}\nConnection: Upgrade\nx-up: ${script}\n${more}\n`;
const connect = (script: string, more = ''): string =>
  `CONNECT a.example:80 HTTP/1.1\nHost: a.example:80\nx-up: ${script}\n${more}\n`;
const raw = (listener: string, name: string, send: string, more: Partial<Case> = {}): Case => ({
  name: `${listener}: ${name}`,
  listener,
  send,
  timeoutMs: 250,
  ...more,
});
const h2 = (listener: string, name: string, steps: readonly H2Step[], more: Partial<Case> = {}): Case => ({
  name: `${listener}: h2 ${name}`,
  listener,
  send: '',
  h2: steps,
  timeoutMs: 250,
  ...more,
});
const extended = (script: string, protocol = 'websocket', path = '/ws'): Fields => [
  [':method', 'CONNECT'],
  [':protocol', protocol],
  [':scheme', 'http'],
  [':path', path],
  [':authority', 'a.example'],
  ['x-up', script],
];
const plain = (script: string): Fields => [
  [':method', 'CONNECT'],
  [':authority', 'a.example:80'],
  ['x-up', script],
];
const wait = (waitMs: number): H2Step => ({ waitMs });
const inner = 'GET /inner HTTP/1.1\nHost: i\n\n';
const crlf = (text: string): string => text.replaceAll('\n', '\r\n');

const both = ['to-h1', 'to-h2'] as const;

export const cases: readonly Case[] = [
  ...both.flatMap((listener) => [
    raw(listener, 'websocket, bytes both ways', ws('tunnel'), { pieces: ['one', 'two'] }),
    raw(listener, 'websocket, the client ends', ws('tunnel'), { pieces: ['one', 'two'], end: true }),
    raw(listener, 'websocket, the upstream ends', ws('tunnel-end'), { pieces: ['one'] }),
    raw(listener, 'websocket refused by the upstream', ws('status:403;body:no'), { responses: 1 }),
    raw(listener, 'websocket answered 200', ws('status:200;body:odd'), { responses: 1 }),
    raw(listener, 'websocket redirected', ws('status:302;header:location=/x'), { responses: 1 }),
    raw(listener, 'another upgrade', ws('tunnel', '', 'chat'), { pieces: ['one'] }),
    raw(listener, 'an upgrade in another case', ws('tunnel', '', 'WebSocket'), { pieces: ['one'] }),
    raw(listener, 'an upgrade that is not configured', ws('tunnel', '', 'mqtt')),
    raw(listener, 'h2c is dropped', ws('', 'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\n', 'h2c'), { responses: 1 }),
    raw(listener, 'CONNECT, bytes both ways', connect('tunnel'), { pieces: ['one', 'two'] }),
    raw(listener, 'CONNECT, the client ends', connect('tunnel'), { pieces: ['one'], end: true }),
    raw(listener, 'CONNECT, the upstream ends', connect('tunnel-end'), { pieces: ['one'] }),
    raw(listener, 'CONNECT refused by the upstream', connect('status:407;body:who'), { responses: 1 }),
    h2(listener, 'websocket, bytes both ways', [
      { headers: extended('tunnel'), end: false },
      wait(20),
      { data: 'one' },
      wait(20),
      { data: 'two' },
      wait(20),
      { reset: 8 },
    ]),
    h2(listener, 'websocket, the upstream ends', [
      { headers: extended('tunnel-end'), end: false },
      wait(20),
      { data: 'one' },
    ]),
    h2(listener, 'websocket refused by the upstream', [{ headers: extended('early;status:403;body:no'), end: false }]),
    h2(listener, 'another upgrade', [
      { headers: extended('tunnel', 'chat'), end: false },
      wait(20),
      { data: 'one' },
      wait(20),
      { reset: 8 },
    ]),
    h2(listener, 'CONNECT, bytes both ways', [
      { headers: plain('tunnel'), end: false },
      wait(20),
      { data: 'one' },
      wait(20),
      { data: 'two' },
      wait(20),
      { reset: 8 },
    ]),
    h2(listener, 'CONNECT, the client ends', [
      { headers: plain('tunnel'), end: false },
      wait(20),
      { data: 'one', end: true },
    ]),
    h2(listener, 'CONNECT, the upstream ends', [
      { headers: plain('tunnel-end'), end: false },
      wait(20),
      { data: 'one' },
    ]),
    h2(listener, 'CONNECT refused by the upstream', [{ headers: plain('early;status:407;body:who'), end: false }]),
    h2(listener, 'CONNECT with bytestream', [
      { headers: extended('tunnel', 'bytestream', '/'), end: false },
      wait(20),
      { data: 'one' },
      wait(20),
      { reset: 8 },
    ]),
  ]),
  h2('to-h2', 'websocket, the client ends', [
    { headers: extended('tunnel'), end: false },
    wait(20),
    { data: 'one', end: true },
  ]),

  raw('not-allowed', 'websocket', ws('tunnel')),
  raw('not-allowed', 'websocket with bytes behind it', `${ws('tunnel')}${inner}`),
  raw('not-allowed', 'CONNECT', connect('tunnel')),
  h2('not-allowed', 'websocket', [{ headers: extended('tunnel'), end: false }]),
  h2('not-allowed', 'CONNECT', [{ headers: plain('tunnel'), end: false }]),
  raw('off-by-route', 'websocket', ws('tunnel')),
  raw('off-by-route', 'another upgrade', ws('tunnel', '', 'chat'), { pieces: ['one'] }),
  raw('by-route', 'websocket', ws('tunnel'), { pieces: ['one'] }),
  raw('by-route', 'another upgrade', ws('tunnel', '', 'chat')),

  raw('terminated', 'CONNECT, a request inside', connect(''), { pieces: [crlf(inner)] }),
  raw('terminated', 'CONNECT, a request inside, the upstream ends', connect(''), {
    pieces: [crlf('GET /inner HTTP/1.1\nHost: i\nx-up: close\n\n')],
  }),
  raw('terminated', 'CONNECT, the upstream resets', connect(''), {
    pieces: [crlf('GET /inner HTTP/1.1\nHost: i\nx-up: reset\n\n')],
  }),
  raw('terminated', 'POST goes its usual way', 'POST /p HTTP/1.1\nHost: a\nContent-Length: 2\n\nhi', { responses: 1 }),
  raw('terminated', 'a websocket is not allowed', ws('tunnel')),
  h2('terminated', 'CONNECT, a request inside', [
    { headers: plain(''), end: false },
    wait(20),
    { data: crlf(inner) },
    wait(30),
    { reset: 8 },
  ]),
  h2('terminated', 'CONNECT, the upstream ends', [
    { headers: plain(''), end: false },
    wait(20),
    { data: crlf('GET /inner HTTP/1.1\nHost: i\nx-up: close\n\n') },
  ]),
  h2('terminated', 'CONNECT, the client ends', [
    { headers: plain(''), end: false },
    wait(20),
    { data: crlf(inner), end: true },
  ]),
  raw('post', 'CONNECT', connect(''), { pieces: [crlf(inner)] }),
  raw('post', 'POST', `POST /p HTTP/1.1\nHost: a\nContent-Length: ${crlf(inner).length}\n\n${inner}`),
  raw('post', 'GET', 'GET /p HTTP/1.1\nHost: a\n\n', { responses: 1 }),
  h2('post', 'POST', [
    {
      headers: [
        [':method', 'POST'],
        [':scheme', 'http'],
        [':path', '/p'],
        [':authority', 'a'],
      ],
      end: false,
    },
    { data: crlf(inner), end: true },
  ]),
  raw('proxy', 'CONNECT', connect(''), { pieces: [crlf(inner)], ignore: ['upstream'] }),
  raw('closed', 'CONNECT', connect('')),
  raw('closed', 'websocket', ws('')),
  h2('closed', 'CONNECT', [{ headers: plain(''), end: false }]),
  h2('closed', 'websocket', [{ headers: extended(''), end: false }]),

  raw('timed', 'an accepted websocket outlives the request timeouts', ws('tunnel'), {
    pieces: ['one'],
    timeoutMs: 200,
  }),
  raw('timed', 'an accepted websocket that is idle', ws('tunnel'), { pieces: ['one'], timeoutMs: 600 }),
  raw('timed', 'an accepted CONNECT outlives the request timeouts', connect('tunnel'), {
    pieces: ['one'],
    timeoutMs: 200,
  }),
  raw('timed', 'a websocket that is not answered', ws('hang'), { timeoutMs: 500 }),
  raw('timed', 'CONNECT that is not answered', connect('hang'), { timeoutMs: 500 }),
];
