import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { HttpClient } from '../support/http-client.ts';
import { fileAccessLog, listener, proxyConfig, tcp } from '../support/proxy-config.ts';
import { OUTRIGGER, ProxyProcess } from '../support/proxy-process.ts';
import { ScriptedUpstream } from '../support/scripted-upstream.ts';

const start = (config: object, ...args: string[]): Promise<ProxyProcess> =>
  ProxyProcess.start('outrigger', OUTRIGGER, JSON.stringify(config), args);

/** A run that ends by itself. */
async function run(config: string, ...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const dir = mkdtempSync(join(tmpdir(), 'run-'));
  try {
    const file = join(dir, 'envoy.yaml');
    writeFileSync(file, config);
    return await new Promise((resolve) => {
      execFile(OUTRIGGER, ['-c', file, '--concurrency', '1', ...args], (error, stdout, stderr) => {
        const code = error === null ? 0 : Number(error.code);
        resolve({ code, stdout, stderr: stderr.replaceAll(file, 'envoy.yaml') });
      });
    });
  } finally {
    rmSync(dir, { recursive: true });
  }
}

describe.concurrent('a process', { timeout: 60_000 }, () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('%s lets a request in flight finish, then exits 0', async (signal) => {
    await using upstream = await ScriptedUpstream.start();
    const log = [fileAccessLog('@DIR@/access.log')];
    const hcm = { delayed_close_timeout: '0.05s', access_log: log };
    const config = proxyConfig({ upstream: upstream.port, hcm });
    // The log would not be written out by itself before the process ends.
    await using proxy = await start(config, '--drain-time-s', '20', '--file-flush-interval-msec', '3600000');
    const port = proxy.ports.get('ingress')!;
    using idle = HttpClient.connect(port);
    await idle.get('/').response();
    using busy = HttpClient.connect(port);
    upstream.take();
    busy.get('/', 'x-up: delay:300');
    await eventually('the request upstream', () => upstream.take().length === 1);
    const from = performance.now();
    proxy.signal(signal);
    await idle.untilClosed();
    const response = await busy.response();
    expect([response.status, response.headers.get('connection'), response.body]).toEqual([200, 'close', 'upstream']);
    await busy.untilClosed();
    expect(await proxy.exit()).toBe(0);
    expect(performance.now() - from).toBeLessThan(10_000);
    expect(readFileSync(join(proxy.dir, 'access.log'), 'utf8')).toBe('/ 200 -\n/ 200 -\n');
    expect(upstream.open).toBe(0);
  });

  test('the drain time ends what does not finish', async () => {
    await using upstream = await ScriptedUpstream.start();
    await using proxy = await start(proxyConfig({ upstream: upstream.port }), '--drain-time-s', '1');
    using client = HttpClient.connect(proxy.ports.get('ingress')!);
    client.get('/', 'x-up: hang');
    await eventually('the request upstream', () => upstream.take().length === 1);
    proxy.signal('SIGTERM');
    await client.untilClosed();
    expect(await proxy.exit()).toBe(0);
  });

  test('SIGUSR1 reopens an access log that was moved away', async () => {
    await using upstream = await ScriptedUpstream.start();
    const config = proxyConfig({ upstream: upstream.port, hcm: { access_log: [fileAccessLog('@DIR@/access.log')] } });
    await using proxy = await start(config);
    const [file, moved] = [join(proxy.dir, 'access.log'), join(proxy.dir, 'access.log.1')];
    using client = HttpClient.connect(proxy.ports.get('ingress')!);
    await client.get('/one').response();
    await eventually('the first line', () => readFileSync(file, 'utf8') === '/one 200 -\n');
    renameSync(file, moved);
    await client.get('/two').response();
    await eventually('the second line', () => readFileSync(moved, 'utf8').endsWith('/two 200 -\n'));
    proxy.signal('SIGUSR1');
    await eventually('a new file', () => {
      try {
        return readFileSync(file, 'utf8') === '';
      } catch {
        return false;
      }
    });
    await client.get('/three').response();
    await eventually('the third line', () => readFileSync(file, 'utf8') === '/three 200 -\n');
    expect(readFileSync(moved, 'utf8')).toBe('/one 200 -\n/two 200 -\n');
  });

  test('a full disk under the access log is counted and harms nothing', async () => {
    await using upstream = await ScriptedUpstream.start();
    const config = proxyConfig({ upstream: upstream.port, hcm: { access_log: [fileAccessLog('/dev/full')] } });
    await using proxy = await start(config);
    using client = HttpClient.connect(proxy.ports.get('ingress')!);
    for (let i = 0; i < 3; i++) expect((await client.get('/').response()).status).toBe(200);
    await eventually('the failure', async () => ((await proxy.counters()).get('filesystem.write_failed') ?? 0) > 0);
    expect((await client.get('/').response()).status).toBe(200);
    proxy.signal('SIGTERM');
    expect(await proxy.exit()).toBe(0);
  });

  test('admin: failed health checks and drained listeners close connections; /quitquitquit exits 0', async () => {
    await using upstream = await ScriptedUpstream.start();
    const config = proxyConfig({ upstream: upstream.port, hcm: { delayed_close_timeout: '0.05s' } });
    await using proxy = await start(config, '--drain-strategy', 'immediate');
    const port = proxy.ports.get('ingress')!;
    const closes = async (): Promise<boolean> => {
      using client = HttpClient.connect(port);
      return (await client.get('/').response()).headers.get('connection') === 'close';
    };
    expect(await closes()).toBe(false);
    expect(await proxy.admin('/healthcheck/fail')).toMatch(/POST/);
    expect(await proxy.admin('/healthcheck/fail', 'POST')).toBe('OK\n');
    expect(await proxy.admin('/ready')).toBe('DRAINING\n');
    await eventually('connections to be closed', closes);
    expect(await proxy.admin('/healthcheck/ok', 'POST')).toBe('OK\n');
    await eventually('connections to stay', async () => !(await closes()));

    using kept = HttpClient.connect(port);
    await kept.get('/').response();
    expect(await proxy.admin('/drain_listeners', 'POST')).toBe('OK\n');
    await eventually('the port to be closed', async () => {
      using client = HttpClient.connect(port);
      await client.untilClosed();
      return client.bytesReceived === 0;
    });
    expect((await kept.get('/').response()).status).toBe(200);
    expect((await proxy.counters()).get('listener_manager.listener_stopped')).toBe(1);

    expect(await proxy.admin('/quitquitquit', 'POST')).toBe('OK\n');
    expect(await proxy.exit()).toBe(0);
  });

  test('a graceful drain goes on accepting, and asks connections to end', async () => {
    await using upstream = await ScriptedUpstream.start();
    const config = proxyConfig({ upstream: upstream.port, hcm: { delayed_close_timeout: '0.05s' } });
    await using proxy = await start(config, '--drain-strategy', 'immediate', '--drain-time-s', '1');
    const port = proxy.ports.get('ingress')!;
    expect(await proxy.admin('/drain_listeners?graceful', 'POST')).toBe('OK\n');
    using client = HttpClient.connect(port);
    const response = await client.get('/').response();
    expect([response.status, response.headers.get('connection')]).toEqual([200, 'close']);
    await eventually('the port to be closed', async () => {
      using late = HttpClient.connect(port);
      late.get('/');
      return late.response().then(
        () => false,
        () => true,
      );
    });
  });
});

