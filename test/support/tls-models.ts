import type {
  CertificateValidationModel,
  SubjectAltNameMatcherModel,
  TlsCertificateModel,
} from '../../src/config/secret-model.ts';
import type { CommonTlsModel, DownstreamTlsModel, UpstreamTlsModel } from '../../src/config/transport-socket-model.ts';
import type { IssuedCertificate } from './certificates.ts';

/** A certificate with its key, as a builder makes it. */
export const certificateModel = (
  { chain, key }: Pick<IssuedCertificate, 'chain' | 'key'>,
  more: Partial<TlsCertificateModel> = {},
): TlsCertificateModel => ({
  statName: 'test_cert',
  path: '<inline>',
  certificateChain: chain,
  privateKey: key,
  password: undefined,
  pkcs12: undefined,
  ocspStaple: undefined,
  ...more,
});

/** A validation context that demands nothing but what `more` says. */
export const validationModel = (more: Partial<CertificateValidationModel>): CertificateValidationModel => ({
  statName: 'test_ca',
  path: '<inline>',
  trustedCa: '',
  systemRoots: false,
  crl: '',
  onlyVerifyLeafCertCrl: false,
  verifyCertificateHash: [],
  verifyCertificateSpki: [],
  subjectAltNames: [],
  allowExpiredCertificate: false,
  trustChainVerification: 'verify',
  requireSignedCertificateTimestamp: false,
  maxVerifyDepth: undefined,
  spiffeTrustDomains: undefined,
  ...more,
});

/** An exact SAN matcher. */
export const exactSan = (type: SubjectAltNameMatcherModel['type'], value: string): SubjectAltNameMatcherModel => ({
  type,
  oid: '',
  matcher: { kind: 'exact', value, ignoreCase: false },
});

const commonModel = (more: Partial<CommonTlsModel>): CommonTlsModel => ({
  minVersion: 'auto',
  maxVersion: 'auto',
  cipherSuites: '',
  ecdhCurves: '',
  signatureAlgorithms: '',
  alpnProtocols: [],
  certificates: [],
  validation: undefined,
  keyLog: undefined,
  ...more,
});

/** A DownstreamTlsContext with Envoy's defaults. */
export const downstreamTlsModel = (
  common: Partial<CommonTlsModel>,
  more: Partial<Omit<DownstreamTlsModel, 'common'>> = {},
): DownstreamTlsModel => ({
  kind: 'tls',
  requireClientCertificate: false,
  requireSni: false,
  sessionTimeoutMs: undefined,
  ticketKeys: undefined,
  ownTicketKeys: Buffer.alloc(80, 7),
  disableStatelessResumption: false,
  disableStatefulResumption: false,
  ocspStaplePolicy: 'lenient',
  fullScanCertsOnSniMismatch: false,
  preferClientCiphers: false,
  ...more,
  common: commonModel(common),
});

/** An UpstreamTlsContext with Envoy's defaults. */
export const upstreamTlsModel = (
  common: Partial<CommonTlsModel>,
  more: Partial<Omit<UpstreamTlsModel, 'common'>> = {},
): UpstreamTlsModel => ({
  kind: 'tls',
  sni: '',
  autoHostSni: false,
  autoSniSanValidation: false,
  allowRenegotiation: false,
  maxSessionKeys: 1,
  enforceRsaKeyUsage: false,
  ...more,
  common: commonModel(common),
});
