import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { once } from 'node:events';
import { join } from 'node:path';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { startUpstream } from '../examples/demo/upstream.ts';
import { demonstrate } from '../examples/test-harness.ts';
import { formatProblem } from '../src/config/format-problem.ts';
import { loadBootstrap } from '../src/config/bootstrap.ts';
import { createProxy } from '../src/index.ts';
import { validateConfig } from '../src/server/validate-config.ts';
import { CertificateAuthority } from './support/certificates.ts';
import { DIFFERENCES } from './differential/differences.ts';

const root = join(import.meta.dirname, '..');
const examples = join(root, 'examples');

describe('examples', () => {
  test.each(readdirSync(examples).filter((file) => file.endsWith('.yaml')))('%s is valid', async (file) => {
    // What a pod of a mesh finds in its volumes.
    await using dir = await mkdtempDisposable(join(tmpdir(), 'pod-'));
    mkdirSync(join(dir.path, 'istio'));
    writeFileSync(join(dir.path, 'istio/root-cert.pem'), CertificateAuthority.create().certificate);
    const configPath = join(dir.path, file);
    writeFileSync(configPath, readFileSync(join(examples, file), 'utf8').replaceAll('/var/run/secrets', dir.path));
    const loaded = await loadBootstrap({ configPath });
    const problems = [...loaded.problems, ...(await validateConfig(loaded))];
    expect(problems.map(formatProblem)).toEqual([]);
  });

  test('the quickstart routes as it says', async () => {
    await using stack = new AsyncDisposableStack();
    const ports: number[] = [];
    for (const version of ['v1', 'v2']) {
      const server = await startUpstream(version, 0);
      ports.push((server.address() as AddressInfo).port);
      stack.defer(async () => {
        server.close();
        server.closeAllConnections();
        await once(server, 'close');
      });
    }
    const config = readFileSync(join(examples, 'quickstart.yaml'), 'utf8')
      .replaceAll('port_value: 9901', 'port_value: 0')
      .replaceAll('port_value: 10000', 'port_value: 0')
      .replaceAll('port_value: 8081', `port_value: ${ports[0]}`)
      .replaceAll('port_value: 8082', `port_value: ${ports[1]}`)
      .replace(/^ +access_log:\n(.*\n){3}/m, '');
    const proxy = stack.use(await createProxy({ config }));
    const get = async (path: string, headers: Record<string, string> = {}): Promise<[number, string]> => {
      const response = await fetch(`http://127.0.0.1:${proxy.port('ingress')}${path}`, { headers });
      return [response.status, await response.text()];
    };
    for (let i = 0; i < 5; i++) {
      expect(await get('/', { 'end-user': 'jason' })).toEqual([200, 'hello from v2: GET /\n']);
      expect(await get('/flaky')).toEqual([200, 'hello from v1: GET /flaky\n']);
    }
    let old = 0;
    for (let i = 0; i < 200; i++) if ((await get('/'))[1].includes('v1')) old++;
    expect(old).toBeGreaterThan(150);
    expect(old).toBeLessThan(200);
  });

  test('the test harness injects a fault into a running proxy', async () => {
    expect(await demonstrate()).toEqual({ before: 200, after: 503, aborts: 1 });
  });
});

test('docs/differences.md lists every difference with its reason', () => {
  const page = readFileSync(join(root, 'docs/differences.md'), 'utf8');
  for (const [name, reason] of Object.entries(DIFFERENCES)) {
    expect(page).toContain(`\`${name}\``);
    expect(page).toContain(reason);
  }
});
