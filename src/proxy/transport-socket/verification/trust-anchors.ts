import { X509Certificate } from 'node:crypto';
import { isCertificateBlock, readPem } from '../../../lib/x509/pem.ts';

/** The certificates of a PEM text, those that can be read; parsed on first use, since few checks need them. */
export class TrustAnchors {
  readonly #pem: string;
  #certificates: readonly X509Certificate[] | undefined;

  constructor(pem: string) {
    this.#pem = pem;
  }

  get certificates(): readonly X509Certificate[] {
    return (this.#certificates ??= readCertificates(this.#pem));
  }
}

function readCertificates(pem: string): X509Certificate[] {
  const certificates: X509Certificate[] = [];
  for (const block of readPem(pem) ?? []) {
    if (!isCertificateBlock(block)) continue;
    try {
      certificates.push(new X509Certificate(block.der));
    } catch {
      // The builder has told of what it can't read.
    }
  }
  return certificates;
}
