import type { X509Certificate } from 'node:crypto';
import type { Certificate } from '../../../lib/x509/certificate.ts';
import { readDer } from '../../../lib/x509/der-reader.ts';
import { findChainPath } from './chain-path.ts';
import { TrustAnchors } from './trust-anchors.ts';

const SCHEME = 'spiffe://';
const BASIC_CONSTRAINTS = '2.5.29.19';
const KEY_USAGE = '2.5.29.15';
/** Bits of the first byte of keyUsage: keyCertSign and cRLSign. */
const SIGNS_OTHERS = 0x04 | 0x02;

/** The SPIFFE validator's trust domains: each certificate is one of its own domain's bundle, and of no other. */
export class SpiffeTrust {
  readonly #domains: ReadonlyMap<string, TrustAnchors>;

  constructor(domains: readonly { readonly name: string; readonly trustBundle: string }[]) {
    this.#domains = new Map(domains.map(({ name, trustBundle }) => [name, new TrustAnchors(trustBundle)]));
  }

  /** What is wrong with the leaf itself, in Envoy's words. */
  precheck(leaf: Certificate): string | undefined {
    if (isCa(leaf)) return 'cert precheck';
    return this.#domains.has(trustDomain(leaf)) ? undefined : 'no trust bundle store';
  }

  /** The path to the bundle of the leaf's trust domain. */
  findPath(
    certificate: Certificate,
    leaf: X509Certificate,
    presented: readonly X509Certificate[],
  ): readonly X509Certificate[] | undefined {
    const anchors = this.#domains.get(trustDomain(certificate));
    return anchors === undefined ? undefined : findChainPath(leaf, presented, anchors.certificates);
  }
}

/** Of the first URI; '' = none. */
function trustDomain(leaf: Certificate): string {
  const [id = ''] = leaf.sans('uri');
  if (!id.startsWith(SCHEME)) return '';
  const slash = id.indexOf('/', SCHEME.length);
  return slash === -1 ? '' : id.slice(SCHEME.length, slash);
}

function isCa(leaf: Certificate): boolean {
  const constraints = leaf.extension(BASIC_CONSTRAINTS);
  // SEQUENCE { BOOLEAN TRUE, ... }
  if (constraints !== undefined && readDer(readDer(constraints)?.content ?? constraints)?.tag === 0x01) return true;
  const usage = leaf.extension(KEY_USAGE);
  const bits = usage === undefined ? undefined : readDer(usage)?.content;
  return bits !== undefined && ((bits[1] ?? 0) & SIGNS_OTHERS) !== 0;
}
