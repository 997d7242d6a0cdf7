import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Bookinfo } from '../../examples/bookinfo/bookinfo.ts';
import { call, type Answer } from '../../examples/bookinfo/services/http.ts';
import { allPorts } from '../../examples/bookinfo/workloads.ts';
import { eventually } from '../support/eventually.ts';
import { OUTRIGGER } from '../support/proxy-process.ts';
import { subjectName } from '../support/subject.ts';
import { findTool } from '../support/tools.ts';

/**
 * Bookinfo, driven through its gateway: every rule does what it says, within a second, and no request fails because the
 * rules change. With OUTRIGGER_SUBJECT=envoy a real Envoy is every proxy.
 */
const binary = subjectName === 'envoy' ? findTool('envoy') : OUTRIGGER;
const ISTIOD = join(import.meta.dirname, '../tools/istiod.sh');
/** How soon a copied file has to show; istiod gathers changes for a while before it sends them. */
const EFFECT_MS = { own: 1000, istiod: 2000 };

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connectTcp(port, '127.0.0.1');
    socket.on('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.on('error', () => resolve(true));
  });

async function freeOffset(): Promise<number> {
  for (;;) {
    const offset = 500 + Math.floor(Math.random() * 10_000);
    if ((await Promise.all(allPorts().map((port) => isFree(port + offset)))).every(Boolean)) return offset;
  }
}

interface Page {
  readonly status: number;
  /** 'none', 'black' or 'red' stars, or 'error'. */
  readonly stars: string;
  readonly html: string;
}

const CONTROL_PLANES = [
  { name: 'our xDS server', istiod: false, canRun: binary !== undefined },
  { name: 'istiod', istiod: true, canRun: binary !== undefined && findTool('istiod') !== undefined },
];

