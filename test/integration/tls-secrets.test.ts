import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createProxy, type Proxy } from '../../src/index.ts';
import { CertificateAuthority } from '../support/certificates.ts';
import { eventually } from '../support/eventually.ts';
import { proxyConfig } from '../support/proxy-config.ts';

const ca = CertificateAuthority.create();
let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'tls-secrets-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const TLS = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext';

function writeCertificate(name: string): void {
  const { certificate, key } = ca.issue({ dns: [name] });
  writeFileSync(join(dir, 'tls.crt'), certificate);
  writeFileSync(join(dir, 'tls.key'), key);
}

const certificateInFiles = () => ({
  certificate_chain: { filename: join(dir, 'tls.crt') },
  private_key: { filename: join(dir, 'tls.key') },
});

const config = (common: object, secrets: readonly object[] = []) => {
  const base = proxyConfig({
    routes: [{ match: { prefix: '/' }, direct_response: { status: 200, body: { inline_string: 'hello' } } }],
    filterChain: {
      transport_socket: { name: 'tls', typed_config: { '@type': TLS, common_tls_context: common } },
    },
    clusters: [],
  }) as { static_resources: object };
  return { ...base, static_resources: { ...base.static_resources, secrets } };
};

/** A connection whose handshake is done. */
async function handshake(proxy: Proxy): Promise<TLSSocket> {
  const socket = connect({
    port: proxy.port('ingress'),
    host: '127.0.0.1',
    ca: ca.certificate,
    checkServerIdentity: () => undefined,
  });
  await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
  return socket;
}

const nameOf = (socket: TLSSocket): string | undefined => socket.getPeerCertificate().subjectaltname;

async function servedName(proxy: Proxy): Promise<string | undefined> {
  const socket = await handshake(proxy);
  const name = nameOf(socket);
  socket.destroy();
  return name;
}

async function request(socket: TLSSocket): Promise<string> {
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await eventually('the response', () => text.endsWith('hello'));
  return text;
}

test.each([0, 1])(
  'a certificate in files rotates under connections that stay (concurrency %i)',
  async (concurrency) => {
    writeCertificate('a.test');
    await using proxy = await createProxy({
      config: config({ tls_certificates: [certificateInFiles()] }),
      concurrency,
    });
    const before = await handshake(proxy);
    expect(nameOf(before)).toBe('DNS:a.test');

    writeCertificate('b.test');
    await eventually('the new certificate', async () => (await servedName(proxy)) === 'DNS:b.test');
    expect(await request(before)).toMatch(/^HTTP\/1\.1 200 OK/);
    before.destroy();
  },
);

test('a static secret is used by name; an update replaces it', async () => {
  writeCertificate('a.test');
  const named = { tls_certificate_sds_secret_configs: [{ name: 'server' }] };
  await using proxy = await createProxy({
    config: config(named, [{ name: 'server', tls_certificate: certificateInFiles() }]),
  });
  expect(await servedName(proxy)).toBe('DNS:a.test');

  const { certificate, key } = ca.issue({ dns: ['c.test'] });
  const inline = { certificate_chain: { inline_string: certificate }, private_key: { inline_string: key } };
  await proxy.update(config(named, [{ name: 'server', tls_certificate: inline }]));
  expect(await servedName(proxy)).toBe('DNS:c.test');
});

test('the admin pages tell of certificates, and never of keys', async () => {
  writeCertificate('a.test');
  const { certificate, key } = ca.issue({ dns: ['b.test'], uri: ['spiffe://td/b'], ip: ['10.0.0.1'], serial: '0b0b' });
  const inline = { certificate_chain: { inline_string: certificate }, private_key: { inline_string: key } };
  await using proxy = await createProxy({
    config: config(
      {
        tls_certificates: [certificateInFiles(), inline],
        validation_context: { trusted_ca: { inline_string: ca.certificate } },
      },
      [{ name: 'spare', tls_certificate: inline }],
    ),
  });
  const admin = async (path: string): Promise<string> =>
    (await fetch(`http://127.0.0.1:${proxy.adminPort}${path}`)).text();

  const { certificates } = JSON.parse(await admin('/certs')) as { certificates: unknown[] };
  expect(certificates).toMatchObject([
    {
      ca_cert: [{ path: '<inline>', subject_alt_names: [], days_until_expiration: '364' }],
      cert_chain: [
        { path: join(dir, 'tls.crt'), subject_alt_names: [{ dns: 'a.test' }] },
        {
          path: '<inline>',
          serial_number: '0b0b',
          subject_alt_names: [{ dns: 'b.test' }, { uri: 'spiffe://td/b' }, { ip_address: '10.0.0.1' }],
        },
      ],
    },
  ]);
  expect(proxy.stat('server.days_until_first_cert_expiring')).toBe(364);

  const dump = await admin('/config_dump');
  expect(dump).toContain('[redacted]');
  expect(dump).not.toContain('PRIVATE KEY');
  expect(dump).toContain('"name": "spare"');
});
