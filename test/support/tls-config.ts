import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CertificateAuthority } from './certificates.ts';

const TLS = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3';

/** A CA with one server and one client certificate, as PEM files, for whatever is configured by path. */
export interface CertificateFiles {
  readonly ca: string;
  readonly serverCert: string;
  readonly serverKey: string;
  readonly clientCert: string;
  readonly clientKey: string;
}

let made: CertificateFiles | undefined;

/** For `localhost` and 127.0.0.1; made once a process and removed when it ends. */
export function certificateFiles(): CertificateFiles {
  if (made !== undefined) return made;
  const dir = mkdtempSync(join(tmpdir(), 'certificates-'));
  process.once('exit', () => rmSync(dir, { recursive: true, force: true }));
  const write = (name: string, text: string): string => {
    const file = join(dir, name);
    writeFileSync(file, text);
    return file;
  };
  const ca = CertificateAuthority.create({ commonName: 'test CA' });
  const server = ca.issue({ commonName: 'localhost', dns: ['localhost'], ip: ['127.0.0.1'] });
  const client = ca.issue({ commonName: 'client', uri: ['spiffe://test/client'] });
  return (made = {
    ca: write('ca.pem', ca.certificate),
    serverCert: write('server.pem', server.chain),
    serverKey: write('server.key', server.key),
    clientCert: write('client.pem', client.chain),
    clientKey: write('client.key', client.key),
  });
}

const pair = (cert: string, key: string): object => ({
  certificate_chain: { filename: cert },
  private_key: { filename: key },
});

/** A filter chain's transport socket with the server certificate. `mutual`: clients must present one of the CA. */
export function downstreamTls(options: { readonly alpn?: readonly string[]; readonly mutual?: boolean } = {}): object {
  const { ca, serverCert, serverKey } = certificateFiles();
  const { alpn = [], mutual = false } = options;
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': `${TLS}.DownstreamTlsContext`,
      require_client_certificate: mutual,
      common_tls_context: {
        alpn_protocols: alpn,
        tls_certificates: [pair(serverCert, serverKey)],
        ...(mutual && { validation_context: { trusted_ca: { filename: ca } } }),
      },
    },
  };
}

/** A cluster's transport socket that trusts the CA. `mutual`: presents the client certificate. */
export function upstreamTls(
  options: { readonly alpn?: readonly string[]; readonly sni?: string; readonly mutual?: boolean } = {},
): object {
  const { ca, clientCert, clientKey } = certificateFiles();
  const { alpn = [], sni = 'localhost', mutual = false } = options;
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': `${TLS}.UpstreamTlsContext`,
      sni,
      common_tls_context: {
        alpn_protocols: alpn,
        ...(mutual && { tls_certificates: [pair(clientCert, clientKey)] }),
        validation_context: { trusted_ca: { filename: ca } },
      },
    },
  };
}
