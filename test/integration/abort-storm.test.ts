import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Proxy } from '../../src/create-proxy.ts';
import { createProxy } from '../../src/index.ts';
import { SeededRandom } from '../../src/lib/random.ts';
import { Blackhole } from '../support/blackhole.ts';
import { eventually } from '../support/eventually.ts';
import { HttpClient } from '../support/http-client.ts';
import {
  circuitBreakers,
  cluster,
  proxyConfig,
  typescriptFilter,
  upstreamHttpOptions,
} from '../support/proxy-config.ts';
import { ScriptedUpstream } from '../support/scripted-upstream.ts';

const FILTERS = join(import.meta.dirname, 'filters.ts');
const LIMIT = 1000;

const CLUSTERS = ['backend', 'refused', 'blackhole', 'tight'];
const ACTIVE = [
  'http.ingress.downstream_cx_active',
  'http.ingress.downstream_cx_http1_active',
  'http.ingress.downstream_rq_active',
  ...CLUSTERS.flatMap((name) => [
    `cluster.${name}.upstream_rq_active`,
    `cluster.${name}.upstream_rq_pending_active`,
    `cluster.${name}.upstream_cx_active`,
    `cluster.${name}.upstream_cx_tx_bytes_buffered`,
    `cluster.${name}.upstream_cx_rx_bytes_buffered`,
  ]),
];
const BREAKERS = ['remaining_cx', 'remaining_pending', 'remaining_rq', 'remaining_retries'];

/** Where a request goes, and with what it is answered. */
const ROUTES = [
  { match: { prefix: '/refused' }, route: { cluster: 'refused', retry_policy: retries('connect-failure') } },
  { match: { prefix: '/blackhole' }, route: { cluster: 'blackhole', retry_policy: retries('connect-failure') } },
  { match: { prefix: '/tight' }, route: { cluster: 'tight', retry_policy: retries('5xx') } },
  { match: { prefix: '/retry' }, route: { cluster: 'backend', retry_policy: retries('5xx,reset') } },
  {
    match: { prefix: '/try' },
    route: { cluster: 'backend', retry_policy: { ...retries('5xx'), per_try_timeout: '0.004s' } },
  },
  {
    match: { prefix: '/hedge' },
    route: {
      cluster: 'backend',
      retry_policy: { ...retries('5xx'), per_try_timeout: '0.004s' },
      hedge_policy: { hedge_on_per_try_timeout: true },
    },
  },
  { match: { prefix: '/timeout' }, route: { cluster: 'backend', timeout: '0.005s' } },
  {
    match: { prefix: '/mirror' },
    // A mirrored request outlives the client; the timeout ends it.
    route: {
      cluster: 'backend',
      timeout: '0.3s',
      request_mirror_policies: [{ cluster: 'tight' }, { cluster: 'refused' }],
    },
  },
  {
    match: { prefix: '/redirect' },
    route: {
      cluster: 'backend',
      internal_redirect_policy: { max_internal_redirects: 3, redirect_response_codes: [302] },
    },
  },
  { match: { prefix: '/direct' }, direct_response: { status: 200, body: { inline_string: 'direct' } } },
  { match: { prefix: '/' }, route: { cluster: 'backend', timeout: '0.3s' } },
];
const PATHS = [
  '/plain',
  '/plain',
  '/retry',
  '/try',
  '/hedge',
  '/timeout',
  '/mirror',
  '/redirect',
  '/tight',
  '/refused',
];

function retries(on: string): object {
  return {
    retry_on: on,
    num_retries: 2,
    retry_back_off: { base_interval: '0.002s', max_interval: '0.005s' },
  };
}

const SCRIPTS = [
  '',
  '',
  'size:300000',
  'size:5000;chunked',
  'trailers',
  'until-close;size:20000',
  'close',
  'reset',
  'reset-after:9',
  'reset-after:60',
  'reset-after:20000;size:100000',
  'status:503',
  'sequence:503,200',
  'hang',
  'delay:8',
  'delay:8;reset',
  'early;size:100',
  'early;reset-after:30',
  'early;size:200000;close',
  'informational:103',
  'informational:100;delay:3;reset',
  'status:302;header:location=http://test/retry',
  `raw:${Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n').toString('base64')}`,
  `raw-keep:${Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n12').toString('base64')}`,
];
const WAITS = ['', '', '', 'request:3', 'request-data:2', 'response:3', 'response-data:2', 'request:2;response:2'];

