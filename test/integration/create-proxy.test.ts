import { describe, expect, test } from 'vitest';
import { ProxyConfigError } from '../../src/create-proxy.ts';
import { createProxy } from '../../src/index.ts';
import { eventually } from '../support/eventually.ts';
import { HttpClient } from '../support/http-client.ts';
import { cluster, listener, proxyConfig, tcp } from '../support/proxy-config.ts';
import { ScriptedUpstream } from '../support/scripted-upstream.ts';

const openHandles = (): string[] => process.getActiveResourcesInfo().filter((name) => /TCP|Pipe|Timeout/.test(name));

describe('createProxy', () => {
  test('serves a config that is an object, and tells its ports and stats', async () => {
    await using upstream = await ScriptedUpstream.start();
    await using proxy = await createProxy({ config: proxyConfig({ upstream: upstream.port }) });
    expect(proxy.unsupported).toEqual([]);
    const response = await fetch(`http://127.0.0.1:${proxy.port('ingress')}/hello`);
    expect([response.status, await response.text()]).toEqual([200, 'upstream']);
    expect(response.headers.get('server')).toBe('envoy');
    expect(upstream.take()[0]).toMatch(/^GET \/hello HTTP\/1\.1\r\n/);

    expect(proxy.stat('http.ingress.downstream_rq_2xx')).toBe(1);
    expect(proxy.stat('cluster.backend.upstream_rq_200')).toBe(1);
    expect(proxy.stat('cluster.backend.upstream_cx_active')).toBe(1);
    expect(proxy.stat('server.state')).toBe(0);
    expect(proxy.stat('no.such.stat')).toBeUndefined();
    expect(() => proxy.port('egress')).toThrow(/egress/);

    const ready = await fetch(`http://127.0.0.1:${proxy.adminPort}/ready`);
    expect([ready.status, await ready.text()]).toEqual([200, 'LIVE\n']);
  });

  test('serves a config that is YAML, without an admin server', async () => {
    await using upstream = await ScriptedUpstream.start();
    const { static_resources } = proxyConfig({ upstream: upstream.port });
    // JSON is YAML.
    await using proxy = await createProxy({ config: JSON.stringify({ static_resources }) });
    expect(proxy.adminPort).toBeUndefined();
    const response = await fetch(`http://127.0.0.1:${proxy.port('ingress')}/`);
    expect(await response.text()).toBe('upstream');
  });

  test('refuses a config with every problem at once', async () => {
    const config = proxyConfig({
      routes: [{ match: { prefix: '/' }, route: { cluster: 'nowhere' } }],
      clusters: [cluster('backend', 80, { lb_polcy: 'RANDOM', connect_timeout: 'soon' })],
    });
    const error = await createProxy({ config }).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(ProxyConfigError);
    const { problems, message } = error as ProxyConfigError;
    const paths = problems.map(({ path }) => path);
    expect(paths).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/clusters\[0\]\.connect_timeout$/),
        expect.stringMatching(/clusters\[0\]\.lb_polcy$/),
        expect.stringMatching(/routes\[0\]\.route\.cluster$/),
      ]),
    );
    expect(message).toMatch(/lb_policy/);
  });

  test('has a port in use refused, naming the listener, and leaves nothing open', async () => {
    await using upstream = await ScriptedUpstream.start();
    const before = openHandles();
    const config = proxyConfig({
      listeners: [listener('ingress'), listener('taken', { listener: { address: tcp(upstream.port) } })],
      upstream: upstream.port,
    });
    await expect(createProxy({ config })).rejects.toThrow(/taken.*Address already in use/s);
    await eventually('the handles to close', () => openHandles().length <= before.length);
  });

  test('closes every socket and timer at the end of its scope', async () => {
    await using upstream = await ScriptedUpstream.start();
    const before = openHandles().length;
    using client = await (async () => {
      await using proxy = await createProxy({ config: proxyConfig({ upstream: upstream.port }) });
      const busy = HttpClient.connect(proxy.port('ingress'));
      await busy.get('/').response();
      upstream.take();
      busy.get('/', 'x-up: hang');
      await eventually('the request upstream', () => upstream.take().length === 1);
      return busy;
    })();
    await client.untilClosed();
    await eventually('upstream connections to close', () => upstream.open === 0);
    client.socket.destroy();
    await eventually('the handles to close', () => openHandles().length <= before);
  });

  test('can be closed twice, and shuts down letting a request finish', async () => {
    await using upstream = await ScriptedUpstream.start();
    // Closes without waiting for the client to do so.
    const config = proxyConfig({ upstream: upstream.port, hcm: { delayed_close_timeout: '0s' } });
    await using proxy = await createProxy({ config });
    using idle = HttpClient.connect(proxy.port('ingress'));
    await idle.get('/').response();
    using busy = HttpClient.connect(proxy.port('ingress'));
    busy.get('/slow', 'x-up: delay:100');
    await eventually('the request upstream', () => upstream.take().some((text) => text.startsWith('GET /slow')));
    const ended = proxy.shutDown();
    await idle.untilClosed();
    const response = await busy.response();
    expect(response.status).toBe(200);
    expect(response.headers.get('connection')).toBe('close');
    await busy.untilClosed();
    await ended;
    await proxy.close();
    await proxy.close();
  });
});

/** Requests one after the other on kept-alive connections, until told to stop. */
class Traffic {
  requests = 0;
  readonly statuses = new Map<string, number>();
  #stopped = false;
  readonly #done: Promise<unknown>;

