import type {
  CertificateValidationContext,
  SubjectAltNameMatcher,
} from '../../../api/generated/envoy/extensions/transport_sockets/tls/v3/common_pb.js';
import type { SPIFFECertValidatorConfig } from '../../../api/generated/envoy/extensions/transport_sockets/tls/v3/tls_spiffe_validator_config_pb.js';
import { unpackAny } from '../../../api/any.ts';
import type { TypeRegistry } from '../../../api/type-registry.ts';
import { readDer } from '../../../lib/x509/der-reader.ts';
import { readPem } from '../../../lib/x509/pem.ts';
import type { Problems } from '../../problem.ts';
import type { CertificateValidationModel, SubjectAltNameMatcherModel } from '../../secret-model.ts';
import { buildStringMatcher } from '../common.ts';
import { reportUnsupportedFields } from '../unsupported-fields.ts';
import { readSecretData } from './data-source.ts';
import { readChain, shortHash } from './tls-certificate.ts';

const FIELDS = [
  'trusted_ca',
  'ca_certificate_provider_instance',
  'system_root_certs',
  'watched_directory',
  'verify_certificate_spki',
  'verify_certificate_hash',
  'match_typed_subject_alt_names',
  'match_subject_alt_names',
  'crl',
  'allow_expired_certificate',
  'trust_chain_verification',
  'custom_validator_config',
  'only_verify_leaf_cert_crl',
  'max_verify_depth',
];
const SPIFFE = 'envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig';
const DEFAULT_VALIDATOR = 'envoy.tls.cert_validator.default';
/** By SubjectAltNameMatcher.SanType's numbers; 0 is refused by the message's rules. */
const SAN_TYPES: readonly SubjectAltNameMatcherModel['type'][] = ['any', 'email', 'dns', 'uri', 'ip', 'other-name'];

/** What stands for a validation context without a name in stat names. */
export function unnamedValidation({ trustedCa }: CertificateValidationContext): string {
  const source = trustedCa?.specifier;
  if (trustedCa === undefined) return 'unnamed_ca_cert';
  return `unnamed_ca_cert_${shortHash(source?.case === 'inlineBytes' ? source.value : new Uint8Array())}`;
}

/**
 * transport_sockets.tls.v3.CertificateValidationContext; `problems` stands at it. With `partial` it is half of a
 * combined context, which only as a whole has to make sense.
 */
export function buildCertificateValidation(
  message: CertificateValidationContext,
  statName: string,
  types: TypeRegistry,
  problems: Problems,
  partial = false,
): CertificateValidationModel {
  reportUnsupportedFields(types, message, FIELDS, problems);
  const ca = readSecretData(message.trustedCa, false, problems.at('trusted_ca'));
  const crl = readSecretData(message.crl, false, problems.at('crl'));
  if (message.caCertificateProviderInstance !== undefined)
    problems
      .at('ca_certificate_provider_instance')
      .error('unsupported: certificate provider instances are not implemented');
  const spiffeTrustDomains = buildCustomValidator(message, types, problems.at('custom_validator_config'));
  const trustedCa = ca.bytes.toString('utf8');
  if (ca.bytes.length > 0 && readChain(trustedCa) === undefined)
    problems.error(`Failed to load trusted CA certificates from ${ca.path}`);
  const crlText = crl.bytes.toString('utf8');
  if (crl.bytes.length > 0 && !isReadableCrl(crlText)) problems.error(`Failed to load CRL from ${crl.path}`);
  if (ca.bytes.length === 0 && !partial && message.customValidatorConfig === undefined) {
    if (crl.bytes.length > 0) problems.error(`Failed to load CRL from ${crl.path} without trusted CA`);
    if (message.matchTypedSubjectAltNames.length > 0 || message.matchSubjectAltNames.length > 0)
      problems.error('SAN-based verification of peer certificates without trusted CA is insecure and not allowed');
    if (message.allowExpiredCertificate)
      problems.error('Certificate validity period is always ignored without trusted CA');
  }
  return {
    statName,
    path: ca.path,
    trustedCa,
    systemRoots: message.systemRootCerts !== undefined,
    crl: crlText,
    onlyVerifyLeafCertCrl: message.onlyVerifyLeafCertCrl,
    verifyCertificateHash: buildHashes(message.verifyCertificateHash, problems.at('verify_certificate_hash')),
    verifyCertificateSpki: buildSpkiHashes(message.verifyCertificateSpki, problems.at('verify_certificate_spki')),
    subjectAltNames: buildSubjectAltNames(message, problems),
    allowExpiredCertificate: message.allowExpiredCertificate,
    trustChainVerification: message.trustChainVerification === 1 ? 'accept-untrusted' : 'verify',
    requireSignedCertificateTimestamp: false,
    maxVerifyDepth: message.maxVerifyDepth,
    spiffeTrustDomains,
  };
}

