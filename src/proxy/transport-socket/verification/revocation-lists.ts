import { verify, type KeyObject, type X509Certificate } from 'node:crypto';
import type { Certificate } from '../../../lib/x509/certificate.ts';
import { derChildren, integerHex, oidText, readDer, timeMs } from '../../../lib/x509/der-reader.ts';
import { readPem } from '../../../lib/x509/pem.ts';

/** A CRL (RFC 5280 section 5). */
interface RevocationList {
  readonly rawIssuer: Buffer;
  readonly nextUpdateMs: number;
  readonly serials: ReadonlySet<string>;
  readonly signed: Buffer;
  readonly algorithm: string;
  readonly signature: Buffer;
}

/** Signature algorithm -> hash; '' = its own. */
const HASHES: Readonly<Record<string, string>> = {
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
  '1.3.101.112': '',
};

/** As Node names what OpenSSL finds. */
export type RevocationError = 'CERT_REVOKED' | 'UNABLE_TO_GET_CRL' | 'CRL_HAS_EXPIRED' | 'CRL_SIGNATURE_FAILURE';

/**
 * The CRLs of a validation context, for those checks that Node can't have the library do: of the leaf alone, and where
 * times don't count.
 */
export class RevocationLists {
  readonly #lists: readonly RevocationList[];

  constructor(pem: string) {
    this.#lists = (readPem(pem) ?? [])
      .filter(({ label }) => label === 'X509 CRL')
      .map(({ der }) => readList(der))
      .filter((list) => list !== undefined);
  }

  /** `nowMs`: undefined = lists don't expire. */
  check(certificate: Certificate, issuer: X509Certificate, nowMs: number | undefined): RevocationError | undefined {
    const list = this.#lists.find(({ rawIssuer }) => rawIssuer.equals(certificate.rawIssuer));
    if (list === undefined) return 'UNABLE_TO_GET_CRL';
    if (!isSigned(list, issuer.publicKey)) return 'CRL_SIGNATURE_FAILURE';
    if (nowMs !== undefined && list.nextUpdateMs < nowMs) return 'CRL_HAS_EXPIRED';
    return list.serials.has(certificate.serial) ? 'CERT_REVOKED' : undefined;
  }
}

function isSigned({ signed, algorithm, signature }: RevocationList, key: KeyObject): boolean {
  const hash = HASHES[algorithm];
  if (hash === undefined) return false;
  try {
    return verify(hash === '' ? null : hash, signed, key, signature);
  } catch {
    return false;
  }
}

function readList(der: Buffer): RevocationList | undefined {
  const [signed, algorithm, signature] = derChildren(readDer(der));
  const fields = derChildren(signed);
  if (fields[0]?.tag === 0x02) fields.shift();
  const [, issuer, thisUpdate, ...rest] = fields;
  const name = derChildren(algorithm)[0];
  if (signed === undefined || signature === undefined || issuer === undefined || thisUpdate === undefined) return;
  if (name === undefined) return undefined;
  const hasNext = rest[0]?.tag === 0x17 || rest[0]?.tag === 0x18;
  const entries = rest.find(({ tag }) => tag === 0x30);
  const serials = new Set<string>();
  for (const entry of derChildren(entries)) {
    const [serial] = derChildren(entry);
    if (serial !== undefined) serials.add(integerHex(serial.content));
  }
  return {
    rawIssuer: issuer.whole,
    nextUpdateMs: hasNext ? timeMs(rest[0]!) : Infinity,
    serials,
    signed: signed.whole,
    algorithm: oidText(name.content),
    signature: signature.content.subarray(1),
  };
}
