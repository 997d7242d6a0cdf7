import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createProxy, type Proxy } from '../../src/index.ts';
import { CertificateAuthority, type IssuedCertificate } from '../support/certificates.ts';
import { eventually } from '../support/eventually.ts';
import { proxyConfig } from '../support/proxy-config.ts';
import { ScriptedUpstream } from '../support/scripted-upstream.ts';
import { SdsServer } from '../support/sds-server.ts';

const TLS = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3';
const ca = CertificateAuthority.create();
const client = ca.issue({ uri: ['spiffe://td/client'] });

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sds-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const inline = (text: string) => ({ specifier: { case: 'inlineString' as const, value: text } });
const certificate = (name: string, { certificate: chain, key }: IssuedCertificate) => ({
  name,
  type: { case: 'tlsCertificate' as const, value: { certificateChain: inline(chain), privateKey: inline(key) } },
});
const root = (name: string, pem: string) => ({
  name,
  type: { case: 'validationContext' as const, value: { trustedCa: inline(pem) } },
});

/** As istiod configures sidecars: certificate and root from the agent, the names of peers from the control plane. */
function config(fetchTimeout: string, upstreamPort = 1): object {
  const sds = (name: string) => ({
    name,
    sds_config: {
      api_config_source: {
        api_type: 'GRPC',
        set_node_on_first_message_only: true,
        transport_api_version: 'V3',
        grpc_services: [{ envoy_grpc: { cluster_name: 'sds-grpc' } }],
      },
      initial_fetch_timeout: fetchTimeout,
      resource_api_version: 'V3',
    },
  });
  const context = (prefix: string, owner = '') => ({
    tls_certificate_sds_secret_configs: [sds(`${owner}default`)],
    combined_validation_context: {
      default_validation_context: { match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { prefix } }] },
      validation_context_sds_secret_config: sds(`${owner}ROOTCA`),
    },
  });
  const base = proxyConfig({
    routes: [
      { match: { prefix: '/up' }, route: { cluster: 'up' } },
      { match: { prefix: '/' }, direct_response: { status: 200, body: { inline_string: 'hello' } } },
    ],
    filterChain: {
      transport_socket: {
        name: 'tls',
        typed_config: {
          '@type': `${TLS}.DownstreamTlsContext`,
          require_client_certificate: true,
          common_tls_context: context('spiffe://td/'),
        },
      },
    },
    clusters: [
      {
        name: 'sds-grpc',
        type: 'STATIC',
        connect_timeout: '1s',
        typed_extension_protocol_options: {
          'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
            '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
            explicit_http_config: { http2_protocol_options: {} },
          },
        },
        load_assignment: {
          cluster_name: 'sds-grpc',
          endpoints: [{ lb_endpoints: [{ endpoint: { address: { pipe: { path: join(dir, 'socket') } } } }] }],
        },
      },
      {
        name: 'up',
        connect_timeout: '1s',
        load_assignment: {
          cluster_name: 'up',
          endpoints: [
            {
              lb_endpoints: [
                { endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: upstreamPort } } } },
              ],
            },
          ],
        },
        transport_socket: {
          name: 'tls',
          typed_config: { '@type': `${TLS}.UpstreamTlsContext`, common_tls_context: context('spiffe://other/', 'up-') },
        },
      },
    ],
  });
  return { ...base, node: { id: 'test', cluster: 'test' } };
}

/** One request on a connection of its own: status and the server's name, or why there is none. */
function request(proxy: Proxy, path = '/'): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect({
      port: proxy.port('ingress'),
      host: '127.0.0.1',
      ca: ca.certificate,
      cert: client.certificate,
      key: client.key,
      checkServerIdentity: () => undefined,
    });
    socket.once('error', ({ message }) => resolve(message));
    socket.once('close', () => resolve('closed'));
    socket.once('secureConnect', () => socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`));
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (!text.includes('\r\n\r\n')) return;
      const status = text.slice(9, 12);
      resolve(
        `${status} ${socket.getPeerCertificate().subjectaltname}${status === '200' ? '' : ` ${text.split('\r\n\r\n')[1]}`}`,
      );
      socket.destroy();
    });
  });
}

test.each([0, 1])('rotates certificates under load without a failed request (concurrency %i)', async (concurrency) => {
  await using sds = await SdsServer.start(join(dir, 'socket'));
  const names = ['a', 'b', 'c', 'd'].map((name) => `spiffe://td/${name}`);
  const issued = names.map((uri) => ca.issue({ uri: [uri] }));
  sds.set(certificate('default', issued[0]!));
  for (const name of ['ROOTCA', 'up-ROOTCA']) sds.set(root(name, ca.certificate));
  sds.set(certificate('up-default', client));
  await using proxy = await createProxy({ config: config('0s'), concurrency });
  expect(await request(proxy)).toBe(`200 URI:${names[0]}`);
  // One stream a secret, however many contexts use it.
  expect(sds.streams.map((each) => each.join()).sort()).toEqual(['ROOTCA', 'default', 'up-ROOTCA', 'up-default']);

  const seen = new Set<string>();
  for (const [index, next] of issued.entries()) {
    sds.set(certificate('default', next));
    await eventually(`certificate ${index}`, async () => {
      const answer = await request(proxy);
      seen.add(answer);
      return answer === `200 URI:${names[index]}`;
    });
  }
  expect([...seen].sort()).toEqual(names.map((name) => `200 URI:${name}`));
  expect(proxy.stat('sds.default.update_success')).toBe(5);
  expect(proxy.stat('sds.default.key_rotation_failed')).toBe(0);

  // A bad one is refused, and an agent that is gone takes nothing with it.
  sds.set(certificate('default', { ...issued[0]!, key: client.key }));
  await eventually('the refusal', () => sds.nacks.length > 0);
  sds.stop();
  expect(await request(proxy)).toBe(`200 URI:${names[3]}`);
  const dump = await (
    await fetch(`http://127.0.0.1:${proxy.adminPort}/config_dump?resource=dynamic_active_secrets`)
  ).text();
  expect(dump).toContain('"name": "default"');
  expect(dump).not.toContain('PRIVATE KEY');
  await sds.listen();
  sds.set(certificate('default', issued[0]!));
  await eventually('the certificate of the new agent', async () => (await request(proxy)) === `200 URI:${names[0]}`);
});

test('without secrets, when the time is over, the listener serves nobody and the cluster answers 503', async () => {
  await using sds = await SdsServer.start(join(dir, 'socket'));
  await using upstream = await ScriptedUpstream.start();
  await using proxy = await createProxy({ config: config('0.05s', upstream.port) });
  await eventually('the timeout', () => proxy.stat('sds.default.init_fetch_timeout') === 1);
  await eventually('the listener', () => proxy.stat('listener_manager.total_listeners_active') === 1);
  expect(await request(proxy)).not.toContain('200');
  const admin = `http://127.0.0.1:${proxy.adminPort}`;
  expect(await (await fetch(`${admin}/config_dump?resource=dynamic_warming_secrets`)).text()).toContain(
    '"uninitialized"',
  );

  sds.set(root('ROOTCA', ca.certificate));
  sds.set(certificate('default', ca.issue({ uri: ['spiffe://td/late'] })));
  await eventually('the late certificate', async () => (await request(proxy)) === '200 URI:spiffe://td/late');
  const [status, , ...body] = (await request(proxy, '/up')).split(' ');
  expect([status, body.join(' ')]).toEqual([
    '503',
    'upstream connect error or disconnect/reset before headers. reset reason: remote connection failure',
  ]);
  expect(upstream.take()).toEqual([]);
});