  constructor(port: number, connections: number) {
    const loop = async (): Promise<void> => {
      let client = HttpClient.connect(port);
      while (!this.#stopped) {
        if (client.ended || client.closed) client = HttpClient.connect(port);
        let outcome: string;
        try {
          const response = await client.get('/').response();
          outcome =
            response.status === 200
              ? '200'
              : JSON.stringify([this.requests, response.status, response.body, ...response.headers]);
          if (response.headers.get('connection') === 'close') {
            client.socket.destroy();
            client = HttpClient.connect(port);
          }
        } catch (error) {
          outcome = String(error);
          client.socket.destroy();
          client = HttpClient.connect(port);
        }
        this.requests++;
        this.statuses.set(outcome, (this.statuses.get(outcome) ?? 0) + 1);
      }
      client.socket.destroy();
    };
    this.#done = Promise.all(Array.from({ length: connections }, loop));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#done;
  }

  /** Waits for some more answers. */
  async some(count = 20): Promise<void> {
    const target = this.requests + count;
    await eventually('traffic', () => this.requests >= target);
  }
}

describe('update', () => {
  test('changes routes, listeners and clusters under traffic without a failed request', async () => {
    await using one = await ScriptedUpstream.start();
    await using two = await ScriptedUpstream.start();
    await using proxy = await createProxy({ config: proxyConfig({ upstream: one.port }), drainTimeSeconds: 0.3 });
    const port = proxy.port('ingress');
    const traffic = new Traffic(port, 4);
    await traffic.some();

    // A new cluster, and a route to it.
    const twoClusters = [cluster('backend', one.port), cluster('second', two.port)];
    const toSecond = [{ match: { prefix: '/' }, route: { cluster: 'second' } }];
    await proxy.update(proxyConfig({ clusters: twoClusters, routes: toSecond }));
    expect(proxy.port('ingress')).toBe(port);
    await traffic.some();
    two.take();
    await traffic.some();
    expect(two.take().length).toBeGreaterThan(0);

    // One more listener.
    const listeners = [listener('ingress', { routes: toSecond }), listener('other')];
    await proxy.update(proxyConfig({ clusters: twoClusters, listeners }));
    const other = await fetch(`http://127.0.0.1:${proxy.port('other')}/`);
    expect(other.status).toBe(200);
    await other.text();
    const otherPort = proxy.port('other');
    await traffic.some();

    // A cluster that changes in place; the listener goes again.
    const changed = [cluster('backend', one.port), cluster('second', one.port, { connect_timeout: '1s' })];
    await proxy.update(proxyConfig({ clusters: changed, routes: toSecond }));
    expect(() => proxy.port('other')).toThrow(/other/);
    await expect(fetch(`http://127.0.0.1:${otherPort}/`)).rejects.toThrow(/fetch failed/);
    await traffic.some();
    await eventually('the old hosts to be left', () => two.open === 0);

    // The cluster goes.
    await proxy.update(proxyConfig({ upstream: one.port }));
    await traffic.some();
    await eventually('the cluster to go', () => proxy.stat('cluster_manager.active_clusters') === 1);
    await traffic.some();
    await traffic.stop();
    expect([...traffic.statuses.keys()]).toEqual(['200']);
    expect(proxy.stat('cluster.second.upstream_rq_total')).toBeUndefined();
    expect(proxy.stat('listener_manager.total_listeners_active')).toBe(1);
  });

  test('keeps a cluster that is configured again before it has gone', async () => {
    await using upstream = await ScriptedUpstream.start();
    const config = proxyConfig({ upstream: upstream.port });
    const direct = [{ match: { prefix: '/' }, direct_response: { status: 200 } }];
    await using proxy = await createProxy({ config, drainTimeSeconds: 0.05 });
    await proxy.update(proxyConfig({ clusters: [], routes: direct }));
    await proxy.update(config);
    await proxy.update(proxyConfig({ clusters: [], routes: direct }));
    expect(proxy.stat('cluster_manager.active_clusters')).toBe(1);
    await eventually('the cluster to go', () => proxy.stat('cluster_manager.active_clusters') === 0);
  });

  test('keeps a request that was begun on the old routes, and drains its connection', async () => {
    await using upstream = await ScriptedUpstream.start();
    await using proxy = await createProxy({ config: proxyConfig({ upstream: upstream.port }) });
    using client = HttpClient.connect(proxy.port('ingress'));
    client.get('/', 'x-up: delay:60;size:100000');
    await eventually('the request upstream', () => upstream.take().length === 1);
    await proxy.update(proxyConfig({ routes: [{ match: { prefix: '/' }, direct_response: { status: 418 } }] }));
    using fresh = HttpClient.connect(proxy.port('ingress'));
    expect((await fresh.get('/').response()).status).toBe(418);
    const old = await client.response();
    expect([old.status, old.body.length]).toEqual([200, 100_000]);
  });

  test('changes nothing when the config is refused', async () => {
    await using upstream = await ScriptedUpstream.start();
    await using proxy = await createProxy({ config: proxyConfig({ upstream: upstream.port }) });
    const bad = proxyConfig({ routes: [{ match: {}, route: { cluster: 'backend' } }] });
    await expect(proxy.update(bad)).rejects.toThrow(ProxyConfigError);
    await expect(proxy.update('static_resources: [')).rejects.toThrow(ProxyConfigError);
    const response = await fetch(`http://127.0.0.1:${proxy.port('ingress')}/`);
    expect([response.status, await response.text()]).toEqual([200, 'upstream']);
  });
});
