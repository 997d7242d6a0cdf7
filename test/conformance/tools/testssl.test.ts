import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listener, proxyConfig } from '../../support/proxy-config.ts';
import type { ProxyProcess } from '../../support/proxy-process.ts';
import { runTool } from '../../support/run-tool.ts';
import { startSubject, subjectName } from '../../support/subject.ts';
import { downstreamTls } from '../../support/tls-config.ts';
import { findTool } from '../../support/tools.ts';

const testssl = findTool('testssl');

interface Finding {
  readonly id: string;
  readonly severity: string;
  readonly finding: string;
}

/** What a certificate from a CA made for the test can't have: trust, revocation, transparency, an owner. */
const OF_THE_CERTIFICATE =
  /^(cert_|cert |DNS_CAArecord|HSTS|HTTP_|security_headers|scan|engine|clientsimulation|rating|grade|overall)/i;

/** testssl.sh's protocols, ciphers and vulnerabilities against a listener with the default TLS parameters. */
describe.skipIf(testssl === undefined)('testssl', () => {
  const dir = mkdtempSync(join(tmpdir(), 'testssl-'));
  const upstream = createServer((_request, response) => response.end('hello\n'));
  let proxy: ProxyProcess;

  beforeAll(async () => {
    await once(upstream.listen(0, '127.0.0.1'), 'listening');
    const { port } = upstream.address() as { port: number };
    const filterChain = { transport_socket: downstreamTls({ alpn: ['h2', 'http/1.1'] }) };
    proxy = await startSubject(proxyConfig({ upstream: port, listeners: [listener('https', { filterChain })] }));
  });

  afterAll(async () => {
    await proxy?.[Symbol.asyncDispose]();
    upstream.close();
    rmSync(dir, { recursive: true, force: true });
  });

  test('finds TLS 1.2 and 1.3 only, forward secrecy, and no vulnerability', async () => {
    const file = join(dir, 'findings.json');
    const checks = ['-p', '-s', '-f', '-P', '-S', '-U'];
    const args = ['--quiet', '--color', '0', '--warnings', 'off', '--fast', '--jsonfile', file, ...checks];
    const { output } = await runTool(testssl!, [...args, `127.0.0.1:${proxy.ports.get('https')}`], 280_000);
    const findings = JSON.parse(readFileSync(file, 'utf8')) as Finding[];
    const of = (id: string): string | undefined => findings.find((finding) => finding.id === id)?.finding;
    const bad = findings.filter(
      ({ id, severity }) =>
        ['LOW', 'MEDIUM', 'HIGH', 'CRITICAL', 'FATAL'].includes(severity) && !OF_THE_CERTIFICATE.test(id),
    );
    console.log(`testssl against ${subjectName}: ${findings.length} findings, bad: ${JSON.stringify(bad)}`);
    expect(of('TLS1_3'), output).toMatch(/^offered/);
    expect(of('TLS1_2')).toMatch(/^offered/);
    for (const old of ['SSLv2', 'SSLv3', 'TLS1', 'TLS1_1']) expect(of(old), old).toMatch(/^not offered/);
    expect(bad).toEqual([]);
  }, 300_000);
});
