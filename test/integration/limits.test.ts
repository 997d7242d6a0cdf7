import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createProxy } from '../../src/index.ts';
import { eventually } from '../support/eventually.ts';
import { HttpClient } from '../support/http-client.ts';
import {
  cluster,
  clusterAt,
  listener,
  proxyConfig,
  runtime,
  tcp,
  typescriptFilter,
  upstreamHttpOptions,
} from '../support/proxy-config.ts';
import { ScriptedUpstream } from '../support/scripted-upstream.ts';

const keep = (text: string): string => `x-up: raw-keep:${Buffer.from(text).toString('base64')}`;

describe('upstream connections', () => {
  test('an unsolicited byte on an idle one closes it, and the next request takes another', async () => {
    await using upstream = await ScriptedUpstream.start();
    await using proxy = await createProxy({ config: proxyConfig({ upstream: upstream.port }) });
    using client = HttpClient.connect(proxy.port('ingress'));
    // The byte comes some time after the response.
    const sockets = await (async () => {
      const server = createServer();
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      return server;
    })();
    const port = (sockets.address() as { port: number }).port;
    await proxy.update(proxyConfig({ upstream: port }));
    const accepted = once(sockets, 'connection');
    client.get('/');
    const [first] = (await accepted) as [Socket];
    first.on('error', () => {});
    await once(first, 'data');
    first.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
    expect((await client.response()).body).toBe('ok');
    const again = once(sockets, 'connection');
    first.write('H');
    await eventually('the connection to go', () => proxy.stat('cluster.backend.upstream_cx_active') === 0);
    expect(proxy.stat('cluster.backend.upstream_cx_protocol_error')).toBe(1);
    expect(proxy.stat('cluster.backend.upstream_cx_destroy_local')).toBe(1);
    client.socket.destroy();
    using next = HttpClient.connect(proxy.port('ingress'));
    next.get('/');
    const [second] = (await again) as [Socket];
    second.on('error', () => {});
    await once(second, 'data');
    second.write('HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\ntwo');
    expect((await next.response()).body).toBe('two');
    sockets.close();
    second.destroy();
  });

  test('bytes behind a response never become the next response', async () => {
    await using upstream = await ScriptedUpstream.start();
    await using proxy = await createProxy({ config: proxyConfig({ upstream: upstream.port }) });
    using client = HttpClient.connect(proxy.port('ingress'));
    const poison = 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison';
    expect((await client.get('/', keep(poison)).response()).body).toBe('1');
    expect((await client.get('/').response()).body).toBe('upstream');
  });

  test('carry as many requests as max_requests_per_connection says', async () => {
    await using upstream = await ScriptedUpstream.start();
    const clusters = [cluster('backend', upstream.port, upstreamHttpOptions({ max_requests_per_connection: 2 }))];
    await using proxy = await createProxy({ config: proxyConfig({ clusters }) });
    using client = HttpClient.connect(proxy.port('ingress'));
    for (let i = 0; i < 5; i++) expect((await client.get('/').response()).status).toBe(200);
    expect(upstream.connections).toBe(3);
    expect(proxy.stat('cluster.backend.upstream_cx_max_requests')).toBe(2);
  });

  test('close after idle_timeout', async () => {
    await using upstream = await ScriptedUpstream.start();
    const clusters = [cluster('backend', upstream.port, upstreamHttpOptions({ idle_timeout: '0.02s' }))];
    await using proxy = await createProxy({ config: proxyConfig({ clusters }) });
    using client = HttpClient.connect(proxy.port('ingress'));
    await client.get('/').response();
    await eventually('the connection to close', () => upstream.open === 0);
    expect(proxy.stat('cluster.backend.upstream_cx_idle_timeout')).toBe(1);
    expect((await client.get('/', 'x-up: delay:50').response()).status).toBe(200);
  });

  test('close at the end of max_connection_duration', async () => {
    await using upstream = await ScriptedUpstream.start();
    const clusters = [cluster('backend', upstream.port, upstreamHttpOptions({ max_connection_duration: '0.02s' }))];
    await using proxy = await createProxy({ config: proxyConfig({ clusters }) });
    using client = HttpClient.connect(proxy.port('ingress'));
    expect((await client.get('/', 'x-up: delay:50').response()).status).toBe(200);
    await eventually('the connection to close', () => upstream.open === 0);
    expect(proxy.stat('cluster.backend.upstream_cx_max_duration_reached')).toBe(1);
  });
});