function isReadableCrl(text: string): boolean {
  const blocks = readPem(text);
  if (blocks === undefined) return false;
  const certificates = blocks.some(({ label }) => label.includes('CERTIFICATE'));
  if (certificates && readChain(text) === undefined) return false;
  return blocks.every(({ label, der }) => label !== 'X509 CRL' || readDer(der)?.tag === 0x30);
}

/** Hex, perhaps with colons between the bytes. */
function buildHashes(list: readonly string[], problems: Problems): string[] {
  return list.map((text, index) => {
    const hex = text.length === 95 ? text.replaceAll(':', '') : text;
    if (!/^[0-9a-f]{64}$/i.test(hex)) problems.at(index).error(`Invalid hex-encoded SHA-256 ${text}`);
    return hex.toLowerCase();
  });
}

function buildSpkiHashes(list: readonly string[], problems: Problems): string[] {
  return list.map((text, index) => {
    if (!/^[A-Za-z0-9+/]{43}=$/.test(text)) problems.at(index).error(`Invalid base64-encoded SHA-256 ${text}`);
    return text;
  });
}

function buildSubjectAltNames(message: CertificateValidationContext, problems: Problems): SubjectAltNameMatcherModel[] {
  const typed = message.matchTypedSubjectAltNames;
  const at = problems.at('match_typed_subject_alt_names');
  if (typed.length > 0) return typed.map((matcher, index) => buildSubjectAltName(matcher, at.at(index)));
  // Deprecated, and ignored beside the typed ones.
  const untyped = problems.at('match_subject_alt_names');
  return message.matchSubjectAltNames.map((matcher, index) => ({
    type: 'any',
    oid: '',
    matcher: buildStringMatcher(matcher, untyped.at(index)),
  }));
}

function buildSubjectAltName(message: SubjectAltNameMatcher, problems: Problems): SubjectAltNameMatcherModel {
  const type = SAN_TYPES[message.sanType] ?? 'any';
  if (type === 'other-name' && !/^[0-2](\.\d+)+$/.test(message.oid))
    problems.error(`Failed to create SAN matcher for OTHER_NAME with OID: ${message.oid}`);
  const matcher = message.matcher;
  return {
    type,
    oid: type === 'other-name' ? message.oid : '',
    matcher:
      matcher === undefined
        ? { kind: 'exact', value: '', ignoreCase: false }
        : buildStringMatcher(matcher, problems.at('matcher')),
  };
}

function buildCustomValidator(
  { customValidatorConfig: config }: CertificateValidationContext,
  types: TypeRegistry,
  problems: Problems,
): CertificateValidationModel['spiffeTrustDomains'] {
  if (config === undefined || config.name === DEFAULT_VALIDATOR) return undefined;
  const unpacked = config.typedConfig === undefined ? undefined : unpackAny(types, config.typedConfig);
  if (unpacked?.typeName !== SPIFFE || unpacked.message === undefined) {
    problems.error(`Failed to get certificate validator factory for ${config.name}`);
    return undefined;
  }
  const message = unpacked.message as SPIFFECertValidatorConfig;
  const at = problems.at('typed_config');
  reportUnsupportedFields(types, message, ['trust_domains'], at);
  const seen = new Set<string>();
  return message.trustDomains.map(({ name, trustBundle }, index) => {
    const here = at.at('trust_domains').at(index);
    if (seen.has(name)) here.error(`Multiple trust bundles are given for one trust domain for ${name}`);
    seen.add(name);
    const bundle = readSecretData(trustBundle, false, here.at('trust_bundle')).bytes.toString('utf8');
    if (readChain(bundle) === undefined) here.error(`Failed to load trusted CA certificate for ${name}`);
    return { name, trustBundle: bundle };
  });
}
