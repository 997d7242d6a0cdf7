import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listener, proxyConfig } from '../support/proxy-config.ts';
import type { ProxyProcess } from '../support/proxy-process.ts';
import { runTool } from '../support/run-tool.ts';
import { startSubject } from '../support/subject.ts';
import { certificateFiles, downstreamTls } from '../support/tls-config.ts';
import { findTool } from '../support/tools.ts';

const curl = findTool('curl');
const openssl = findTool('openssl');
const BODY = randomBytes(10 << 20);
const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** curl and openssl(1) as clients: every HTTP version and TLS version, with and without client certificates. */
describe.skipIf(curl === undefined || openssl === undefined)('curl and openssl', () => {
  const dir = mkdtempSync(join(tmpdir(), 'curl-'));
  const upload = join(dir, 'upload');
  const upstream = createServer((request, response) => {
    const hash = createHash('sha256');
    request.on('data', (chunk: Buffer) => hash.update(chunk));
    request.on('end', () => {
      response.setHeader('x-digest', hash.digest('hex'));
      response.setHeader('x-client-cert', request.headers['x-forwarded-client-cert'] ?? 'none');
      response.end(request.url === '/download' ? BODY : 'hello\n');
    });
  });
  const files = certificateFiles();
  let proxy: ProxyProcess;

  beforeAll(async () => {
    writeFileSync(upload, BODY);
    await once(upstream.listen(0, '127.0.0.1'), 'listening');
    const { port } = upstream.address() as { port: number };
    const alpn = ['h2', 'http/1.1'];
    const forwardCert = {
      forward_client_cert_details: 'SANITIZE_SET',
      set_current_client_cert_details: { uri: true },
    };
    proxy = await startSubject(
      proxyConfig({
        upstream: port,
        listeners: [
          listener('plain'),
          listener('tls', { filterChain: { transport_socket: downstreamTls({ alpn }) } }),
          listener('mtls', {
            hcm: forwardCert,
            filterChain: { transport_socket: downstreamTls({ alpn, mutual: true }) },
          }),
        ],
      }),
    );
  });

  afterAll(async () => {
    await proxy?.[Symbol.asyncDispose]();
    upstream.close();
    rmSync(dir, { recursive: true, force: true });
  });

  const url = (name: string, path = '/'): string =>
    `${name === 'plain' ? 'http' : 'https'}://localhost:${proxy.ports.get(name)}${path}`;

  /** Status, version and digest header of one transfer; the body goes to a file. */
  async function transfer(name: string, flags: readonly string[], path = '/') {
    const out = join(dir, 'body');
    const headers = join(dir, 'headers');
    const args = ['-sS', '-4', '--cacert', files.ca, '-o', out, '-D', headers, '-w', '%{http_code} %{http_version}'];
    const { code, output } = await runTool(curl!, [...args, ...flags, url(name, path)], 30_000);
    const fields = code === 0 ? readFileSync(headers, 'utf8') : '';
    return {
      code,
      output,
      body: () => readFileSync(out),
      field: (field: string) => new RegExp(`^${field}: (.*?)\\r?$`, 'im').exec(fields)?.[1],
    };
  }

  const CLIENT = ['--cert', files.clientCert, '--key', files.clientKey];
  for (const [name, listenerName, flags, version] of [
    ['HTTP/1.1', 'plain', ['--http1.1'], '1.1'],
    ['h2c with prior knowledge', 'plain', ['--http2-prior-knowledge'], '2'],
    ['an offer to upgrade to h2c, which is declined', 'plain', ['--http2'], '1.1'],
    ['HTTP/1.1 over TLS', 'tls', ['--http1.1'], '1.1'],
    ['HTTP/1.1 over TLS without ALPN', 'tls', ['--no-alpn'], '1.1'],
    ['HTTP/2 over TLS', 'tls', ['--http2'], '2'],
    ['HTTP/2 over TLS 1.2', 'tls', ['--http2', '--tls-max', '1.2'], '2'],
    ['HTTP/1.1 over mTLS', 'mtls', ['--http1.1', ...CLIENT], '1.1'],
    ['HTTP/2 over mTLS', 'mtls', ['--http2', ...CLIENT], '2'],
    ['HTTP/2 over mTLS 1.2', 'mtls', ['--http2', '--tls-max', '1.2', ...CLIENT], '2'],
  ] as const)
    test(`${name}: 10 MiB down, 10 MiB up`, async () => {
      const down = await transfer(listenerName, flags, '/download');
      expect(down.output).toBe(`200 ${version}`);
      expect(digest(down.body())).toBe(digest(BODY));
      const up = await transfer(listenerName, [...flags, '--data-binary', `@${upload}`]);
      expect(up.output).toBe(`200 ${version}`);
      expect(up.field('x-digest')).toBe(digest(BODY));
      if (listenerName === 'mtls') expect(up.field('x-client-cert')).toContain('URI=spiffe://test/client');
    });

  test('without a client certificate mTLS is refused', async () => {
    const { code, output } = await transfer('mtls', ['--http1.1', '--tls-max', '1.2']);
    expect(code, output).not.toBe(0);
    const newer = await transfer('mtls', ['--http1.1']);
    expect(newer.code, newer.output).not.toBe(0);
  });

  for (const [version, accepted] of [
    ['tls1', false],
    ['tls1_1', false],
    ['tls1_2', true],
    ['tls1_3', true],
  ] as const)
    test(`openssl s_client -${version} is ${accepted ? 'accepted' : 'refused'}`, async () => {
      const address = `127.0.0.1:${proxy.ports.get('tls')}`;
      const flags = [`-${version}`, '-CAfile', files.ca, '-servername', 'localhost', '-alpn', 'h2,http/1.1'];
      const { output } = await runTool(openssl!, ['s_client', '-connect', address, ...flags], 10_000);
      if (accepted) {
        expect(output).toContain('Verify return code: 0 (ok)');
        expect(output).toContain('ALPN protocol: h2');
      } else expect(output).not.toContain('Verify return code: 0 (ok)\n---\nread R BLOCK');
    });

  test('a session is resumed', async () => {
    const session = join(dir, 'session');
    const address = `127.0.0.1:${proxy.ports.get('tls')}`;
    const flags = ['s_client', '-connect', address, '-servername', 'localhost', '-tls1_2', '-CAfile', files.ca];
    await runTool(openssl!, [...flags, '-sess_out', session], 10_000);
    const { output } = await runTool(openssl!, [...flags, '-sess_in', session], 10_000);
    expect(output).toContain('Reused, TLSv1.2');
  });
});
