import { createHash, createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { TlsCertificate } from '../../../api/generated/envoy/extensions/transport_sockets/tls/v3/common_pb.js';
import type { TypeRegistry } from '../../../api/type-registry.ts';
import { Certificate } from '../../../lib/x509/certificate.ts';
import { isCertificateBlock, readPem } from '../../../lib/x509/pem.ts';
import type { Problems } from '../../problem.ts';
import type { TlsCertificateModel } from '../../secret-model.ts';
import { reportUnsupportedFields } from '../unsupported-fields.ts';
import { readSecretData, type SecretData } from './data-source.ts';

const FIELDS = [
  'certificate_chain',
  'private_key',
  'pkcs12',
  'watched_directory',
  'private_key_provider',
  'password',
  'ocsp_staple',
];
const MIN_RSA_BITS = 2048;
const CURVES: ReadonlySet<string | undefined> = new Set(['prime256v1', 'secp384r1', 'secp521r1']);

/** What stands for a certificate without a name in stat names: a hash of its inline bytes, whatever else it has. */
export function unnamedCertificate({ certificateChain }: TlsCertificate): string {
  const source = certificateChain?.specifier;
  if (certificateChain === undefined) return 'unnamed_cert_';
  return `unnamed_cert_${shortHash(source?.case === 'inlineBytes' ? source.value : new Uint8Array())}`;
}

/** The first 8 hex digits of a SHA-256. */
export function shortHash(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 8);
}

/** True for one that says nothing: Envoy passes over it. */
export function isEmptyCertificate(message: TlsCertificate): boolean {
  return (
    message.privateKeyProvider === undefined &&
    message.certificateChain === undefined &&
    message.privateKey === undefined &&
    message.pkcs12 === undefined
  );
}

/**
 * transport_sockets.tls.v3.TlsCertificate; `problems` stands at it. Its sources are read, and the key is checked
 * against the certificate, now; what is wrong is told in Envoy's words.
 */
export function buildTlsCertificate(
  message: TlsCertificate,
  statName: string,
  types: TypeRegistry,
  problems: Problems,
): TlsCertificateModel {
  reportUnsupportedFields(types, message, FIELDS, problems);
  const chain = readSecretData(message.certificateChain, true, problems.at('certificate_chain'));
  const key = readSecretData(message.privateKey, true, problems.at('private_key'));
  const password = readSecretData(message.password, true, problems.at('password'));
  const model: TlsCertificateModel = {
    statName,
    path: chain.path,
    certificateChain: chain.bytes.toString('utf8'),
    privateKey: key.bytes.toString('utf8'),
    password: password.bytes.length === 0 ? undefined : password.bytes.toString('utf8'),
    pkcs12: undefined,
    ocspStaple: buildStaple(message, problems.at('ocsp_staple')),
  };
  if (message.pkcs12 !== undefined) return { ...model, ...buildPkcs12(message, model.password, problems) };
  if (chain.bytes.length === 0) {
    problems.error(`Failed to load incomplete certificate from ${chain.path}: certificate chain not set`);
    return model;
  }
  checkKeyProvider(message, problems);
  if (key.bytes.length === 0) {
    if (message.privateKeyProvider === undefined || message.privateKeyProvider.fallback)
      problems.error(`Failed to load incomplete private key from path: ${key.path}`);
    return model;
  }
  const leaf = checkChain(chain, problems);
  if (leaf !== undefined) checkKey(key, model.password, leaf, problems);
  return model;
}

/** The leaf and what follows it; undefined (and no word of why) if a certificate of the text is broken. */
export function readChain(pem: string): X509Certificate[] | undefined {
  const blocks = readPem(pem)?.filter(isCertificateBlock);
  if (blocks === undefined || blocks.length === 0) return undefined;
  try {
    return blocks.map(({ der }) => new X509Certificate(der));
  } catch {
    return undefined;
  }
}

/** The leaf of a chain, as our own reader sees it. */
export function readLeaf(pem: string): Certificate | undefined {
  const leaf = readPem(pem)?.find(isCertificateBlock);
  return leaf === undefined ? undefined : Certificate.read(leaf.der);
}

