import { readOcspResponse } from '../../../lib/x509/ocsp-response.ts';
import type { Problems } from '../../problem.ts';
import type { TlsCertificateModel } from '../../secret-model.ts';
import type { DownstreamTlsModel } from '../../transport-socket-model.ts';
import { readLeaf } from './tls-certificate.ts';

/** What certificates of servers have to fulfil beyond those of clients: they need a name, and staples have to fit. */
export function checkServerCertificate(
  { certificateChain, ocspStaple }: TlsCertificateModel,
  policy: DownstreamTlsModel['ocspStaplePolicy'],
  problems: Problems,
): void {
  const leaf = readLeaf(certificateChain);
  if (leaf === undefined) return;
  // Sessions are bound to the names.
  const [commonName] = leaf.commonNames;
  if (commonName === '') problems.error('Invalid TLS context has an empty subject CN');
  if (commonName === undefined && !leaf.subjectAltNames.some(({ type }) => ['ip', 'dns', 'uri'].includes(type)))
    problems.error('Invalid TLS context has neither subject CN nor SAN names');
  if (ocspStaple === undefined) {
    if (leaf.mustStaple) problems.error('OCSP response is required for must-staple certificate');
    else if (policy === 'must-staple') problems.error('Required OCSP response is missing from TLS context');
    return;
  }
  const response = readOcspResponse(Buffer.from(ocspStaple));
  if (typeof response === 'string') problems.error(response);
  else if (response.serial !== leaf.serial) problems.error('OCSP response does not match its TLS certificate');
}
