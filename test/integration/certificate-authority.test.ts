import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createProxy, type Proxy } from '../../src/index.ts';
import { CertificateService } from '../support/certificate-service.ts';
import { eventually } from '../support/eventually.ts';
import { cluster, proxyConfig } from '../support/proxy-config.ts';

const TLS = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3';

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'certificate-authority-'));
  writeFileSync(join(dir, 'token'), 'a.b.c');
});
afterEach(() => rmSync(dir, { recursive: true }));

function authority(serviceAccount: string): object {
  return {
    name: 'outrigger.certificate_authority',
    typed_config: {
      '@type': 'type.googleapis.com/outrigger.certificate_authority.v3.IstioCertificateAuthority',
      grpc_service: { envoy_grpc: { cluster_name: 'ca' } },
      service_account: serviceAccount,
      token: { filename: join(dir, 'token') },
      requested_ttl: '3600s',
    },
  };
}

const http2 = {
  typed_extension_protocol_options: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
      '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
      explicit_http_config: { http2_protocol_options: {} },
    },
  },
};
/** The secrets by name alone. */
const plain = (name: string): object => ({ name });
/** As istiod names them: from an agent that isn't there. */
const asked = (name: string): object => ({
  name,
  sds_config: {
    api_config_source: {
      api_type: 'GRPC',
      set_node_on_first_message_only: true,
      transport_api_version: 'V3',
      grpc_services: [{ envoy_grpc: { cluster_name: 'sds-grpc' } }],
    },
    initial_fetch_timeout: '0s',
    resource_api_version: 'V3',
  },
});
const context = (named: (name: string) => object, peer: string): object => ({
  tls_certificate_sds_secret_configs: [named('default')],
  combined_validation_context: {
    default_validation_context: { match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { exact: peer } }] },
    validation_context_sds_secret_config: named('ROOTCA'),
  },
});
const id = (account: string): string => `spiffe://cluster.local/ns/default/sa/${account}`;

function serverConfig(service: CertificateService, named: typeof plain): object {
  return proxyConfig({
    routes: [{ match: { prefix: '/' }, direct_response: { status: 200, body: { inline_string: 'hello' } } }],
    filterChain: {
      transport_socket: {
        name: 'tls',
        typed_config: {
          '@type': `${TLS}.DownstreamTlsContext`,
          require_client_certificate: true,
          common_tls_context: context(named, id('client')),
        },
      },
    },
    clusters: [cluster('ca', service.port, http2)],
    bootstrap: { bootstrap_extensions: [authority('server')], node: { id: 'a', cluster: 'a' } },
  });
}

function clientConfig(service: CertificateService, account: string, named: typeof plain, port: number): object {
  const socket = { '@type': `${TLS}.UpstreamTlsContext`, common_tls_context: context(named, id('server')) };
  return proxyConfig({
    clusters: [
      cluster('ca', service.port, http2),
      cluster('backend', port, { transport_socket: { name: 'tls', typed_config: socket } }),
    ],
    bootstrap: { bootstrap_extensions: [authority(account)], node: { id: 'b', cluster: 'b' } },
  });
}

const get = async (proxy: Proxy): Promise<string> => {
  const response = await fetch(`http://127.0.0.1:${proxy.port('ingress')}/`);
  return `${response.status} ${await response.text()}`;
};

test.each([
  ['by name', plain, 0],
  ['as istiod names them', asked, 1],
] as const)('two proxies speak mTLS with certificates of their own (%s)', async (_, named, concurrency) => {
  await using service = await CertificateService.start();
  await using server = await createProxy({ config: serverConfig(service, named), concurrency });
  await using client = await createProxy({
    config: clientConfig(service, 'client', named, server.port('ingress')),
    concurrency,
  });
  expect(await get(client)).toBe('200 hello');
  expect(service.requests).toMatchObject([
    { authorization: 'Bearer a.b.c', clusterId: 'Kubernetes', validitySeconds: 3600 },
    { authorization: 'Bearer a.b.c' },
  ]);
  expect([server.stat('sds.default.update_success'), server.stat('sds.ROOTCA.update_success')]).toEqual([1, 1]);

  // Another identity, of the same authority.
  await using stranger = await createProxy({
    config: clientConfig(service, 'stranger', named, server.port('ingress')),
    concurrency,
  });
  expect(await get(stranger)).toMatch(/^503 /);
  const stats = await (await fetch(`http://127.0.0.1:${server.adminPort}/stats?filter=ssl.fail_verify_san`)).text();
  expect(stats).toMatch(/fail_verify_san: 1\n/);
});

test('listeners warm until the first certificate, and change it when it is renewed', async () => {
  await using service = await CertificateService.start();
  service.failure = 'not yet';
  let isStarted = false;
  const starting = createProxy({ config: serverConfig(service, plain) }).finally(() => (isStarted = true));
  await eventually('two requests', () => service.requests.length > 1);
  expect(isStarted).toBe(false);
  service.failure = undefined;
  // Renewed a second after it was issued.
  service.lifetimeSeconds = 2;
  await using server = await starting;
  const serial = (): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect({ port: server.port('ingress'), host: '127.0.0.1', rejectUnauthorized: false });
      socket.once('error', reject);
      socket.once('secureConnect', () => {
        resolve(socket.getPeerCertificate().serialNumber);
        socket.destroy();
      });
    });
  const first = await serial();
  await eventually('another certificate', async () => (await serial()) !== first, 10_000);

  const page = await fetch(`http://127.0.0.1:${server.adminPort}/config_dump?resource=dynamic_active_secrets`);
  const dump = await page.text();
  expect(dump).toContain('"name": "default"');
  expect(dump).toContain(Buffer.from('-----BEGIN CERTIFICATE').toString('base64').slice(0, 20));
  expect(dump).not.toContain(Buffer.from('-----BEGIN PRIVATE').toString('base64').slice(0, 20));
}, 30_000);
