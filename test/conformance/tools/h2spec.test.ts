import { createServer } from 'node:http';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listener, proxyConfig } from '../../support/proxy-config.ts';
import type { ProxyProcess } from '../../support/proxy-process.ts';
import { runTool } from '../../support/run-tool.ts';
import { startSubject, subjectName } from '../../support/subject.ts';
import { downstreamTls } from '../../support/tls-config.ts';
import { findTool } from '../../support/tools.ts';

const h2spec = findTool('h2spec');

/** What h2spec counts in its last line, and the descriptions of what failed. */
interface Score {
  readonly total: number;
  readonly passed: number;
  readonly skipped: number;
  readonly failures: readonly string[];
}

function score(output: string): Score {
  const [, total, passed, skipped] = /(\d+) tests, (\d+) passed, (\d+) skipped, \d+ failed/.exec(output) ?? [];
  if (total === undefined) throw new Error(`h2spec said: ${output.slice(-2000)}`);
  const report = output.slice(output.indexOf('Failures:'));
  const failures = [...report.matchAll(/^.*\u00d7.*$/gmu)].map(([line]) => line.trim());
  return { total: Number(total), passed: Number(passed), skipped: Number(skipped), failures };
}

describe.skipIf(h2spec === undefined)('h2spec', () => {
  const upstream = createServer((request, response) => {
    request.resume();
    response.end('hello\n');
  });
  let proxy: ProxyProcess;

  beforeAll(async () => {
    await once(upstream.listen(0, '127.0.0.1'), 'listening');
    const { port } = upstream.address() as { port: number };
    const hcm = { codec_type: 'HTTP2' };
    proxy = await startSubject(
      proxyConfig({
        upstream: port,
        listeners: [
          listener('h2c', { hcm }),
          listener('h2', { hcm, filterChain: { transport_socket: downstreamTls({ alpn: ['h2'] }) } }),
        ],
      }),
    );
  });

  afterAll(async () => {
    await proxy[Symbol.asyncDispose]();
    upstream.close();
  });

  for (const [name, flags] of [
    ['h2c', []],
    ['h2', ['-t', '-k']],
  ] as const)
    test(`all 145 tests pass over ${name}`, async () => {
      const port = String(proxy.ports.get(name));
      const args = ['-h', '127.0.0.1', '-p', port, '-P', '/', '-o', '2', ...flags];
      const { output } = await runTool(h2spec!, args, 180_000);
      const result = score(Buffer.from(output, 'latin1').toString());
      console.log(`h2spec over ${name} against ${subjectName}: ${result.passed} of ${result.total}`);
      expect(result.failures).toEqual([]);
      expect(result).toMatchObject({ total: 145, passed: 145, skipped: 0 });
    }, 200_000);
});
