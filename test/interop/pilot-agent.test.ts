import { once } from 'node:events';
import { join } from 'node:path';
import zlib from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { hasLoopbackNamespaces, TOOL_SCRIPTS } from '../support/loopback.ts';
import { LoopbackNamespace } from '../support/loopback-namespace.ts';
import { OUTRIGGER } from '../support/proxy-process.ts';
import { subjectName } from '../support/subject.ts';
import { findTool } from '../support/tools.ts';
import type { ChildProcess } from 'node:child_process';

/** The life of a proxy that Istio's pilot-agent starts, with our binary in Envoy's place (or OUTRIGGER_SUBJECT=envoy). */
const binary = subjectName === 'envoy' ? findTool('envoy') : OUTRIGGER;
const canRun = [findTool('istiod'), findTool('pilot-agent'), binary].every((path) => path !== undefined);

const ADMIN = 'http://127.0.0.1:15000';
const AGENT = 'http://127.0.0.1:15020';

describe.skipIf(!canRun || !hasLoopbackNamespaces())(`pilot-agent and ${subjectName}`, () => {
  let inside: LoopbackNamespace;
  let agent: ChildProcess;
  const agentLog = (): string => inside.log('home/agent');

  beforeAll(async () => {
    inside = await LoopbackNamespace.start();
    agent = inside.spawn('script', join(TOOL_SCRIPTS, 'pilot-agent.sh'), ['sidecar'], {
      ENVOY: binary!,
      OUT: join(inside.dir, 'home'),
      ISTIOD_CA: join(inside.dir, 'ca'),
      // Rotated at half of their time.
      SECRET_TTL: '30s',
    });
    await eventually(
      'the agent to be ready',
      async () => (await inside.request(`${AGENT}/healthz/ready`).catch(() => undefined))?.status === 200,
      60_000,
    ).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${agentLog()}`);
    });
  }, 90_000);
  afterAll(() => inside?.[Symbol.asyncDispose]());

  test('is started with the arguments of Envoy, and ready', async () => {
    expect(agentLog()).toContain(
      'Envoy command: [-c etc/istio/proxy/envoy-rev.json --drain-time-s 1 --drain-strategy immediate ' +
        '--local-address-ip-version v4 --file-flush-interval-msec 1000 --disable-hot-restart ' +
        '--allow-unknown-static-fields -l warning --skip-deprecated-logs --concurrency 1]',
    );
    expect(agentLog()).toContain('Envoy proxy is ready');
    // Through the proxy's own listener, back to the agent.
    expect((await inside.request('http://127.0.0.1:15021/healthz/ready')).status).toBe(200);
  });

  test('answers the agent as Envoy does', async () => {
    const ready = await inside.text(
      `${ADMIN}/stats?usedonly&filter=^(server\\.state|listener_manager\\.workers_started)`,
    );
    expect(ready).toBe('listener_manager.workers_started: 1\nserver.state: 0\n');
    const updates = await inside.text(
      `${ADMIN}/stats?usedonly&filter=^(cluster_manager\\.cds|listener_manager\\.lds)\\.(update_success|update_rejected)$`,
    );
    expect(updates).toMatch(
      /^cluster_manager\.cds\.update_success: \d+\nlistener_manager\.lds\.update_success: \d+\n$/,
    );
    expect(await inside.json<object>(`${ADMIN}/server_info`)).toMatchObject({ state: 'LIVE' });
  });

  test('only the stats that Istio includes exist', async () => {
    const names = (await inside.text(`${ADMIN}/stats`)).split('\n').map((line) => line.split(':')[0]!);
    const included =
      /^$|^(reporter=|cluster_manager|listener_manager|server|cluster\.xds-grpc|wasm|component|istio)|rbac\.(allowed|denied)$|shadow_(allowed|denied)$|^vhost\..*\.route\./;
    expect(names.filter((name) => !included.test(name))).toEqual([]);
    expect(names).toContain('cluster.xds-grpc;.upstream_cx_total');
  });

  test('its stats are merged with those of the agent', async () => {
    const merged = await inside.text(`${AGENT}/stats/prometheus`);
    expect(merged).toContain('istio_agent_cert_expiry_seconds');
    expect(merged).toMatch(/^envoy_cluster_upstream_cx_total\{cluster_name="xds-grpc"\} \d+$/m);
    expect(merged).toMatch(/^envoy_cluster_manager_cds_update_success\{\} \d+$/m);
  });

  test.each([
    ['br', zlib.brotliDecompressSync],
    ['zstd', zlib.zstdDecompressSync],
    ['gzip', zlib.gunzipSync],
  ] as const)('the listener for Prometheus compresses: %s', async (encoding, decode) => {
    const { headers, body } = await inside.request('http://127.0.0.1:15090/stats/prometheus', {
      'accept-encoding': encoding,
    });
    expect(headers).toMatchObject({ 'content-encoding': encoding, vary: 'Accept-Encoding' });
    expect(decode(body).toString()).toContain('envoy_server_live{} 1\n');
  });

  test('istiod sees it in sync', async () => {
    const proxies = await inside.json<{ proxy: string }[]>('http://127.0.0.1:15080/debug/syncz');
    const mine = JSON.stringify(proxies.find(({ proxy }) => proxy === 'client-1.default') ?? proxies);
    expect(mine).toContain('client-1.default');
    expect(mine).not.toMatch(/NACK|ACK ERROR|STALE/);
    expect(inside.log('home/istiod')).not.toContain('ACK ERROR');
  });

  test('its certificates are rotated', async () => {
    const serials = async (): Promise<string[]> => {
      const { certificates } = await inside.json<{ certificates: { cert_chain: { serial_number: string }[] }[] }>(
        `${ADMIN}/certs`,
      );
      return certificates.flatMap(({ cert_chain: chain }) => chain.map(({ serial_number: serial }) => serial));
    };
    const before = await serials();
    expect(before.length).toBeGreaterThan(0);
    const after = await eventually(
      'another certificate',
      async () => {
        const now = await serials();
        return now[0] !== before[0] && now;
      },
      40_000,
    );
    expect(after.filter((serial) => before.includes(serial))).toEqual([]);
  });

  // The last one: it ends the proxy.
  test('is drained and ended', async () => {
    agent.kill('SIGTERM');
    await once(agent, 'exit');
    for (const line of [
      'Agent draining Proxy for termination',
      'Graceful termination',
      'Agent has successfully terminated',
    ])
      expect(agentLog()).toContain(line);
    expect((await inside.request(`${ADMIN}/ready`)).status).toBe(599);
    console.log(
      agentLog()
        .split('\n')
        .filter((line) => /Envoy command|workload cert|proxy is ready|drain|erminat|Abort/i.test(line))
        .join('\n'),
    );
  });
});
