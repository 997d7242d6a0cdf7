/** Groups for key exchange by the names that Envoy takes, as OpenSSL calls them. */
const GROUPS: Readonly<Record<string, string>> = {
  'P-256': 'P-256',
  prime256v1: 'P-256',
  'P-384': 'P-384',
  secp384r1: 'P-384',
  'P-521': 'P-521',
  secp521r1: 'P-521',
  X25519: 'X25519',
  x25519: 'X25519',
  X25519MLKEM768: 'X25519MLKEM768',
  MLKEM1024: 'MLKEM1024',
};

/** Envoy's default of both sides. */
export const DEFAULT_CURVES = 'X25519MLKEM768:X25519:P-256';

/** A `:`-separated list of groups in OpenSSL's words; undefined if one is unknown. */
export function selectCurves(list: string): string | undefined {
  const names = list.split(':').map((name) => (Object.hasOwn(GROUPS, name) ? GROUPS[name] : undefined));
  return names.includes(undefined) ? undefined : names.join(':');
}

/** Signature algorithms by the names that Envoy takes, as OpenSSL calls them; '' = it has none like it. */
const SIGNATURE_ALGORITHMS: Readonly<Record<string, string>> = {
  rsa_pkcs1_sha1: 'rsa_pkcs1_sha1',
  rsa_pkcs1_sha256: 'rsa_pkcs1_sha256',
  rsa_pkcs1_sha384: 'rsa_pkcs1_sha384',
  rsa_pkcs1_sha512: 'rsa_pkcs1_sha512',
  rsa_pkcs1_sha256_legacy: '',
  ecdsa_sha1: 'ecdsa_sha1',
  ecdsa_secp256r1_sha256: 'ecdsa_secp256r1_sha256',
  ecdsa_secp384r1_sha384: 'ecdsa_secp384r1_sha384',
  ecdsa_secp521r1_sha512: 'ecdsa_secp521r1_sha512',
  rsa_pss_rsae_sha256: 'rsa_pss_rsae_sha256',
  rsa_pss_rsae_sha384: 'rsa_pss_rsae_sha384',
  rsa_pss_rsae_sha512: 'rsa_pss_rsae_sha512',
  ed25519: 'ed25519',
  'RSA+SHA1': 'RSA+SHA1',
  'RSA+SHA256': 'RSA+SHA256',
  'RSA+SHA384': 'RSA+SHA384',
  'RSA+SHA512': 'RSA+SHA512',
  'RSA-PSS+SHA256': 'RSA-PSS+SHA256',
  'RSA-PSS+SHA384': 'RSA-PSS+SHA384',
  'RSA-PSS+SHA512': 'RSA-PSS+SHA512',
  'PSS+SHA256': 'RSA-PSS+SHA256',
  'PSS+SHA384': 'RSA-PSS+SHA384',
  'PSS+SHA512': 'RSA-PSS+SHA512',
  'ECDSA+SHA1': 'ECDSA+SHA1',
  'ECDSA+SHA256': 'ECDSA+SHA256',
  'ECDSA+SHA384': 'ECDSA+SHA384',
  'ECDSA+SHA512': 'ECDSA+SHA512',
};

/** A `:`-separated list of signature algorithms in OpenSSL's words; undefined if one is unknown. */
export function selectSignatureAlgorithms(list: string): string | undefined {
  const names = list
    .split(':')
    .map((name) => (Object.hasOwn(SIGNATURE_ALGORITHMS, name) ? SIGNATURE_ALGORITHMS[name] : undefined));
  return names.includes(undefined) ? undefined : names.filter((name) => name !== '').join(':');
}
