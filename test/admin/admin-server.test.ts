import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { formatAdminAccess, type AdminAccessEntry } from '../../src/admin/admin-access-entry.ts';
import { AdminServer } from '../../src/admin/admin-server.ts';
import type { AddressModel } from '../../src/config/common-model.ts';
import { systemClock, type Clock } from '../../src/lib/clock.ts';
import { FakeServer } from './fake-sources.ts';

const LOOPBACK: AddressModel = { kind: 'socket', host: '127.0.0.1', port: 0, ipv4Compat: false };
const open: AdminServer[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()));
});

/** A millisecond passes whenever one looks. */
function hurriedClock(): Clock {
  let now = 0;
  return { ...systemClock, monotonic: () => now++ };
}

async function start(
  address = LOOPBACK,
  fake = new FakeServer(),
  clock = systemClock,
): Promise<{ admin: AdminServer; port: number; fake: FakeServer; log: AdminAccessEntry[] }> {
  const log: AdminAccessEntry[] = [];
  const admin = new AdminServer({
    sources: fake.sources,
    clock,
    scope: fake.thread,
    onAccess: (entry) => log.push(entry),
  });
  open.push(admin);
  const bound = await admin.listen(address);
  return { admin, port: bound.kind === 'socket' ? bound.port : 0, fake, log };
}

/** Sends bytes and gives back all that comes until the end of the connection. */
function exchange(port: number, bytes: string): Promise<string> {
  return new Promise((resolve) => {
    let received = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    socket.on('data', (chunk) => (received += chunk.toString('latin1')));
    socket.on('error', () => {});
    socket.on('close', () => resolve(received));
  });
}

describe('on the wire', () => {
  test("a response has Envoy's headers, in its order", async () => {
    const { port } = await start();
    const text = await exchange(port, 'GET /ready HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
    expect(text).toMatch(
      /^HTTP\/1\.1 200 OK\r\ncontent-type: text\/plain; charset=UTF-8\r\ncache-control: no-cache, max-age=0\r\nx-content-type-options: nosniff\r\ndate: [^\r]* GMT\r\nserver: envoy\r\ntransfer-encoding: chunked\r\n/i,
    );
    expect(text.endsWith('\r\n\r\n5\r\nLIVE\n\r\n0\r\n\r\n')).toBe(true);
  });

  test.each([
    ['BOGUS\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['GET /ready HTTP/9.9\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['GET / HTTP/1.1\r\nhost: a\r\nx: \x00\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n', /^$/],
    ['GET /ready HTTP/1.1\r\nconnection: close, upgrade\r\nupgrade: websocket\r\nhost: a\r\n\r\n', /^HTTP\/1\.1 200 /],
  ])('odd input %j harms nobody', async (bytes, expected) => {
    const { port } = await start();
    expect(await exchange(port, bytes)).toMatch(expected);
    expect((await fetch(`http://127.0.0.1:${port}/ready`)).status).toBe(200);
  });

  test('a body larger than is read is taken and dropped', async () => {
    const { port, fake } = await start();
    const response = await fetch(`http://127.0.0.1:${port}/runtime_modify`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: `a=1&b=${'x'.repeat(200_000)}`,
    });
    expect(await response.text()).toBe('OK\n');
    expect(fake.adminLayer?.get('a')).toBe('1');
  });

  test('every request is logged', async () => {
    const { port, log } = await start();
    await (await fetch(`http://127.0.0.1:${port}/ready?x`, { headers: { 'user-agent': 'ua' } })).text();
    expect(log).toMatchObject([
      { method: 'GET', path: '/ready?x', protocol: 'HTTP/1.1', status: 200, bytesSent: 5, userAgent: 'ua' },
    ]);
    expect(formatAdminAccess({ ...log[0]!, startEpochMs: 0, durationMs: 0.4, authority: 'h:1' })).toBe(
      '[1970-01-01T00:00:00.000Z] "GET /ready?x HTTP/1.1" 200 - 0 5 0 - "127.0.0.1" "ua" "-" "h:1" "-"\n',
    );
  });

  test('counts itself', async () => {
    const { port, fake } = await start();
    await exchange(port, 'GET /nope HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
    await expect.poll(() => fake.stats.value('http.admin.downstream_cx_active')).toBe(0);
    for (const [name, value] of [
      ['http.admin.downstream_rq_4xx', 1],
      ['http.admin.downstream_rq_active', 0],
      ['listener.admin.downstream_cx_total', 1],
      ['listener.admin.main_thread.downstream_cx_active', 0],
      ['listener.admin.http.admin.downstream_rq_completed', 1],
    ] as const)
      expect([name, fake.stats.value(name)]).toEqual([name, value]);
  });

  test('a long page leaves the event loop free and a client that goes away ends it', async () => {
    const { port, fake } = await start(LOOPBACK, new FakeServer(), hurriedClock());
    for (let i = 0; i < 5000; i++) fake.thread.counter(`cluster.c${i}.upstream_rq_total`);
    let turns = 0;
    let running = true;
    const count = (): void => {
      turns++;
      if (running) setImmediate(count);
    };
    setImmediate(count);
    const text = await (await fetch(`http://127.0.0.1:${port}/stats/prometheus`)).text();
    running = false;
    expect(text.split('\n').length).toBeGreaterThan(5000);
    expect(turns).toBeGreaterThan(20);

    const controller = new AbortController();
    const response = await fetch(`http://127.0.0.1:${port}/stats/prometheus`, { signal: controller.signal });
    expect(response.status).toBe(200);
    controller.abort();
    expect((await fetch(`http://127.0.0.1:${port}/ready`)).status).toBe(200);
  });
});

describe('listening', () => {
  test('a port in use is one clear line', async () => {
    const blocker = createServer();
    await new Promise<void>((resolve) => {
      blocker.listen(0, '127.0.0.1', resolve);
    });
    const { port } = blocker.address() as { port: number };
    await expect(start({ ...LOOPBACK, port })).rejects.toThrow(
      `admin: cannot listen on 127.0.0.1:${port}: the address is already in use`,
    );
    blocker.close();
  });

  test('the address file names the real port; a pipe works and its old socket file is no obstacle', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'admin-'));
    try {
      const { admin, port } = await start();
      admin.writeAddressFile(join(folder, 'address'));
      expect(readFileSync(join(folder, 'address'), 'utf8')).toBe(`127.0.0.1:${port}`);
      expect(() => admin.writeAddressFile(join(folder, 'none', 'address'))).toThrow('ENOENT');

      const path = join(folder, 'admin.sock');
      const first = await start({ kind: 'pipe', path, mode: 0 });
      const second = await start({ kind: 'pipe', path, mode: 0 });
      const received = await new Promise<string>((resolve) => {
        const socket = connect(path, () => socket.write('GET /ready HTTP/1.0\r\n\r\n'));
        socket.once('data', (data) => {
          socket.destroy();
          resolve(data.toString());
        });
      });
      expect(received).toMatch(/^HTTP\/1\.1 200 OK/);
      expect(first.admin.address).toEqual(second.admin.address);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('close ends idle connections, twice if need be', async () => {
    const { admin, port } = await start();
    const idle = exchange(port, '');
    await (await fetch(`http://127.0.0.1:${port}/ready`)).text();
    await admin.close();
    expect(await idle).toBe('');
    await expect(fetch(`http://127.0.0.1:${port}/ready`)).rejects.toThrow();
  });
});