function checkChain({ bytes, path }: SecretData, problems: Problems): X509Certificate | undefined {
  const [leaf] = readChain(bytes.toString('utf8')) ?? [];
  if (leaf === undefined) {
    problems.error(`Failed to load certificate chain from ${path}`);
    return undefined;
  }
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = leaf.publicKey;
  if (type === 'rsa' && (details?.modulusLength ?? 0) < MIN_RSA_BITS)
    problems.error(
      `Failed to load certificate chain from ${path}, only RSA certificates with 2048-bit or larger keys are supported`,
    );
  if (type === 'ec' && !CURVES.has(details?.namedCurve))
    problems.error(
      `Failed to load certificate chain from ${path}, only P-256, P-384 or P-521 ECDSA certificates are supported`,
    );
  return leaf;
}

function checkKey(
  { bytes, path }: SecretData,
  passphrase: string | undefined,
  leaf: X509Certificate,
  problems: Problems,
): void {
  const fail = (cause: string): void =>
    problems.error(`Failed to load private key from ${path}, Cause: error:${cause}`);
  const label = readPem(bytes.toString('utf8'))?.find((block) => block.label.endsWith('PRIVATE KEY'))?.label;
  if (label === undefined) return fail('0900006e:PEM routines:OPENSSL_internal:NO_START_LINE');
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: bytes, ...(passphrase !== undefined && { passphrase }) });
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    if (code === 'ERR_MISSING_PASSPHRASE' || message.includes('interrupted or cancelled'))
      return fail('09000068:PEM routines:OPENSSL_internal:BAD_PASSWORD_READ');
    if (/bad.?decrypt/i.test(message)) return fail('1e000065:Cipher functions:OPENSSL_internal:BAD_DECRYPT');
    return fail(`0c0000be:ASN.1 encoding routines:OPENSSL_internal:WRONG_TAG (${message})`);
  }
  if (leaf.checkPrivateKey(key)) return undefined;
  return fail(
    key.asymmetricKeyType === leaf.publicKey.asymmetricKeyType
      ? '0b000074:X.509 certificate routines:OPENSSL_internal:KEY_VALUES_MISMATCH'
      : '0b000073:X.509 certificate routines:OPENSSL_internal:KEY_TYPE_MISMATCH',
  );
}

function checkKeyProvider({ privateKeyProvider }: TlsCertificate, problems: Problems): void {
  if (privateKeyProvider === undefined) return;
  const at = problems.at('private_key_provider');
  // With `fallback` the private key takes the place of a provider that isn't there.
  if (privateKeyProvider.fallback) at.unsupported('provider_name');
  else at.error(`Failed to load private key provider: ${privateKeyProvider.providerName}`);
}

function buildStaple({ ocspStaple }: TlsCertificate, problems: Problems): Uint8Array | undefined {
  if (ocspStaple?.specifier.case === 'inlineString') {
    problems.error('OCSP staple cannot be provided via inline_string');
    return undefined;
  }
  const { bytes } = readSecretData(ocspStaple, true, problems);
  return bytes.length === 0 ? undefined : bytes;
}

function buildPkcs12(
  message: TlsCertificate,
  passphrase: string | undefined,
  problems: Problems,
): Pick<TlsCertificateModel, 'pkcs12' | 'path'> {
  const others = [
    ['private_key', message.privateKey],
    ['certificate_chain', message.certificateChain],
    ['private_key_provider', message.privateKeyProvider],
  ] as const;
  for (const [field, value] of others)
    if (value !== undefined) problems.error(`Certificate configuration can't have both pkcs12 and ${field}`);
  const { bytes, path } = readSecretData(message.pkcs12, true, problems.at('pkcs12'));
  if (bytes.length === 0) problems.error('Failed to load certificate chain from ');
  else
    try {
      createSecureContext({ pfx: bytes, ...(passphrase !== undefined && { passphrase }) });
    } catch {
      problems.error(`Failed to load pkcs12 from ${path}`);
    }
  return { pkcs12: bytes, path };
}
