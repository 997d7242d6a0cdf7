import type { X509Certificate } from 'node:crypto';
import { Certificate } from '../../../lib/x509/certificate.ts';
import { derChildren, readDer } from '../../../lib/x509/der-reader.ts';

/** More certificates than anybody's chain has; each costs a signature check. */
const MAX_LENGTH = 10;
const MAX_CHECKS = 32;
const BASIC_CONSTRAINTS = '2.5.29.19';
const NAME_CONSTRAINTS = '2.5.29.30';
const ANY_PURPOSE = '2.5.29.37.0';

/**
 * The way from `leaf` by signatures of CAs to one of `anchors`, both included; the anchors may be intermediate CAs, or the
 * leaf. Undefined: there is none. Says nothing of times, names or purposes.
 */
export function findChainPath(
  leaf: X509Certificate,
  presented: readonly X509Certificate[],
  anchors: readonly X509Certificate[],
): readonly X509Certificate[] | undefined {
  if (anchors.some((anchor) => anchor.raw.equals(leaf.raw))) return [leaf];
  let checks = 0;
  const isIssuedBy = (subject: X509Certificate, issuer: X509Certificate): boolean =>
    subject.checkIssued(issuer) && ++checks <= MAX_CHECKS && subject.verify(issuer.publicKey);
  const walk = (path: readonly X509Certificate[]): readonly X509Certificate[] | undefined => {
    const last = path.at(-1)!;
    for (const anchor of anchors) if (isIssuedBy(last, anchor)) return [...path, anchor];
    if (path.length >= MAX_LENGTH) return undefined;
    for (const issuer of presented) {
      if (!issuer.ca || path.includes(issuer) || !isIssuedBy(last, issuer)) continue;
      const found = walk([...path, issuer]);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return walk([leaf]);
}

/**
 * Whether a path holds by what the library would have checked besides signatures and times: purpose and path lengths.
 * Name constraints are beyond us: a path with any doesn't hold.
 */
export function pathIsPermitted(path: readonly X509Certificate[], purpose: string): boolean {
  const [leaf, ...issuers] = path;
  const purposes = leaf!.keyUsage;
  if (purposes !== undefined && !purposes.includes(purpose) && !purposes.includes(ANY_PURPOSE)) return false;
  return issuers.every((issuer, above) => {
    const certificate = Certificate.read(issuer.raw);
    if (certificate === undefined || certificate.extension(NAME_CONSTRAINTS) !== undefined) return false;
    // The intermediates between this one and the leaf.
    return above <= pathLength(certificate);
  });
}

/** pathLenConstraint (RFC 5280 section 4.2.1.9); Infinity = none. */
function pathLength(certificate: Certificate): number {
  const constraints = derChildren(readDer(certificate.extension(BASIC_CONSTRAINTS) ?? Buffer.alloc(0)));
  const length = constraints.find(({ tag }) => tag === 0x02);
  if (length === undefined) return Infinity;
  return length.content.length === 1 ? length.content[0]! : Infinity;
}
