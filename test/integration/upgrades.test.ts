import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createProxy, type Proxy } from '../../src/index.ts';
import { eventually } from '../support/eventually.ts';
import { h2Exchange, type H2Step } from '../support/h2-exchange.ts';
import type { Fields } from '../support/h2-frames.ts';
import { cluster, http2Upstream, listener, proxyConfig } from '../support/proxy-config.ts';
import { rawExchange } from '../support/raw-client.ts';
import { ScriptedH2Upstream } from '../support/scripted-h2-upstream.ts';
import { ScriptedUpstream } from '../support/scripted-upstream.ts';

const UPGRADES = [{ upgrade_type: 'websocket' }, { upgrade_type: 'CONNECT' }];
const allow = { http2_protocol_options: { allow_connect: true }, delayed_close_timeout: '0.01s' };
const to = (name: string, more: object = {}): object[] => [
  { match: { connect_matcher: {} }, route: { cluster: name, ...more } },
  { match: { prefix: '/' }, route: { cluster: name, ...more } },
];
const terminated = { upgrade_configs: [{ upgrade_type: 'CONNECT', connect_config: {} }] };

let proxy: Proxy;
let one: ScriptedUpstream;
let two: ScriptedH2Upstream;

beforeEach(async () => {
  one = await ScriptedUpstream.start();
  two = await ScriptedH2Upstream.start();
  const listeners = [
    listener('to-one', { routes: to('one') as never, hcm: { ...allow, upgrade_configs: UPGRADES } }),
    listener('to-two', { routes: to('two') as never, hcm: { ...allow, upgrade_configs: UPGRADES } }),
    listener('none', { routes: to('one') as never, hcm: allow }),
    listener('ends', { routes: to('one', terminated) as never, hcm: allow }),
  ];
  const clusters = [cluster('one', one.port), cluster('two', two.port, http2Upstream({ allow_connect: true }))];
  proxy = await createProxy({ config: proxyConfig({ listeners, clusters }) });
});
afterEach(async () => {
  await proxy.close();
  await one[Symbol.asyncDispose]();
  await two[Symbol.asyncDispose]();
});

const WEBSOCKET = 'GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nx-up: tunnel\r\n\r\n';
const extended: Fields = [
  [':method', 'CONNECT'],
  [':protocol', 'websocket'],
  [':scheme', 'http'],
  [':path', '/ws'],
  [':authority', 'a'],
  ['x-up', 'tunnel'],
];
const settle = { waitMs: 20 };
const speak: readonly H2Step[] = [{ headers: extended, end: false }, settle, { data: 'ping' }, settle, { reset: 8 }];

describe('a WebSocket', () => {
  test.each(['to-one', 'to-two'])('of HTTP/1.1 %s', async (name) => {
    const { bytes } = await rawExchange(proxy.port(name), WEBSOCKET, { pieces: ['ping'], timeoutMs: 400 });
    expect(bytes.toString()).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\n[^]*\r\n\r\nping$/);
    expect(proxy.stat(`http.${name}.downstream_cx_upgrades_total`)).toBe(1);
    await eventually('the end', () => proxy.stat(`http.${name}.downstream_cx_upgrades_active`) === 0);
  });

  test.each(['to-one', 'to-two'])('of HTTP/2 %s', async (name) => {
    const { lines } = await h2Exchange(proxy.port(name), speak);
    expect(lines[0]).toMatch(/^HEADERS 1 \n:status: 200\n/);
    expect(lines[1]).toBe('DATA 1 ping');
    await eventually('the end', () => proxy.stat(`http.${name}.downstream_cx_upgrades_active`) === 0);
  });

  test('upstream it is what the upstream speaks', async () => {
    await rawExchange(proxy.port('to-two'), WEBSOCKET, { timeoutMs: 250 });
    expect(two.take()[0]).toMatch(/^h2\n:authority: a\n:method: CONNECT\n:path: \/ws\n:protocol: websocket\n/);
    await h2Exchange(proxy.port('to-one'), speak);
    expect(one.take()[0]).toMatch(/^GET \/ws HTTP\/1\.1\r\n[^]*upgrade: websocket\r\nconnection: upgrade\r\n/);
  });

  test('nobody has asked for is refused, and what comes behind it is never looked at', async () => {
    const smuggled = `${WEBSOCKET}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`;
    const { bytes } = await rawExchange(proxy.port('none'), smuggled, { timeoutMs: 300 });
    expect(bytes.toString()).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n[^]*connection: close\r\n/);
    expect(bytes.toString().match(/HTTP\/1\.1/g)).toHaveLength(1);
    expect(one.take()).toEqual([]);
    expect((await h2Exchange(proxy.port('none'), [{ headers: extended, end: false }])).lines).toEqual([
      'GOAWAY 2147483647 NO_ERROR',
      expect.stringMatching(/^HEADERS 1 \n:status: 403\n[^]* END$/),
      'RST_STREAM 1 NO_ERROR',
    ]);
    expect(proxy.stat('http.none.downstream_rq_ws_on_non_ws_route')).toBe(2);
  });

  test('that the upstream leaves resets its stream', async () => {
    const ends = extended.map(([name, value]) => [name, value.replace('tunnel', 'tunnel-end')] as const);
    const steps = [{ headers: ends, end: false }, settle, { data: 'ping' }];
    const { lines } = await h2Exchange(proxy.port('to-one'), steps);
    expect(lines.slice(1)).toEqual(['DATA 1 ping', 'RST_STREAM 1 CONNECT_ERROR']);
  });

  test('uses its upstream connection up', async () => {
    await rawExchange(proxy.port('to-one'), WEBSOCKET, { pieces: ['ping'], timeoutMs: 250 });
    const get = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
    await rawExchange(proxy.port('to-one'), get, { responses: 1 });
    expect(one.connections).toBe(2);
  });
});

describe('CONNECT', () => {
  const INNER = 'GET /inner HTTP/1.1\r\nHost: i\r\n\r\n';

  test('that ends here carries bytes to a TCP connection', async () => {
    const connect = 'CONNECT i:80 HTTP/1.1\r\nHost: i:80\r\n\r\n';
    const { bytes } = await rawExchange(proxy.port('ends'), connect, { pieces: [INNER], timeoutMs: 400 });
    expect(bytes.toString()).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nHTTP\/1\.1 200 Status\r\n[^]*upstream$/);
    expect(one.take()).toEqual([INNER]);
  });

  test('of HTTP/2 may half-close', async () => {
    const fields: Fields = [
      [':method', 'CONNECT'],
      [':authority', 'i:80'],
    ];
    const { lines } = await h2Exchange(proxy.port('ends'), [
      { headers: fields, end: false },
      settle,
      { data: INNER, end: true },
    ]);
    expect(lines.at(-1)).toMatch(/^DATA 1 HTTP\/1\.1 200 Status\r\n[^]*upstream END$/);
  });
});