/** One client's doings, drawn from a seeded random. */
class Exchange {
  readonly request: string;
  readonly description: string;
  readonly #random: SeededRandom;

  constructor(seed: number, paths: readonly string[]) {
    const random = (this.#random = new SeededRandom(seed));
    const pick = <T>(list: readonly T[]): T => list[random.below(list.length)]!;
    const count = pick([1, 1, 1, 3]);
    let text = '';
    this.description = `seed ${seed}`;
    for (let i = 0; i < count; i++) {
      const path = pick(paths);
      const script = pick(SCRIPTS);
      const wait = pick(WAITS);
      const shape = random.below(5);
      this.description += `; ${path} [${script}] [${wait}] shape ${shape}`;
      const head = `${path} HTTP/1.1\r\nhost: test\r\nx-up: ${script}\r\nx-wait: ${wait}\r\nx-key: ${seed}-${i}\r\n`;
      const body = 'b'.repeat(pick([10, 3000, 150_000]));
      if (shape === 0) text += `POST ${head}content-length: ${body.length}\r\n\r\n${body}`;
      else if (shape === 1)
        text += `POST ${head}transfer-encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\nx-t: 1\r\n\r\n`;
      else if (shape === 2) text += `PUT ${head}expect: 100-continue\r\ncontent-length: 10\r\n\r\n0123456789`;
      else text += `GET ${head}\r\n`;
    }
    if (random.below(12) === 0) text += 'GET / HTTP/1.1\r\nbad header\r\n\r\n';
    this.request = text;
  }

  /** Sends some or all of it, perhaps waits for some of the answer, and ends the connection in one of several ways. */
  async run(port: number): Promise<void> {
    const random = this.#random;
    const client = HttpClient.connect(port);
    const patient = random.below(2) === 0;
    const cut = !patient && random.below(3) === 0 ? random.below(this.request.length + 1) : this.request.length;
    const bytes = this.request.slice(0, cut);
    const split = random.below(bytes.length + 1);
    client.send(bytes.slice(0, split));
    await pause(random.below(3));
    client.send(bytes.slice(split));
    const wanted = patient || random.below(3) === 0 ? Infinity : random.below(400);
    const until = performance.now() + (patient ? 80 : random.below(40));
    while (!client.ended && !client.closed && client.bytesReceived < wanted && performance.now() < until)
      await pause(1);
    const how = random.below(3);
    if (how === 0) client.reset();
    else if (how === 1) client.socket.destroy();
    else client.socket.end();
    if (how === 2) {
      await eventually(`the proxy to close (${this.description})`, () => client.closed || client.ended);
      client.socket.destroy();
    }
  }
}

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => (ms === 0 ? setImmediate(resolve) : setTimeout(resolve, ms)));

