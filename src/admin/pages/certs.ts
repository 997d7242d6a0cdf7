import type { CertificateShown } from '../sources.ts';
import { jsonResponse, type AdminPage } from '../page.ts';

const DAY_MS = 86_400_000;
const MAX_DAYS = 0xffff_ffff;

/** envoy.admin.v3.Certificates: one entry a TLS context. */
export const certsPage: AdminPage = {
  path: '/certs',
  help: 'print certs on machine',
  mutates: false,
  params: [],
  handle: (_request, { certificates }) => {
    const response = jsonResponse({
      certificates: Array.from(certificates.contexts(), ({ trustedCa, chain }) => ({
        ca_cert: trustedCa === undefined ? [] : [details(trustedCa, certificates.now())],
        cert_chain: chain.map((certificate) => details(certificate, certificates.now())),
      })),
    });
    // Protobuf's JSON has no angle brackets.
    return { ...response, body: (response.body as string).replaceAll('<', '\\u003c').replaceAll('>', '\\u003e') };
  },
};

function details({ path, certificate, ocsp }: CertificateShown, now: number): object {
  const left = certificate.validToMs - now;
  return {
    path,
    serial_number: certificate.serial,
    subject_alt_names: [
      ...certificate.sans('dns').map((dns) => ({ dns })),
      ...certificate.sans('uri').map((uri) => ({ uri })),
      ...certificate.sans('ip').map((ip) => ({ ip_address: ip })),
    ],
    days_until_expiration: String(left < 0 ? 0 : Math.min(MAX_DAYS, Math.floor(left / DAY_MS))),
    valid_from: time(certificate.validFromMs),
    expiration_time: time(certificate.validToMs),
    ...(ocsp !== undefined && {
      ocsp_details: { valid_from: time(ocsp.thisUpdateMs), expiration: time(ocsp.nextUpdateMs ?? now) },
    }),
  };
}

/** As protobuf's JSON writes a Timestamp. */
const time = (ms: number): string =>
  Number.isNaN(ms) ? '1970-01-01T00:00:00Z' : new Date(ms).toISOString().replace('.000Z', 'Z');
