import { execFile } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { circuitBreakers, cluster, proxyConfig } from '../support/proxy-config.ts';
import { OUTRIGGER, ProxyProcess } from '../support/proxy-process.ts';
import { HttpClient } from '../support/http-client.ts';
import { ScriptedUpstream } from '../support/scripted-upstream.ts';
import { findTool } from '../support/tools.ts';

const promtool = findTool('promtool');

/** 0: nothing to say; 3: lint only (names that end in _total and the like), which Envoy's own exposition gets as well. */
function check(exposition: string): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    const child = execFile(promtool!, ['check', 'metrics'], (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), output: stdout + stderr }),
    );
    child.stdin!.end(exposition);
  });
}

/** Series by name and labels; throws on a duplicate. */
function series(exposition: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const line of exposition.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const [, name, value] = /^(\S+?(?:\{.*\})?) (\S+)$/.exec(line) ?? [];
    if (name === undefined) throw new Error(`not a sample: ${line}`);
    if (found.has(name)) throw new Error(`twice: ${name}`);
    found.set(name, Number(value));
  }
  return found;
}

describe.skipIf(promtool === undefined)('/stats/prometheus', () => {
  test('is accepted by promtool while traffic flows, on two workers, and never goes back', async () => {
    await using upstream = await ScriptedUpstream.start();
    const clusters = [cluster('backend', upstream.port, circuitBreakers({})), cluster('other', 1)];
    const virtualHost = {
      virtual_clusters: [{ name: 'hello', headers: [{ name: ':path', string_match: { prefix: '/h' } }] }],
    };
    const config = proxyConfig({ clusters, virtualHost });
    await using proxy = await ProxyProcess.start('outrigger', OUTRIGGER, JSON.stringify(config), [
      '--concurrency',
      '2',
    ]);
    const port = proxy.ports.get('ingress')!;
    const run = { over: false };
    const traffic = Promise.all(
      Array.from({ length: 4 }, async (_, i) => {
        using client = HttpClient.connect(port);
        while (!run.over) {
          const response = await client.get('/hello', `x-up: status:${[200, 404, 503, 200][i]};size:2000`).response();
          expect(response.status).toBe([200, 404, 503, 200][i]);
        }
      }),
    );
    let last = new Map<string, number>();
    for (let scrape = 0; scrape < 5; scrape++) {
      const exposition = await proxy.admin('/stats/prometheus');
      const now = series(exposition);
      const types = new Map([...exposition.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name, type]));
      for (const [name, value] of last) {
        const type = types.get(name.replace(/\{.*/, ''));
        if (type === 'counter') expect([name, now.get(name)! >= value]).toEqual([name, true]);
      }
      last = now;
      const { code, output } = await check(exposition);
      expect([0, 3], output).toContain(code);
    }
    run.over = true;
    await traffic;
    const labels = 'envoy_response_code="503",envoy_cluster_name="backend"';
    const counted = last.get(`envoy_cluster_upstream_rq{${labels}}`);
    expect(counted).toBeGreaterThan(0);
    const buckets = [...last].filter(([name]) => /^envoy_cluster_upstream_rq_time_bucket\{.*"backend".*\}/.test(name));
    expect(buckets.length).toBeGreaterThan(5);
  });

  test('of an idle proxy as well', async () => {
    await using proxy = await ProxyProcess.start('outrigger', OUTRIGGER, JSON.stringify(proxyConfig({ upstream: 1 })));
    for (const path of ['/stats/prometheus', '/stats/prometheus?usedonly', '/stats?format=prometheus']) {
      const { code, output } = await check(await proxy.admin(path));
      expect([0, 3], output).toContain(code);
    }
  });
});
