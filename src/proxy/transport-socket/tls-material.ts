import type { CertificateValidationModel, TlsCertificateModel } from '../../config/secret-model.ts';
import type { CommonTlsModel, TlsValidationModel } from '../../config/transport-socket-model.ts';
import { readPem } from '../../lib/x509/pem.ts';
import type { SecretSet } from './secret-set.ts';

/** What a TLS context is made of, with its secrets in place. */
export interface TlsMaterial {
  readonly certificates: readonly TlsCertificateModel[];
  readonly validation: CertificateValidationModel | undefined;
}

/** Undefined: some secret hasn't come yet. */
export function findMaterial(model: CommonTlsModel, secrets: SecretSet): TlsMaterial | undefined {
  const certificates: TlsCertificateModel[] = [];
  for (const source of model.certificates) {
    const value = source.kind === 'inline' ? source.value : secrets.get('certificate', source.name);
    if (value === undefined) return undefined;
    certificates.push(value);
  }
  if (model.validation === undefined) return { certificates, validation: undefined };
  const validation = findValidation(model.validation, secrets);
  return validation === undefined ? undefined : { certificates, validation: withEmbeddedLists(validation) };
}

/** The names of the secrets that a context is made of. */
export function secretNames({ certificates, validation }: CommonTlsModel): string[] {
  const names = certificates.flatMap((source) => (source.kind === 'secret' ? [source.name] : []));
  if (validation?.secret !== undefined) names.push(validation.secret);
  return names;
}

function findValidation(
  { inline, secret }: TlsValidationModel,
  secrets: SecretSet,
): CertificateValidationModel | undefined {
  if (secret === undefined) return inline;
  const value = secrets.get('validation', secret);
  return value === undefined || inline === undefined ? value : merge(inline, value);
}

/** As messages merge: what the secret sets wins, lists are joined. */
function merge(base: CertificateValidationModel, over: CertificateValidationModel): CertificateValidationModel {
  return {
    ...over,
    trustedCa: over.trustedCa === '' ? base.trustedCa : over.trustedCa,
    systemRoots: base.systemRoots || over.systemRoots,
    crl: over.crl === '' ? base.crl : over.crl,
    onlyVerifyLeafCertCrl: base.onlyVerifyLeafCertCrl || over.onlyVerifyLeafCertCrl,
    verifyCertificateHash: [...base.verifyCertificateHash, ...over.verifyCertificateHash],
    verifyCertificateSpki: [...base.verifyCertificateSpki, ...over.verifyCertificateSpki],
    subjectAltNames: [...base.subjectAltNames, ...over.subjectAltNames],
    allowExpiredCertificate: base.allowExpiredCertificate || over.allowExpiredCertificate,
    trustChainVerification:
      over.trustChainVerification === 'verify' ? base.trustChainVerification : over.trustChainVerification,
    requireSignedCertificateTimestamp: base.requireSignedCertificateTimestamp || over.requireSignedCertificateTimestamp,
    maxVerifyDepth: over.maxVerifyDepth ?? base.maxVerifyDepth,
    spiffeTrustDomains: over.spiffeTrustDomains ?? base.spiffeTrustDomains,
  };
}

/** CRLs may stand among the trusted CAs. */
function withEmbeddedLists(model: CertificateValidationModel): CertificateValidationModel {
  const texts = [model.trustedCa, ...(model.spiffeTrustDomains ?? []).map(({ trustBundle }) => trustBundle)];
  const lists = texts
    .filter((text) => text.includes('X509 CRL'))
    .flatMap((text) => readPem(text) ?? [])
    .filter(({ label }) => label === 'X509 CRL')
    .map(({ text }) => text);
  return lists.length === 0 ? model : { ...model, crl: `${model.crl}\n${lists.join('\n')}` };
}
