import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import type { CertificateValidationModel } from '../../../config/secret-model.ts';
import { Certificate } from '../../../lib/x509/certificate.ts';
import { chainFailure, verificationFailure, type TlsFailure } from '../tls-failure.ts';
import { findChainPath, pathIsPermitted } from './chain-path.ts';
import { RevocationLists, type RevocationError } from './revocation-lists.ts';
import { SpiffeTrust } from './spiffe-trust.ts';
import { dnsNameMatches, hasOneOfNames, listNames, SubjectAltNameMatcher } from './subject-alt-name-matcher.ts';
import { TrustAnchors } from './trust-anchors.ts';

/** Whether a peer may stay. */
export interface PeerVerdict {
  /** Something was checked, and nothing was wrong. */
  readonly validated: boolean;
  /** What was wrong. With `trust_chain_verification: ACCEPT_UNTRUSTED` the peer may stay all the same. */
  readonly failure: TlsFailure | undefined;
  readonly accepted: boolean;
}

/** What one connection asks for besides the validation context. */
export interface ExpectedNames {
  /** One of these; empty = the context's matchers alone. */
  readonly subjectAltNames: readonly string[];
  /** auto_sni_san_validation: the SNI that was sent takes the matchers' place; '' = not asked for. */
  readonly serverName: string;
}

export const NOTHING_EXPECTED: ExpectedNames = { subjectAltNames: [], serverName: '' };

