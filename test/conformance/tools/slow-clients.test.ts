import { createServer } from 'node:http';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listener, proxyConfig } from '../../support/proxy-config.ts';
import type { ProxyProcess } from '../../support/proxy-process.ts';
import { runTool } from '../../support/run-tool.ts';
import { startSubject } from '../../support/subject.ts';
import { findTool } from '../../support/tools.ts';

const slowhttptest = findTool('slowhttptest');
const CONNECTIONS = 100;

/** A hundred clients that send or read as slowly as they can: the timeouts end them, and others are served meanwhile. */
describe.skipIf(slowhttptest === undefined)('slow clients', () => {
  const upstream = createServer((request, response) => {
    request.resume();
    request.on('end', () => response.end('hello\n'));
  });
  let proxy: ProxyProcess;
  let url = '';

  beforeAll(async () => {
    await once(upstream.listen(0, '127.0.0.1'), 'listening');
    const { port } = upstream.address() as { port: number };
    const hcm = { request_headers_timeout: '2s', request_timeout: '5s', stream_idle_timeout: '3s' };
    proxy = await startSubject(proxyConfig({ upstream: port, listeners: [listener('ingress', { hcm })] }));
    url = `http://127.0.0.1:${proxy.ports.get('ingress')}/`;
  });

  afterAll(async () => {
    await proxy?.[Symbol.asyncDispose]();
    upstream.close();
  });

  /** Runs the attack for `seconds`, asking for a page all the while. */
  async function attack(flag: string, seconds: number): Promise<{ output: string; served: number; refused: number }> {
    const options = `-c ${CONNECTIONS} -r 50 -i 1 -l ${seconds} -p 3 -x 24 -u ${url}`.split(' ');
    const run = runTool(slowhttptest!, [flag, ...options], (seconds + 30) * 1000);
    const running = { over: false };
    void run.then(() => (running.over = true));
    let served = 0;
    let refused = 0;
    while (!running.over) {
      const status = await fetch(url).then(
        async (response) => (await response.text(), response.status),
        () => 0,
      );
      if (status === 200) served++;
      else refused++;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return { output: (await run).output, served, refused };
  }

  for (const [name, flag, counter] of [
    ['slow headers', '-H', 'http.ingress.downstream_rq_header_timeout'],
    ['slow bodies', '-B', 'http.ingress.downstream_rq_timeout'],
  ] as const)
    test(`${name}: all are cut off, nobody else notices`, async () => {
      const { served, refused } = await attack(flag, 12);
      const counters = await proxy.counters();
      expect(counters.get(counter)).toBe(CONNECTIONS);
      expect(refused).toBe(0);
      expect(served).toBeGreaterThan(10);
    }, 60_000);

  test('slow readers are served to the end, and nobody else notices', async () => {
    const { served, refused } = await attack('-X', 8);
    expect(refused).toBe(0);
    expect(served).toBeGreaterThan(10);
  }, 60_000);
});