describe.each(CONTROL_PLANES)('Bookinfo under $name', { timeout: 120_000 }, ({ istiod, canRun }) => {
  const own = canRun && !istiod;
  const live = mkdtempSync(join(tmpdir(), 'bookinfo-live-'));
  const log: string[] = [];
  let bookinfo: Bookinfo;

  beforeAll(async () => {
    if (!canRun) return;
    const portOffset = istiod ? 0 : await freeOffset();
    const options = { live, portOffset, proxy: binary!, log: (line: string) => void log.push(line) };
    bookinfo = await Bookinfo.start({ ...options, istiod: istiod ? ISTIOD : undefined }).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${log.join('\n')}`);
    });
  });
  afterAll(async () => {
    await bookinfo?.[Symbol.asyncDispose]();
    rmSync(live, { recursive: true, force: true });
  });

  const page = async (headers: Record<string, string> = {}): Promise<Page> => {
    const response = await fetch(`${bookinfo.url}/productpage`, { headers });
    const html = await response.text();
    const stars = /class="stars (\w+)"/.exec(html)?.[1] ?? (html.includes('unavailable') ? 'error' : 'none');
    return { status: response.status, stars, html };
  };
  const login = async (username: string): Promise<Record<string, string>> => {
    const body = new URLSearchParams({ username, passwd: 'any' });
    const response = await fetch(`${bookinfo.url}/login`, { method: 'POST', body, redirect: 'manual' });
    return { cookie: response.headers.get('set-cookie')!.split(';')[0]! };
  };
  /** Copies a rule into the mesh and waits for the effect: the first request that shows it has to begin in time. */
  const apply = async (rule: string, effect: () => Promise<boolean>): Promise<void> => {
    const copied = performance.now();
    await bookinfo.apply(rule);
    const after = await eventually(
      `the effect of ${rule}`,
      async () => {
        const began = performance.now();
        return (await effect()) && began - copied;
      },
      20_000,
    );
    expect(after).toBeLessThan(istiod ? EFFECT_MS.istiod : EFFECT_MS.own);
  };
  const starsOf = async (count: number, headers?: Record<string, string>): Promise<Set<string>> => {
    const seen = new Set<string>();
    for (let i = 0; i < count; i++) seen.add((await page(headers)).stars);
    return seen;
  };
  const showsOnly = (stars: string, headers?: Record<string, string>) => async (): Promise<boolean> => {
    const seen = await starsOf(8, headers);
    return seen.size === 1 && seen.has(stars);
  };

  test.skipIf(!canRun)('at first, all versions of reviews take turns', async () => {
    expect(await starsOf(60)).toEqual(new Set(['none', 'black', 'red']));
    expect((await page()).html).toContain('paperback');
  });

  test.skipIf(!canRun)('rules for reviews take effect within a second, and not one request fails', async () => {
    const jason = await login('jason');
    const failed: string[] = [];
    let count = 0;
    const ending = new AbortController();
    const load = Array.from({ length: 2 }, async () => {
      while (!ending.signal.aborted) {
        const { status, stars, html } = await page().catch((error: unknown) => ({
          status: 0,
          stars: '',
          html: String(error),
        }));
        count++;
        if (status !== 200 || stars === 'error') failed.push(`${status} ${html}`);
      }
    });
    try {
      await apply('reviews-v1', showsOnly('none'));
      await apply('reviews-v3', showsOnly('red'));
      await apply('reviews-v1', showsOnly('none'));
      await apply('reviews-jason-v2', showsOnly('black', jason));
      expect(await showsOnly('none')()).toBe(true);
      await apply('reviews-all', async () => (await starsOf(8)).size > 1);
      await apply('reviews-v3', showsOnly('red'));
    } finally {
      ending.abort();
      await Promise.all(load);
    }
    expect(failed).toEqual([]);
    expect(count).toBeGreaterThan(100);
  });

  test.skipIf(!canRun)('80/20 is 80/20', async () => {
    await bookinfo.apply('reviews-80-20');
    await eventually('both versions', async () => (await starsOf(8)).has('none'));
    const counts: Record<string, number> = { none: 0, red: 0 };
    await Promise.all(
      Array.from({ length: 5 }, async () => {
        for (let i = 0; i < 100; i++) {
          const { stars } = await page();
          counts[stars] = (counts[stars] ?? 0) + 1;
        }
      }),
    );
    expect(Object.keys(counts)).toEqual(['none', 'red']);
    // Four standard deviations.
    expect(counts['red']).toBeGreaterThan(64);
    expect(counts['red']).toBeLessThan(136);
  });

  test.skipIf(!canRun)('ratings that fail', async () => {
    await apply('reviews-v3', showsOnly('red'));
    await apply('ratings-abort', showsOnly('error'));
    const { status, html } = await page();
    expect(status).toBe(200);
    expect(html).toContain('Ratings service is currently unavailable');
    const direct = await fetch(`${bookinfo.url}/api/v1/products/0/ratings`);
    expect([direct.status, await direct.text()]).toEqual([
      500,
      '{"error":"Sorry, product ratings are currently unavailable for this book."}',
    ]);
    await apply('ratings', showsOnly('red'));
  });

  test.skipIf(!canRun)('ratings that take seven seconds: each caller gives up as it is made to', async () => {
    const jason = await login('jason');
    await bookinfo.apply('reviews-jason-v2');
    await bookinfo.apply('ratings-delay-jason');
    const since = async <T>(work: () => Promise<T>): Promise<readonly [T, number]> => {
      const began = performance.now();
      const result = await work();
      return [result, performance.now() - began];
    };
    await eventually('the delay', async () => (await since(() => page(jason)))[1] > 2000, 30_000);
    const ratings = bookinfo.outboundUrl('reviews-v2', 'RATINGS');
    const rating = (headers: Record<string, string>): Promise<Answer> =>
      call(`${ratings}/ratings/0`, { host: 'ratings:9080', ...headers }, 20_000);
    const [[slow, slowMs], [fast, fastMs], [black, blackMs], [none, noneMs]] = await Promise.all([
      since(() => rating({ 'end-user': 'jason' })),
      since(() => rating({})),
      since(() => page(jason)),
      since(() => page()),
    ]);
    expect([slow.status, fast.status, black.status, none.stars]).toEqual([200, 200, 200, 'none']);
    expect(slowMs).toBeGreaterThan(6900);
    expect(slowMs).toBeLessThan(9000);
    expect(Math.max(fastMs, noneMs)).toBeLessThan(2000);
    expect(blackMs).toBeGreaterThan(5900);
    expect(blackMs).toBeLessThan(8000);
    expect(black.html).toContain('Sorry, product reviews are currently unavailable for this book.');
    await bookinfo.apply('reviews-v3');
    await bookinfo.apply('ratings-delay');
    const red = await eventually(
      'the delay',
      async () => {
        const [shown, ms] = await since(() => page());
        return shown.stars === 'error' && ms > 2400 && ms < 5000 && shown;
      },
      20_000,
    );
    expect(red.html).toContain('Ratings service is currently unavailable');
    await bookinfo.apply('ratings');
    await eventually('stars', showsOnly('red'));
  });

  test.skipIf(!own)('a mistake in a file changes nothing but what is printed', async () => {
    const file = join(live, 'reviews.yaml');
    const before = readFileSync(file, 'utf8');
    writeFileSync(file, before.replace('cluster:', 'clutser:'));
    await eventually('the report', () => log.some((line) => line.includes(`${file}:`) && line.includes('clutser')));
    expect(await showsOnly('red')()).toBe(true);
    writeFileSync(file, before.replace('cluster: reviews-v3', 'cluster: nowhere'));
    await eventually('an error', async () => (await page()).html.includes('Sorry, product reviews are'));
    writeFileSync(file, before);
    await eventually('stars', showsOnly('red'));
  });

  test.skipIf(!own)('only whom a service knows gets in', async () => {
    const secret = (path: string): Record<string, { inline_string: string }> => {
      const [resource] = (JSON.parse(readFileSync(join(live, path), 'utf8')) as { resources: Record<string, never>[] })
        .resources;
      return resource!['tls_certificate'] ?? resource!['validation_context']!;
    };
    const ca = secret('secrets.yaml')['trusted_ca']!.inline_string;
    const ratings = bookinfo.inbound('ratings');
    const get = async (options: ConnectionOptions): Promise<string> =>
      new Promise((resolve) => {
        const socket = connectTls({
          ...ratings,
          ca,
          checkServerIdentity: () => undefined,
          ...options,
        });
        let answer = '';
        socket.on('secureConnect', () =>
          socket.write('GET /ratings/0 HTTP/1.1\r\nhost: ratings\r\nconnection: close\r\n\r\n'),
        );
        socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
        socket.on('error', () => resolve('refused'));
        socket.on('close', () => resolve(answer.split('\r\n')[0] || 'refused'));
      });
    const as = (name: string): ConnectionOptions => {
      const { certificate_chain: cert, private_key: key } = secret(`${name}/secrets.yaml`);
      return { cert: cert!.inline_string, key: key!.inline_string };
    };
    expect(await get(as('reviews-v2'))).toBe('HTTP/1.1 200 OK');
    expect(await get(as('details'))).toBe('refused');
    expect(await get({})).toBe('refused');
  });

  test.skipIf(!canRun)('nobody gets in without TLS, or without a certificate', async () => {
    const { host, port } = bookinfo.inbound('ratings');
    expect(await call(`http://${host}:${port}/ratings/0`, {}, 5000)).toEqual({ status: 0, body: '' });
    const outcome = await new Promise((resolve) => {
      const socket = connectTls({ host, port, rejectUnauthorized: false, ALPNProtocols: ['h2', 'istio'] });
      socket.on('error', () => resolve('refused'));
      socket.on('data', () => resolve('answered'));
      socket.on('close', () => resolve('refused'));
    });
    expect(outcome).toBe('refused');
    expect((await page()).stars).toBe('red');
  });

  test.skipIf(!canRun)('a service that ends is missed on the page, and nowhere else', async () => {
    await bookinfo.end('details');
    const { status, stars, html } = await page();
    expect([status, stars]).toEqual([200, 'red']);
    expect(html).toContain('Sorry, product details are currently unavailable for this book.');
  });
});
