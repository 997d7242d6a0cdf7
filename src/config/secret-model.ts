import type { StringMatcherModel } from './common-model.ts';

/**
 * What a builder makes of envoy.extensions.transport_sockets.tls.v3.Secret, and of the certificates and validation
 * contexts that stand inline in a TLS context. Files have been read: workers get PEM texts and bytes. Filled in by
 * builders/tls.
 */
export type SecretModel =
  | { readonly kind: 'certificate'; readonly name: string; readonly value: TlsCertificateModel }
  | { readonly kind: 'validation'; readonly name: string; readonly value: CertificateValidationModel }
  | { readonly kind: 'ticket-keys'; readonly name: string; readonly value: TicketKeysModel }
  | { readonly kind: 'generic'; readonly name: string; readonly value: GenericSecretModel };

/**
 * A secret's value, or the name under which workers find it in their secret set. What comes from a file or from
 * discovery goes by name, so that it can rotate without a change of the listener or cluster that uses it.
 */
export type SecretSource<Value> =
  { readonly kind: 'inline'; readonly value: Value } | { readonly kind: 'secret'; readonly name: string };

/** What the names of secrets from discovery (SDS) begin with. */
export const DISCOVERED_SECRET = 'sds:';

/** transport_sockets.tls.v3.GenericSecret: whatever a filter needs that is nobody else's business. */
export interface GenericSecretModel {
  readonly secret: Uint8Array;
  /** Further ones, by name. */
  readonly secrets: Readonly<Record<string, Uint8Array>>;
}

/** transport_sockets.tls.v3.TlsCertificate. */
export interface TlsCertificateModel {
  /** What stands for it in stat names (`ssl.certificate.<name>.`). */
  readonly statName: string;
  /** Where it came from, for `/certs`: the file, or `<inline>`. */
  readonly path: string;
  /** PEM: the leaf first. '' with `pkcs12`. */
  readonly certificateChain: string;
  /** PEM. '' with `pkcs12`. */
  readonly privateKey: string;
  readonly password: string | undefined;
  readonly pkcs12: Uint8Array | undefined;
  /** A DER OCSP response to staple. */
  readonly ocspStaple: Uint8Array | undefined;
}

/** transport_sockets.tls.v3.TlsSessionTicketKeys: the first key encrypts, all decrypt. 80 bytes each. */
export interface TicketKeysModel {
  readonly keys: readonly Uint8Array[];
}

/** transport_sockets.tls.v3.CertificateValidationContext. */
export interface CertificateValidationModel {
  /** What stands for it in stat names (`ssl.certificate.<name>.`). */
  readonly statName: string;
  /** Where it came from, for `/certs`: the file, or `<inline>`. */
  readonly path: string;
  /** PEM; '' = none. */
  readonly trustedCa: string;
  /** The roots of the system are trusted as well (`system_root_certs`). */
  readonly systemRoots: boolean;
  /** PEM; '' = none. */
  readonly crl: string;
  readonly onlyVerifyLeafCertCrl: boolean;
  /** Lower-case hex of the SHA-256 of the DER certificate. */
  readonly verifyCertificateHash: readonly string[];
  /** Base64 of the SHA-256 of the DER SubjectPublicKeyInfo. */
  readonly verifyCertificateSpki: readonly string[];
  readonly subjectAltNames: readonly SubjectAltNameMatcherModel[];
  readonly allowExpiredCertificate: boolean;
  /** `accept-untrusted`: a certificate that fails is accepted, and known as not validated. */
  readonly trustChainVerification: 'verify' | 'accept-untrusted';
  readonly requireSignedCertificateTimestamp: boolean;
  /** max_verify_depth; undefined = the library's. */
  readonly maxVerifyDepth: number | undefined;
  /** The SPIFFE validator (extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig), which takes trustedCa's place. */
  readonly spiffeTrustDomains: readonly { readonly name: string; readonly trustBundle: string }[] | undefined;
}

export interface SubjectAltNameMatcherModel {
  /** `any`: the deprecated match_subject_alt_names, of no particular type. */
  readonly type: 'any' | 'email' | 'dns' | 'uri' | 'ip' | 'other-name';
  /** Dotted OID of an other-name. */
  readonly oid: string;
  readonly matcher: StringMatcherModel;
}