const VALIDATED: PeerVerdict = { validated: true, failure: undefined, accepted: true };
const NOT_VALIDATED: PeerVerdict = { validated: false, failure: undefined, accepted: true };
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
/** The chain leads nowhere, and nothing else is wrong with it: later checks would have told. */
const UNANCHORED: ReadonlySet<string> = new Set([
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);
/** More certificates in a chain than we look at. */
const MAX_PRESENTED = 16;

/**
 * What a validation context demands of peers, checked once a handshake is done. The library has verified the chain by
 * then (its verdict is `authorizationError`); what it can't be told through Node is checked here.
 */
export class PeerVerifier {
  /** The chain has to lead to a trusted CA. */
  readonly verifiesChain: boolean;
  /** A client without a certificate is refused, whether the context requires one or not. */
  readonly needsCertificate: boolean;
  /** The CRLs are ours to check: the library must not get them. */
  readonly checksRevocation: boolean;
  /** The library's verdict on a chain is final: nothing that it refuses is accepted. */
  readonly trustsLibrary: boolean;
  /**
   * The chain is looked at here too. A resumed session has no chain: clients must not be able to resume what was refused
   * after its handshake, and we resume only what was accepted.
   */
  readonly checksPath: boolean;

  readonly #model: CertificateValidationModel;
  readonly #purpose: string;
  readonly #matchers: readonly SubjectAltNameMatcher[];
  readonly #anchors: TrustAnchors;
  readonly #spiffe: SpiffeTrust | undefined;
  readonly #revocation: RevocationLists | undefined;
  /** A CA is trusted that isn't a root: Node's TLS servers can't have the library stop there. */
  readonly #trustsIntermediates: boolean;
  readonly #maxIntermediates: number;
  readonly #acceptsUntrusted: boolean;

  constructor(model: CertificateValidationModel, peer: 'client' | 'server') {
    this.#model = model;
    this.#purpose = peer === 'client' ? CLIENT_AUTH : SERVER_AUTH;
    const { spiffeTrustDomains, subjectAltNames, allowExpiredCertificate, maxVerifyDepth } = model;
    this.#spiffe = spiffeTrustDomains === undefined ? undefined : new SpiffeTrust(spiffeTrustDomains);
    // Only URIs are of interest in an SVID.
    const matchers =
      this.#spiffe === undefined ? subjectAltNames : subjectAltNames.filter(({ type }) => type === 'uri');
    this.#matchers = matchers.map((matcher) => new SubjectAltNameMatcher(matcher));
    this.#anchors = new TrustAnchors(model.trustedCa);
    this.#acceptsUntrusted = this.#spiffe === undefined && model.trustChainVerification === 'accept-untrusted';
    this.verifiesChain = model.trustedCa !== '' || model.systemRoots || this.#spiffe !== undefined;
    this.checksRevocation = model.crl !== '' && (model.onlyVerifyLeafCertCrl || allowExpiredCertificate);
    this.#revocation = this.checksRevocation ? new RevocationLists(model.crl) : undefined;
    // As documented, the trust anchor counts.
    this.#maxIntermediates = maxVerifyDepth === undefined ? Infinity : Math.max(0, maxVerifyDepth - 1);
    this.needsCertificate =
      !this.#acceptsUntrusted && (this.#spiffe !== undefined || this.#matchers.length > 0 || this.#hasPins);
    this.#trustsIntermediates = this.#anchors.certificates.some(({ subject, issuer }) => subject !== issuer);
    this.checksPath =
      this.#trustsIntermediates ||
      this.#spiffe !== undefined ||
      this.checksRevocation ||
      allowExpiredCertificate ||
      this.#maxIntermediates !== Infinity;
    this.trustsLibrary =
      this.verifiesChain && !allowExpiredCertificate && !this.#acceptsUntrusted && !this.#trustsIntermediates;
  }

  /** Whether a peer's certificate is looked at in any way. */
  get isActive(): boolean {
    return this.verifiesChain || this.needsCertificate || this.#acceptsUntrusted;
  }

  /** Of a socket whose handshake is done and whose peer has sent `leaf`. */
  verify(socket: TLSSocket, leaf: X509Certificate | undefined, expected: ExpectedNames, nowMs: number): PeerVerdict {
    const certificate = leaf === undefined ? undefined : Certificate.read(leaf.raw);
    if (leaf === undefined || certificate === undefined)
      return this.#refuse(verificationFailure('fail_verify_error', 'empty cert chain'));
    let validated = false;
    if (this.verifiesChain) {
      const resumed = this.checksPath && socket.isSessionReused();
      const failure = resumed ? undefined : this.#verifyChain(leaf, certificate, errorCode(socket), nowMs);
      if (failure !== undefined) return this.#refuse(failure);
      validated = true;
    }
    const { subjectAltNames, serverName } = expected;
    if (subjectAltNames.length > 0) {
      if (!hasOneOfNames(certificate, subjectAltNames)) {
        const names = `expected SANs: [${subjectAltNames.join(', ')}], certificate SANs: [${listNames(certificate)}]`;
        return this.#refuse(verificationFailure('fail_verify_san', `verify SAN list, ${names}`));
      }
      validated = true;
    }
    const byServerName = serverName !== '' && subjectAltNames.length === 0;
    if (byServerName || this.#matchers.length > 0) {
      if (!(byServerName ? isFor(certificate, serverName) : this.#matches(certificate)))
        return this.#refuse(this.#sanFailure(certificate));
      validated = true;
    }
    if (this.#hasPins) {
      const { verifyCertificateHash, verifyCertificateSpki } = this.#model;
      if (
        !verifyCertificateHash.includes(certificate.fingerprint256) &&
        !verifyCertificateSpki.includes(certificate.spkiHash)
      )
        return this.#refuse(verificationFailure('fail_verify_cert_hash', 'cert hash and spki'));
      validated = true;
    }
    return validated ? VALIDATED : NOT_VALIDATED;
  }

  get #hasPins(): boolean {
    return this.#model.verifyCertificateHash.length > 0 || this.#model.verifyCertificateSpki.length > 0;
  }

  #refuse(failure: TlsFailure): PeerVerdict {
    return { validated: false, failure, accepted: this.#acceptsUntrusted };
  }

  #matches(certificate: Certificate): boolean {
    return this.#matchers.some((matcher) => certificate.subjectAltNames.some((name) => matcher.matches(name)));
  }

  #sanFailure(certificate: Certificate): TlsFailure {
    if (this.#spiffe !== undefined) return verificationFailure('fail_verify_san', 'SAN match');
    return verificationFailure('fail_verify_san', `SAN matcher, certificate SANs are [${listNames(certificate)}]`);
  }

  /** `error`: the library's verdict, '' if it is content. */
  #verifyChain(leaf: X509Certificate, certificate: Certificate, error: string, nowMs: number): TlsFailure | undefined {
    const precheck = this.#spiffe?.precheck(certificate);
    if (precheck !== undefined) return verificationFailure('fail_verify_error', precheck);
    // Times are checked last, so that this error may hide another: then all is checked here.
    const onlyTimes =
      this.#model.allowExpiredCertificate && (error === 'CERT_HAS_EXPIRED' || error === 'CERT_NOT_YET_VALID');
    const unanchored = this.#trustsIntermediates && UNANCHORED.has(error);
    if (error !== '' && !onlyTimes && !unanchored) return chainFailure(error, presentedChain(leaf).length);
    const needsPath = onlyTimes || unanchored || this.#spiffe !== undefined || this.checksRevocation;
    if (!needsPath && this.#maxIntermediates === Infinity) return undefined;

    const presented = presentedChain(leaf);
    const path =
      this.#spiffe === undefined
        ? findChainPath(leaf, presented, this.#anchors.certificates)
        : this.#spiffe.findPath(certificate, leaf, presented);
    if (path === undefined) {
      // The roots of the system aren't ours to search.
      if (this.#model.systemRoots && !needsPath) return undefined;
      return chainFailure('UNABLE_TO_GET_ISSUER_CERT_LOCALLY', presented.length);
    }
    if (onlyTimes && !pathIsPermitted(path, this.#purpose)) return chainFailure('INVALID_PURPOSE');
    if (path.length - 2 > this.#maxIntermediates)
      return chainFailure('UNABLE_TO_GET_ISSUER_CERT_LOCALLY', this.#maxIntermediates + 1);
    const revoked = this.#revocation === undefined ? undefined : this.#checkRevocation(path, nowMs);
    return revoked === undefined ? undefined : chainFailure(revoked);
  }

  #checkRevocation(path: readonly X509Certificate[], nowMs: number): RevocationError | undefined {
    const last = this.#model.onlyVerifyLeafCertCrl ? 1 : path.length - 1;
    const now = this.#model.allowExpiredCertificate ? undefined : nowMs;
    for (let i = 0; i < last && i + 1 < path.length; i++) {
      const certificate = Certificate.read(path[i]!.raw);
      const error =
        certificate === undefined ? 'UNABLE_TO_GET_CRL' : this.#revocation!.check(certificate, path[i + 1]!, now);
      if (error !== undefined) return error;
    }
    return undefined;
  }
}

const isFor = (certificate: Certificate, name: string): boolean =>
  certificate.subjectAltNames.some(
    ({ type, value }) => type === 'dns' && !value.includes('\0') && dnsNameMatches(name, value),
  );

/** Node has typed it as an Error; it is the code of one. */
function errorCode(socket: TLSSocket): string {
  if (socket.authorized) return '';
  const error: unknown = socket.authorizationError;
  if (typeof error === 'string') return error;
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'CERT_UNTRUSTED';
}

/** What the peer sent after its leaf, as far as it is a chain. */
function presentedChain(leaf: X509Certificate): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let next = leaf.issuerCertificate;
  while (next !== undefined && chain.length < MAX_PRESENTED && !chain.some(({ raw }) => raw.equals(next!.raw))) {
    chain.push(next);
    next = next.issuerCertificate;
  }
  return chain;
}
