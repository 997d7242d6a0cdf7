import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { expect, test } from 'vitest';
import { createProxy, type Proxy } from '../../src/index.ts';
import { CertificateAuthority, type IssuedCertificate } from '../support/certificates.ts';
import { eventually } from '../support/eventually.ts';
import { listener, proxyConfig } from '../support/proxy-config.ts';

const TLS = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3';
const ca = CertificateAuthority.create();

const serial = (proxy: Proxy): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect({ port: proxy.port('discovered'), host: '127.0.0.1', rejectUnauthorized: false });
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      resolve(socket.getPeerCertificate().serialNumber.toLowerCase());
      socket.destroy();
    });
  });

test.each([0, 1])(
  'a discovered listener has the static secrets of the configuration that is in force (concurrency %i)',
  async (concurrency) => {
    const dir = mkdtempSync(join(tmpdir(), 'secrets-reload-'));
    try {
      const lds = join(dir, 'lds.json');
      const discovered = listener('discovered', {
        routes: [{ match: { prefix: '/' }, direct_response: { status: 200 } }],
        filterChain: {
          transport_socket: {
            name: 'tls',
            typed_config: {
              '@type': `${TLS}.DownstreamTlsContext`,
              common_tls_context: { tls_certificate_sds_secret_configs: [{ name: 'server' }] },
            },
          },
        },
      });
      const type = 'type.googleapis.com/envoy.config.listener.v3.Listener';
      writeFileSync(lds, JSON.stringify({ version_info: '1', resources: [{ '@type': type, ...discovered }] }));
      const config = ({ certificate, key }: IssuedCertificate): object => {
        const base = proxyConfig({
          listeners: [],
          clusters: [],
          bootstrap: {
            node: { id: 'a', cluster: 'a' },
            dynamic_resources: { lds_config: { path_config_source: { path: lds } } },
          },
        });
        const tls_certificate = {
          certificate_chain: { inline_string: certificate },
          private_key: { inline_string: key },
        };
        return { ...base, static_resources: { secrets: [{ name: 'server', tls_certificate }] } };
      };
      const [first, second, third] = [ca.issue(), ca.issue(), ca.issue()];
      await using proxy = await createProxy({ config: config(first), concurrency });
      expect(await serial(proxy)).toBe(first.serial);
      // The listener stays as it is: nothing that is static names the secret.
      for (const next of [second, third]) {
        await proxy.update(config(next));
        await eventually('the certificate', async () => (await serial(proxy)) === next.serial);
      }
      // What is no good is refused, and the last one stays.
      await proxy.update(config({ ...second, key: first.key }));
      expect(await serial(proxy)).toBe(third.serial);
    } finally {
      rmSync(dir, { recursive: true });
    }
  },
);
