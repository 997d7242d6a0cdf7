import { constants, createHash } from 'node:crypto';
import { createSecureContext, getCACertificates, type SecureContextOptions, type SecureVersion } from 'node:tls';
import type { CertificateValidationModel, TlsCertificateModel } from '../../config/secret-model.ts';
import type { CommonTlsModel, TlsVersion } from '../../config/transport-socket-model.ts';
import { readPem } from '../../lib/x509/pem.ts';
import type { PeerVerifier } from './verification/peer-verifier.ts';

/** Envoy's, of both sides. */
const DEFAULT_CIPHERS = [
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
].join(':');
/** Not configurable in Envoy. To upstreams, the order in which its library offers them; to downstreams, see honorCipherOrder. */
const CIPHERS_OF_1_3 = {
  client: 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256',
  server: 'TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256',
};
const GROUPS = 'X25519MLKEM768:X25519:P-256';
/** For Node versions whose library has no ML-KEM. */
const CLASSIC_GROUPS = 'X25519:P-256';
/** TLS 1.0 and 1.1 sign with SHA-1, which OpenSSL takes for too weak at its default level. */
const ANY_STRENGTH = '@SECLEVEL=0';

/** What the two sides have in common. */
export interface SecureContextParts {
  readonly model: CommonTlsModel;
  readonly validation: CertificateValidationModel | undefined;
  readonly verifier: PeerVerifier | undefined;
  /** Where the model says `auto`, a server speaks TLS 1.3 and a client 1.2 at most. */
  readonly side: 'client' | 'server';
}

/** Options of tls.createSecureContext and tls.createServer, but certificates. */
export function secureContextOptions(parts: SecureContextParts): SecureContextOptions {
  const { model, validation, verifier, side } = parts;
  const minVersion = version(model.minVersion, 'TLSv1.2');
  const isOld = minVersion === 'TLSv1' || minVersion === 'TLSv1.1';
  const ciphers = model.cipherSuites === '' ? DEFAULT_CIPHERS : model.cipherSuites;
  return {
    minVersion,
    maxVersion: version(model.maxVersion, side === 'server' ? 'TLSv1.3' : 'TLSv1.2'),
    ciphers: `${CIPHERS_OF_1_3[side]}:${ciphers}${isOld ? `:${ANY_STRENGTH}` : ''}`,
    ecdhCurve: model.ecdhCurves === '' ? defaultGroups() : model.ecdhCurves,
    ...(model.signatureAlgorithms !== '' && { sigalgs: model.signatureAlgorithms }),
    // An empty list keeps Node from trusting what it comes with.
    ca: trustedCertificates(validation),
    allowPartialTrustChain: true,
    ...(validation !== undefined &&
      validation.crl !== '' &&
      verifier?.checksRevocation !== true && { crl: revocationLists(validation.crl) }),
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  };
}

/** The options for certificates: several have keys of different kinds. */
export function certificateOptions(certificates: readonly TlsCertificateModel[]): SecureContextOptions {
  const pem = certificates.filter(({ pkcs12 }) => pkcs12 === undefined);
  const pfx = certificates.filter(({ pkcs12 }) => pkcs12 !== undefined);
  return {
    ...(pem.length > 0 && {
      cert: pem.map(({ certificateChain }) => certificateChain),
      key: pem.map(({ privateKey, password }) => ({
        pem: privateKey,
        ...(password !== undefined && { passphrase: password }),
      })),
    }),
    ...(pfx.length > 0 && {
      pfx: pfx.map(({ pkcs12, password }) => ({
        buf: Buffer.from(pkcs12!),
        ...(password !== undefined && { passphrase: password }),
      })),
    }),
  };
}

/** A digest of all that decides who may connect: sessions made under other settings can't be resumed. */
export function sessionIdContext(...settings: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(settings)).digest('hex').slice(0, 32);
}

const version = (wanted: TlsVersion, auto: SecureVersion): SecureVersion => (wanted === 'auto' ? auto : wanted);

function trustedCertificates(validation: CertificateValidationModel | undefined): string[] {
  if (validation === undefined) return [];
  const { trustedCa, systemRoots, spiffeTrustDomains } = validation;
  if (spiffeTrustDomains !== undefined) return spiffeTrustDomains.map(({ trustBundle }) => trustBundle);
  return [...(trustedCa === '' ? [] : [trustedCa]), ...(systemRoots ? getCACertificates('system') : [])];
}

/** Node reads one list of each text. */
const revocationLists = (pem: string): string[] =>
  (readPem(pem) ?? []).filter(({ label }) => label === 'X509 CRL').map(({ text }) => text);

function defaultGroups(): string {
  try {
    createSecureContext({ ecdhCurve: GROUPS, ca: [] });
    return GROUPS;
  } catch {
    return CLASSIC_GROUPS;
  }
}