describe('downstream connections', () => {
  const close = { delayed_close_timeout: '0s' };

  test('carry as many requests as max_requests_per_connection says', async () => {
    await using upstream = await ScriptedUpstream.start();
    const hcm = { ...close, common_http_protocol_options: { max_requests_per_connection: 2 } };
    await using proxy = await createProxy({ config: proxyConfig({ upstream: upstream.port, hcm }) });
    using client = HttpClient.connect(proxy.port('ingress'));
    expect((await client.get('/').response()).headers.get('connection')).toBeUndefined();
    expect((await client.get('/').response()).headers.get('connection')).toBe('close');
    await client.untilClosed();
    expect(proxy.stat('http.ingress.downstream_cx_max_requests_reached')).toBe(1);
  });

  test('close after the idle timeout, not during a request', async () => {
    await using upstream = await ScriptedUpstream.start();
    const hcm = { ...close, drain_timeout: '0.01s', common_http_protocol_options: { idle_timeout: '0.03s' } };
    await using proxy = await createProxy({ config: proxyConfig({ upstream: upstream.port, hcm }) });
    using silent = HttpClient.connect(proxy.port('ingress'));
    using client = HttpClient.connect(proxy.port('ingress'));
    expect((await client.get('/', 'x-up: delay:90').response()).status).toBe(200);
    await silent.untilClosed();
    await client.untilClosed();
    expect(proxy.stat('http.ingress.downstream_cx_idle_timeout')).toBe(2);
    expect(proxy.stat('http.ingress.downstream_cx_active')).toBe(0);
  });

  test('a stalled request is answered at the stream idle timeout, a slow head at its own', async () => {
    await using upstream = await ScriptedUpstream.start();
    const hcm = { ...close, stream_idle_timeout: '0.03s', request_headers_timeout: '0.02s' };
    await using proxy = await createProxy({ config: proxyConfig({ upstream: upstream.port, hcm }) });
    using head = HttpClient.connect(proxy.port('ingress'));
    expect((await head.send('GET / HTTP/1.1\r\nhos').response()).status).toBe(408);
    using body = HttpClient.connect(proxy.port('ingress'));
    const stalled = await body.send('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n1').response();
    expect(stalled.status).toBe(408);
    using answer = HttpClient.connect(proxy.port('ingress'));
    expect((await answer.get('/', 'x-up: hang').response()).status).toBe(504);
    expect(proxy.stat('http.ingress.downstream_rq_header_timeout')).toBe(1);
    expect(proxy.stat('http.ingress.downstream_rq_idle_timeout')).toBe(2);
  });

  test('are limited in number, by listener and for the process', async () => {
    await using upstream = await ScriptedUpstream.start();
    const limits = {
      'envoy.resource_limits.listener.ingress.connection_limit': 2,
      'overload.global_downstream_max_connections': 3,
    };
    const listeners = [listener('ingress'), listener('other', { listener: { stat_prefix: 'other' } })];
    const clusters = [cluster('backend', upstream.port)];
    await using proxy = await createProxy({
      config: proxyConfig({ listeners, clusters, bootstrap: runtime(limits) }),
    });
    const open = (name: string): HttpClient => HttpClient.connect(proxy.port(name));
    using first = open('ingress');
    using second = open('ingress');
    for (const client of [first, second]) expect((await client.get('/').response()).status).toBe(200);
    using third = open('ingress');
    await third.untilClosed();
    using fourth = open('other');
    expect((await fourth.get('/').response()).status).toBe(200);
    using fifth = open('other');
    await fifth.untilClosed();
    expect(proxy.stat('listener.other.downstream_global_cx_overflow')).toBe(1);

    first.socket.destroy();
    await eventually('the connection to be counted out', () => proxy.stat('http.ingress.downstream_cx_active') === 1);
    using sixth = open('other');
    expect((await sixth.get('/').response()).status).toBe(200);
  });
});

describe('addresses', () => {
  test('Unix sockets on both sides', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'unix-'));
    try {
      const backend = createServer((socket) => {
        socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nunix'));
        socket.on('error', () => {});
      });
      backend.listen(join(dir, 'upstream'));
      await once(backend, 'listening');
      const config = proxyConfig({
        listener: { address: { pipe: { path: join(dir, 'downstream') } } },
        clusters: [clusterAt('backend', { pipe: { path: join(dir, 'upstream') } })],
      });
      await using proxy = await createProxy({ config });
      using client = HttpClient.connect(join(dir, 'downstream'));
      for (let i = 0; i < 2; i++) expect((await client.get('/').response()).body).toBe('unix');
      expect(proxy.stat('cluster.backend.upstream_cx_total')).toBe(1);
      expect(() => proxy.port('ingress')).toThrow(/port/);
      client.socket.destroy();
      await proxy.close();
      backend.close();
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  test.each(['STRICT_DNS', 'LOGICAL_DNS'])('a %s cluster finds localhost', async (type) => {
    await using upstream = await ScriptedUpstream.start();
    const clusters = [clusterAt('backend', tcp(upstream.port, 'localhost'), { type, dns_lookup_family: 'V4_ONLY' })];
    await using proxy = await createProxy({ config: proxyConfig({ clusters }) });
    using client = HttpClient.connect(proxy.port('ingress'));
    expect((await client.get('/').response()).body).toBe('upstream');
    expect(proxy.stat('cluster.backend.membership_total')).toBe(1);
  });
});