describe('abort storm', () => {
  const dir = mkdtempSync(join(tmpdir(), 'storm-'));
  const log = join(dir, 'process.log');
  let upstream: ScriptedUpstream;
  let blackhole: Blackhole;
  let proxy: Proxy;

  beforeAll(async () => {
    upstream = await ScriptedUpstream.start();
    blackhole = await Blackhole.open();
    const limits = { max_connections: LIMIT, max_pending_requests: LIMIT, max_requests: LIMIT, max_retries: LIMIT };
    const idle = upstreamHttpOptions({ idle_timeout: '0.03s' });
    const breakers = circuitBreakers(limits);
    proxy = await createProxy({
      logLevel: 'error',
      logPath: log,
      config: proxyConfig({
        routes: ROUTES,
        httpFilters: [typescriptFilter(FILTERS, 'wait')],
        hcm: { stream_idle_timeout: '1s', delayed_close_timeout: '0.02s' },
        clusters: [
          cluster('backend', upstream.port, { ...idle, ...breakers }),
          cluster('refused', 1, breakers),
          cluster('blackhole', blackhole.port, { connect_timeout: '0.015s', ...breakers }),
          cluster('tight', upstream.port, {
            ...idle,
            ...circuitBreakers({ max_connections: 1, max_pending_requests: 2, max_requests: 2, max_retries: 1 }),
          }),
        ],
      }),
    });
  });

  afterAll(async () => {
    await proxy.close();
    await blackhole[Symbol.asyncDispose]();
    await upstream[Symbol.asyncDispose]();
    rmSync(dir, { recursive: true });
  });

  /** Runs exchanges, so many at a time, and checks that nothing of them is left. */
  async function storm(firstSeed: number, count: number, paths: readonly string[]): Promise<void> {
    const port = proxy.port('ingress');
    let next = firstSeed;
    const lane = async (): Promise<void> => {
      while (next < firstSeed + count) await new Exchange(next++, paths).run(port);
    };
    await Promise.all(Array.from({ length: 16 }, lane));
    const left = (): string[] =>
      ACTIVE.filter((name) => proxy.stat(name) !== 0).map((name) => `${name}: ${proxy.stat(name)}`);
    await eventually('every gauge to be 0 again', () => left().length === 0).catch(() => {});
    expect(left()).toEqual([]);
    await eventually('upstream connections to close', () => upstream.open === 0);
    for (const name of CLUSTERS) {
      const remaining = BREAKERS.map((each) => proxy.stat(`cluster.${name}.circuit_breakers.default.${each}`));
      expect([name, ...remaining]).toEqual(name === 'tight' ? [name, 1, 2, 2, 1] : [name, LIMIT, LIMIT, LIMIT, LIMIT]);
    }
    const hosts = await (await fetch(`http://127.0.0.1:${proxy.adminPort}/clusters`)).text();
    const busy = hosts.split('\n').filter((line) => /::(cx_active|rq_active)::[^0]/.test(line));
    expect(busy).toEqual([]);
    expect(readFileSync(log, 'utf8')).toBe('');

    using client = HttpClient.connect(port);
    for (const path of ['/plain', '/direct', '/tight', '/plain'])
      expect((await client.get(path).response()).status).toBe(200);
  }

  /** The storm is worth nothing if it misses what it is meant to hit. */
  function expectCounted(...names: string[]): void {
    const missed = names.filter((name) => !Number(proxy.stat(name)));
    expect(missed).toEqual([]);
  }

  test('resets at random moments on both sides leave nothing behind', async () => {
    await storm(1, 400, PATHS);
    expectCounted(
      'http.ingress.downstream_cx_destroy_remote_active_rq',
      'http.ingress.downstream_cx_delayed_close_timeout',
      'http.ingress.downstream_cx_protocol_error',
      'http.ingress.downstream_rq_response_before_rq_complete',
      'http.ingress.downstream_rq_tx_reset',
      'cluster.backend.upstream_cx_destroy_local_with_active_rq',
      'cluster.backend.upstream_cx_destroy_remote_with_active_rq',
      'cluster.backend.upstream_cx_protocol_error',
      'cluster.backend.upstream_internal_redirect_succeeded_total',
      'cluster.backend.upstream_rq_per_try_timeout',
      'cluster.backend.upstream_rq_retry',
      'cluster.backend.upstream_rq_timeout',
      'cluster.refused.upstream_cx_connect_fail',
      'cluster.refused.upstream_rq_retry',
      'cluster.tight.upstream_rq_pending_overflow',
    );
  }, 60_000);

  test('so do those while the pool connects', async () => {
    await storm(10_001, 100, ['/blackhole', '/refused', '/plain']);
    expectCounted('cluster.blackhole.upstream_cx_connect_timeout', 'cluster.blackhole.upstream_rq_cancelled');
  }, 60_000);

  test('closing the proxy in the midst of it ends everything', async () => {
    const port = proxy.port('ingress');
    let next = 20_001;
    const lane = async (): Promise<void> => {
      while (next < 20_101) await new Exchange(next++, PATHS).run(port);
    };
    const lanes = Array.from({ length: 16 }, lane);
    await eventually('some of it', () => next > 20_040);
    await proxy.close();
    await Promise.all(lanes);
    await eventually('upstream connections to close', () => upstream.open === 0);
    expect(ACTIVE.filter((name) => name.startsWith('http.') && proxy.stat(name) !== 0)).toEqual([]);
    expect(readFileSync(log, 'utf8')).toBe('');
  }, 60_000);
});