describe.concurrent('a run that cannot serve', { timeout: 60_000 }, () => {
  test('a port in use is named, with the place in the config, and the exit code is 1', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const config = proxyConfig({ listeners: [listener('ingress', { listener: { address: tcp(port) } })], upstream: 1 });
    const { code, stderr } = await run(JSON.stringify(config, null, 2), '-l', 'error');
    server.close();
    expect(stderr).toMatch(
      new RegExp(`envoy\\.yaml:\\d+:\\d+: .*ingress.*127\\.0\\.0\\.1:${port}.*Address already in use`),
    );
    expect(code).toBe(1);
  });

  test('so is one of the admin server', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const config = proxyConfig({ upstream: 1, bootstrap: { admin: { address: tcp(port) } } });
    const { code, stderr } = await run(JSON.stringify(config, null, 2), '-l', 'error');
    server.close();
    expect(stderr).toMatch(new RegExp(`127\\.0\\.0\\.1:${port}`));
    expect(stderr).not.toMatch(/\n\s+at /);
    expect(code).toBe(1);
  });

  const broken = `static_resources:
  listeners:
    - name: ingress
      addres: { socket_address: { address: 127.0.0.1, port_value: 0 } }
      filter_chains:
        - filters:
            - name: hcm
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: ""
                route_config:
                  virtual_hosts:
                    - name: a
                      domains: ["*"]
                      routes:
                        - { match: { prefix: / }, route: { cluster: nowhere } }
                http_filters:
                  - { name: r, typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router } }
  clusters:
    - { name: backend, connect_timeout: soon }
    - { name: backend }
`;

  test.each(['serve', 'validate'])(
    '--mode %s: all problems of a broken config with their places, and exit code 1',
    async (mode) => {
      const { code, stderr } = await run(broken, '--mode', mode);
      expect(code).toBe(1);
      expect(stderr).toMatch(/envoy\.yaml:4:7: .*addres/);
      expect(stderr).toMatch(/envoy\.yaml:10:17: .*stat_prefix/);
      expect(stderr).toMatch(/envoy\.yaml:16:60: .*unknown cluster 'nowhere'/);
      expect(stderr).toMatch(/envoy\.yaml:20:41: .*connect_timeout/);
      expect(stderr).toMatch(/envoy\.yaml:21:9: .*duplicate cluster 'backend'/);
      expect(stderr).not.toMatch(/\n\s+at /);
    },
  );

  test('bad YAML is placed too', async () => {
    const { code, stderr } = await run('static_resources:\n  listeners: [\n');
    expect(code).toBe(1);
    expect(stderr).toMatch(/envoy\.yaml:\d+:\d+: /);
  });
});