describe('filters from a file', () => {
  const file = join(import.meta.dirname, 'filters.ts');

  test('serve, and may wait at every stage', async () => {
    await using upstream = await ScriptedUpstream.start();
    const httpFilters = [typescriptFilter(file, 'wait'), typescriptFilter(file, 'faulty')];
    await using proxy = await createProxy({ config: proxyConfig({ upstream: upstream.port, httpFilters }) });
    using client = HttpClient.connect(proxy.port('ingress'));
    const body = 'y'.repeat(100_000);
    const waits = 'x-wait: request:2;request-data:2;response:2;response-data:2';
    client.send(`POST / HTTP/1.1\r\nhost: a\r\n${waits}\r\nx-up: size:100000\r\ncontent-length: 100000\r\n\r\n${body}`);
    const response = await client.response();
    expect([response.status, response.body.length]).toEqual([200, 100_000]);
    expect(upstream.take()[0]!.endsWith(body)).toBe(true);
  });

  test.each([
    ['request', 500],
    ['request-data', 500],
    ['async', 500],
    ['response', 500],
    ['destroy', 200],
  ])('one that fails in %s costs its stream only', async (where, status) => {
    await using upstream = await ScriptedUpstream.start();
    const httpFilters = [typescriptFilter(file, 'faulty')];
    const config = proxyConfig({ upstream: upstream.port, httpFilters, hcm: { delayed_close_timeout: '0s' } });
    await using proxy = await createProxy({ config, logLevel: 'off' });
    using client = HttpClient.connect(proxy.port('ingress'));
    client.send(`POST / HTTP/1.1\r\nhost: a\r\nx-throw: ${where}\r\ncontent-length: 1\r\n\r\n1`);
    expect((await client.response()).status).toBe(status);
    using next = HttpClient.connect(proxy.port('ingress'));
    expect((await next.get('/').response()).status).toBe(200);
    await eventually('the stream to end', () => proxy.stat('http.ingress.downstream_rq_active') === 0);
  });

  test('one that refuses late leaves the connection usable if the request was all there', async () => {
    await using upstream = await ScriptedUpstream.start();
    const httpFilters = [typescriptFilter(file, 'refuse')];
    await using proxy = await createProxy({ config: proxyConfig({ upstream: upstream.port, httpFilters }) });
    using client = HttpClient.connect(proxy.port('ingress'));
    for (let i = 0; i < 2; i++) {
      client.send('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n12345');
      const response = await client.response();
      expect([response.status, response.headers.get('connection')]).toEqual([403, undefined]);
    }
  });

  test('one that fails in the middle of a response ends the connection', async () => {
    await using upstream = await ScriptedUpstream.start();
    const httpFilters = [typescriptFilter(file, 'faulty')];
    const config = proxyConfig({ upstream: upstream.port, httpFilters, hcm: { delayed_close_timeout: '0s' } });
    await using proxy = await createProxy({ config, logLevel: 'off' });
    using client = HttpClient.connect(proxy.port('ingress'));
    await client.get('/', 'x-throw: response-data').untilClosed();
    await eventually('the stream to end', () => proxy.stat('http.ingress.downstream_rq_active') === 0);
  });

  test('one that cannot be made for a stream answers 500', async () => {
    await using upstream = await ScriptedUpstream.start();
    const httpFilters = [typescriptFilter(file, 'faulty', { create: true })];
    const config = proxyConfig({ upstream: upstream.port, httpFilters });
    await using proxy = await createProxy({ config, logLevel: 'off' });
    using client = HttpClient.connect(proxy.port('ingress'));
    for (let i = 0; i < 2; i++) expect((await client.get('/').response()).status).toBe(500);
    expect(proxy.stat('http.ingress.downstream_rq_active')).toBe(0);
    expect(proxy.stat('cluster.backend.upstream_rq_total')).toBe(0);
  });
});
