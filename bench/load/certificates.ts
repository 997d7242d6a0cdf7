import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** PEM files that all proxies, upstreams and generators of a run use. ECDSA P-256, as most meshes have. */
export interface BenchCertificates {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  /** Certificate and key in one file, for haproxy. */
  readonly both: string;
}

/** Makes a CA and a certificate for `localhost` and 127.0.0.1 that serves servers and clients, with openssl(1). */
export function makeCertificates(dir: string): BenchCertificates {
  const file = (name: string): string => join(dir, name);
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '3'];
  openssl('req', '-x509', ...key, '-keyout', file('ca.key'), '-out', file('ca.pem'), '-subj', '/CN=bench CA');
  openssl('req', ...key, '-keyout', file('leaf.key'), '-out', file('leaf.csr'), '-subj', '/CN=localhost');
  writeFileSync(
    file('leaf.ext'),
    'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n',
  );
  const ca = ['-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-CAcreateserial', '-days', '3'];
  openssl('x509', '-req', '-in', file('leaf.csr'), ...ca, '-out', file('leaf.pem'), '-extfile', file('leaf.ext'));
  execFileSync('sh', ['-c', 'cat "$1" "$2" > "$3"', 'sh', file('leaf.pem'), file('leaf.key'), file('both.pem')]);
  return { ca: file('ca.pem'), cert: file('leaf.pem'), key: file('leaf.key'), both: file('both.pem') };
}
