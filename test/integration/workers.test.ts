import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createProxy } from '../../src/index.ts';
import { eventually } from '../support/eventually.ts';
import { HttpClient } from '../support/http-client.ts';
import { circuitBreakers, cluster, listener, proxyConfig, runtime, typescriptFilter } from '../support/proxy-config.ts';
import { ScriptedUpstream } from '../support/scripted-upstream.ts';

const FILTERS = join(import.meta.dirname, 'filters.ts');

describe('two workers', { timeout: 30_000 }, () => {
  let dir: string;
  let log: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'workers-'));
    log = join(dir, 'process.log');
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  /** Connections, each answered once, until every worker has at least `count` of them. */
  async function spread(
    port: number,
    stat: (name: string) => number | string | undefined,
    count = 1,
  ): Promise<HttpClient[]> {
    const clients: HttpClient[] = [];
    const enough = (): boolean =>
      [0, 1].every((worker) => Number(stat(`listener.ingress.worker_${worker}.downstream_cx_active`) ?? 0) >= count);
    while (!enough()) {
      const client = HttpClient.connect(port);
      clients.push(client);
      expect((await client.get('/').response()).status).toBe(200);
    }
    return clients;
  }

  const config = (upstream: number, more: Readonly<Record<string, unknown>> = {}, bootstrap = {}) =>
    proxyConfig({
      listeners: [
        listener('ingress', {
          httpFilters: [typescriptFilter(FILTERS, 'crash')],
          listener: { stat_prefix: 'ingress' },
          hcm: { delayed_close_timeout: '0s' },
        }),
      ],
      clusters: [cluster('backend', upstream, more)],
      bootstrap,
    });

  test('share the port, take updates together and close', async () => {
    await using upstream = await ScriptedUpstream.start();
    await using proxy = await createProxy({ config: config(upstream.port), concurrency: 2 });
    const port = proxy.port('ingress');
    const clients = await spread(port, (name) => proxy.stat(name));
    const requests = (): number => Number(proxy.stat('http.ingress.downstream_rq_total'));
    expect(requests()).toBe(clients.length);
    expect(proxy.stat('server.concurrency')).toBe(2);

    const direct = listener('ingress', {
      routes: [{ match: { prefix: '/' }, direct_response: { status: 418 } }],
      listener: { stat_prefix: 'ingress' },
    });
    await proxy.update(proxyConfig({ listeners: [direct, listener('other')], upstream: upstream.port }));
    expect(proxy.port('ingress')).toBe(port);
    for (let i = 0; i < 12; i++) {
      using client = HttpClient.connect(port);
      expect((await client.get('/').response()).status).toBe(418);
      using other = HttpClient.connect(proxy.port('other'));
      expect((await other.get('/').response()).status).toBe(200);
    }
    for (const client of clients) client.socket.destroy();
    await proxy.close();
    await eventually('upstream connections to close', () => upstream.open === 0);
  });

  test.each(['throw', 'exit'])('one that dies by %s is replaced while the other serves on', async (how) => {
    await using upstream = await ScriptedUpstream.start();
    await using proxy = await createProxy({
      config: config(upstream.port, circuitBreakers({ max_requests: 500 })),
      concurrency: 2,
      logLevel: 'critical',
      logPath: log,
    });
    const port = proxy.port('ingress');
    const stat = (name: string): number => Number(proxy.stat(name) ?? 0);
    const clients = await spread(port, stat, 2);
    const total = stat('http.ingress.downstream_rq_total');
    const started = stat('cluster.backend.upstream_cx_total');

    // Requests in flight on both, then one of the workers goes.
    for (const client of clients.slice(1)) client.get('/', 'x-up: hang');
    await eventually('requests in flight', () => stat('http.ingress.downstream_rq_active') === clients.length - 1);
    clients[0]!.get('/', `x-crash: ${how}`, 'x-up: hang');
    await clients[0]!.untilClosed();
    await eventually(
      'the clients of the dead worker to notice',
      () => clients.filter(({ closed }) => closed).length > 1,
    );
    const alive = clients.filter(({ closed }) => !closed);
    expect(alive.length).toBeGreaterThan(1);

    // The sibling serves on at once, and its requests are still there.
    await eventually('a new request', async () => {
      using fresh = HttpClient.connect(port);
      return await fresh
        .get('/')
        .response()
        .then(
          ({ status }) => status === 200,
          () => false,
        );
    });
    await eventually('the gauges to settle', () => stat('http.ingress.downstream_rq_active') === alive.length);
    expect(stat('cluster.backend.circuit_breakers.default.remaining_rq')).toBe(500 - alive.length);
    expect(readFileSync(log, 'utf8')).toMatch(/worker_[01] died and is replaced/);

    // The replacement serves on the same port; what its predecessor counted still counts.
    const more = await spread(port, stat, 3);
    expect(stat('http.ingress.downstream_rq_total')).toBeGreaterThanOrEqual(total + clients.length + more.length);
    expect(stat('cluster.backend.upstream_cx_total')).toBeGreaterThan(started);
    for (const client of [...clients, ...more]) client.socket.destroy();
    await eventually('every gauge to be 0', () =>
      [
        'http.ingress.downstream_cx_active',
        'http.ingress.downstream_rq_active',
        'cluster.backend.upstream_rq_active',
      ].every((name) => stat(name) === 0),
    );
    expect(stat('cluster.backend.circuit_breakers.default.remaining_rq')).toBe(500);
  });

  test('an update that comes while the only worker is dead reaches its successor', async () => {
    await using upstream = await ScriptedUpstream.start();
    await using proxy = await createProxy({ config: config(upstream.port), concurrency: 1, logLevel: 'off' });
    const port = proxy.port('ingress');
    using client = HttpClient.connect(port);
    await client.get('/', 'x-crash: exit').untilClosed();
    await proxy.update(proxyConfig({ listeners: [listener('ingress'), listener('other')], upstream: upstream.port }));
    const answers = (name: string) =>
      eventually(name, async () => {
        using fresh = HttpClient.connect(proxy.port(name));
        return await fresh
          .get('/')
          .response()
          .then(
            ({ status }) => status === 200,
            () => false,
          );
      });
    await eventually('the listener', () => {
      try {
        return proxy.port('other');
      } catch {
        return undefined;
      }
    });
    await answers('ingress');
    await answers('other');
  });

  test('a worker that hangs does not keep the proxy from closing', async () => {
    await using upstream = await ScriptedUpstream.start();
    await using proxy = await createProxy({
      config: config(upstream.port),
      concurrency: 1,
      drainTimeSeconds: 0.1,
    });
    using client = HttpClient.connect(proxy.port('ingress'));
    expect((await client.get('/').response()).status).toBe(200);
    client.get('/', 'x-crash: spin');
    await eventually('the request', () => proxy.stat('http.ingress.downstream_rq_total') === 2);
    await proxy.shutDown();
    await client.untilClosed();
  });

  test('count against circuit breakers and connection limits together', async () => {
    await using upstream = await ScriptedUpstream.start();
    const limits = { 'envoy.resource_limits.listener.ingress.connection_limit': 20 };
    const breakers = circuitBreakers({ max_requests: 1 });
    await using proxy = await createProxy({
      config: config(upstream.port, breakers, runtime(limits)),
      concurrency: 2,
    });
    const port = proxy.port('ingress');
    const clients = await spread(port, (name) => proxy.stat(name));
    const [holder, ...others] = clients;
    upstream.take();
    holder!.get('/held', 'x-up: delay:300');
    await eventually('the request upstream', () => upstream.take().length === 1);
    const statuses = await Promise.all(others.map(async (client) => (await client.get('/').response()).status));
    expect(statuses).toEqual(others.map(() => 503));
    expect(proxy.stat('cluster.backend.circuit_breakers.default.remaining_rq')).toBe(0);
    expect((await holder!.response()).status).toBe(200);
    expect((await others[0]!.get('/').response()).status).toBe(200);

    while (clients.length < 20) {
      const client = HttpClient.connect(port);
      clients.push(client);
      expect((await client.get('/').response()).status).toBe(200);
    }
    for (let i = 0; i < 6; i++) {
      using client = HttpClient.connect(port);
      await client.untilClosed();
    }
    expect(proxy.stat('listener.ingress.downstream_cx_overflow')).toBe(6);
    for (const client of clients) client.socket.destroy();
  });
});
