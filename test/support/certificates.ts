import { createHash, createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import ipaddr from 'ipaddr.js';
import {
  bits,
  boolean,
  der,
  enumerated,
  explicit,
  generalizedTime,
  implicit,
  integer,
  octets,
  oid,
  pem,
  sequence,
  setOf,
  time,
  utf8,
} from './x509/der.ts';

/**
 * Certificates, CRLs and OCSP responses for tests, made with nothing but node:crypto:
 *
 *     const ca = CertificateAuthority.create();
 *     const server = ca.issue({ dns: ['a.test'] });
 *     tls.createServer({ cert: server.chain, key: server.key, ca: ca.certificate })
 */

export type KeyKind = 'p256' | 'p384' | 'rsa' | 'rsa1024' | 'ed25519';

export interface CertificateOptions {
  /** Relative distinguished names, most significant first; a list inside is a multi-valued one. Default: CN only. */
  readonly subject?: readonly (NameAttribute | readonly NameAttribute[])[];
  /** The CN of the default subject. '' = an empty subject. */
  readonly commonName?: string;
  readonly dns?: readonly string[];
  readonly uri?: readonly string[];
  readonly email?: readonly string[];
  readonly ip?: readonly string[];
  /** UTF8String values. */
  readonly otherNames?: readonly { readonly oid: string; readonly value: string }[];
  /** Default p256: fast. RSA keys are made once a process and shared. */
  readonly key?: KeyKind;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  /** Hex. */
  readonly serial?: string;
  readonly extendedKeyUsage?: readonly ('server' | 'client')[];
  /** Bits of keyUsage. Default: digitalSignature and keyEncipherment; of a CA keyCertSign and cRLSign. */
  readonly keyUsage?: readonly KeyUsage[];
  /** TLS feature status_request (RFC 7633). */
  readonly mustStaple?: boolean;
}

export interface NameAttribute {
  /** `CN`, `O`, or a dotted OID. */
  readonly type: string;
  readonly value: string;
}

export type KeyUsage = 'digitalSignature' | 'keyEncipherment' | 'keyAgreement' | 'keyCertSign' | 'cRLSign';

export interface IssuedCertificate {
  readonly certificate: string;
  /** The certificate and the intermediates above it, without the root. */
  readonly chain: string;
  /** PKCS #8. */
  readonly key: string;
  readonly keyObject: KeyObject;
  readonly der: Buffer;
  /** Hex. */
  readonly serial: string;
}

const ATTRIBUTES: Readonly<Record<string, string>> = {
  CN: '2.5.4.3',
  C: '2.5.4.6',
  L: '2.5.4.7',
  ST: '2.5.4.8',
  O: '2.5.4.10',
  OU: '2.5.4.11',
  DC: '0.9.2342.19200300.100.1.25',
  emailAddress: '1.2.840.113549.1.9.1',
};
const KEY_USAGES: Readonly<Record<KeyUsage, number>> = {
  digitalSignature: 0x80,
  keyEncipherment: 0x20,
  keyAgreement: 0x08,
  keyCertSign: 0x04,
  cRLSign: 0x02,
};
const PURPOSES = { server: '1.3.6.1.5.5.7.3.1', client: '1.3.6.1.5.5.7.3.2' } as const;
const NULL = der(0x05);
const HOUR_MS = 3_600_000;

const shared = new Map<KeyKind, KeyPair>();
interface KeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

function makeKeys(kind: KeyKind): KeyPair {
  switch (kind) {
    case 'p256':
      return generateKeyPairSync('ec', { namedCurve: 'P-256' });
    case 'p384':
      return generateKeyPairSync('ec', { namedCurve: 'P-384' });
    case 'ed25519':
      return generateKeyPairSync('ed25519');
    default: {
      let keys = shared.get(kind);
      if (keys === undefined) {
        keys = generateKeyPairSync('rsa', { modulusLength: kind === 'rsa' ? 2048 : 1024 });
        shared.set(kind, keys);
      }
      return keys;
    }
  }
}

function algorithmOf(key: KeyObject): Buffer {
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return sequence(oid('1.2.840.113549.1.1.11'), NULL);
    case 'ed25519':
      return sequence(oid('1.3.101.112'));
    default:
      return sequence(oid('1.2.840.10045.4.3.2'));
  }
}

/** SEQUENCE { body, algorithm, signature }, as certificates, CRLs and OCSP responses are signed. */
function signed(body: Buffer, key: KeyObject, ...more: readonly Buffer[]): Buffer {
  const signature = sign(key.asymmetricKeyType === 'ed25519' ? null : 'sha256', body, key);
  return sequence(body, algorithmOf(key), bits(signature), ...more);
}

function nameOf({ subject, commonName = 'test' }: CertificateOptions): Buffer {
  const names = subject ?? (commonName === '' ? [] : [{ type: 'CN', value: commonName }]);
  return sequence(
    ...names.map((rdn) =>
      setOf(
        ...('type' in rdn ? [rdn] : rdn).map(({ type, value }) => sequence(oid(ATTRIBUTES[type] ?? type), utf8(value))),
      ),
    ),
  );
}

const extension = (id: string, critical: boolean, value: Buffer): Buffer =>
  sequence(oid(id), ...(critical ? [boolean(true)] : []), octets(value));

function subjectAltName({ dns = [], uri = [], email = [], ip = [], otherNames = [] }: CertificateOptions): Buffer[] {
  const text = (tag: number) => (value: string) => implicit(tag, Buffer.from(value, 'utf8'));
  const names = [
    ...otherNames.map((other) => explicit(0, oid(other.oid), explicit(0, utf8(other.value)))),
    ...email.map(text(1)),
    ...dns.map(text(2)),
    ...uri.map(text(6)),
    ...ip.map((address) => implicit(7, Buffer.from(ipaddr.parse(address).toByteArray()))),
  ];
  return names.length === 0 ? [] : [extension('2.5.29.17', false, sequence(...names))];
}

function keyUsage(usages: readonly KeyUsage[]): Buffer {
  const mask = usages.reduce((sum, usage) => sum | KEY_USAGES[usage], 0);
  let unused = 0;
  while (unused < 7 && (mask & (1 << unused)) === 0) unused++;
  return extension('2.5.29.15', true, bits(Buffer.from([mask]), unused));
}

interface Issuer {
  readonly name: Buffer;
  readonly key: KeyObject;
}

let nextSerial = 0x1000;

/** `subjectKey`: somebody else's public key, in place of one that is made. */
function make(options: CertificateOptions, isCa: boolean, issuer: Issuer | undefined, subjectKey?: KeyObject) {
  const { key = 'p256', serial = (nextSerial++).toString(16), extendedKeyUsage, mustStaple } = options;
  const { publicKey, privateKey } = makeKeys(key);
  const subject = nameOf(options);
  const signer = issuer ?? { name: subject, key: privateKey };
  const now = Date.now();
  const usages = options.keyUsage ?? (isCa ? ['keyCertSign', 'cRLSign'] : ['digitalSignature', 'keyEncipherment']);
  const extensions = [
    extension('2.5.29.19', true, sequence(...(isCa ? [boolean(true)] : []))),
    ...(usages.length === 0 ? [] : [keyUsage(usages)]),
    ...(extendedKeyUsage === undefined
      ? []
      : [extension('2.5.29.37', false, sequence(...extendedKeyUsage.map((purpose) => oid(PURPOSES[purpose]))))]),
    ...subjectAltName(options),
    ...(mustStaple === true ? [extension('1.3.6.1.5.5.7.1.24', false, sequence(integer('05')))] : []),
  ];
  const body = sequence(
    explicit(0, integer('02')),
    integer(serial),
    algorithmOf(signer.key),
    signer.name,
    sequence(
      time(options.notBefore ?? new Date(now - HOUR_MS)),
      time(options.notAfter ?? new Date(now + 365 * 24 * HOUR_MS)),
    ),
    subject,
    (subjectKey ?? publicKey).export({ type: 'spki', format: 'der' }),
    explicit(3, sequence(...extensions)),
  );
  const bytes = signed(body, signer.key);
  return { bytes, certificate: pem('CERTIFICATE', bytes), privateKey, subject, serial };
}

const keyPem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }) as string;

/** A certificate that vouches for itself. */
export function selfSigned(options: CertificateOptions = {}): IssuedCertificate {
  const { bytes, certificate, privateKey, serial } = make(options, false, undefined);
  return { certificate, chain: certificate, key: keyPem(privateKey), keyObject: privateKey, der: bytes, serial };
}

/** The private key, encrypted with a password. */
export function encryptedKey(issued: IssuedCertificate, passphrase: string): string {
  return issued.keyObject.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase }) as string;
}

/** Base64 of the SHA-256 of the public key: `verify_certificate_spki`. */
export function spkiHash({ keyObject }: IssuedCertificate): string {
  return createHash('sha256')
    .update(createPublicKey(keyObject).export({ type: 'spki', format: 'der' }))
    .digest('base64');
}

/** The BIT STRING at the end of a SubjectPublicKeyInfo: of P-256 and P-384 an uncompressed point, of RSA a sequence. */
function bitsOfKey(key: KeyObject): Buffer {
  if (key.asymmetricKeyType === 'rsa') return key.export({ type: 'pkcs1', format: 'der' });
  const { x = '', y = '' } = key.export({ format: 'jwk' });
  const point = Buffer.from(x, 'base64url');
  return y === '' ? point : Buffer.concat([Buffer.from([4]), point, Buffer.from(y, 'base64url')]);
}

/** A certificate authority: a root, or an intermediate under one. */
export class CertificateAuthority {
  readonly certificate: string;
  readonly key: string;
  readonly der: Buffer;
  readonly serial: string;
  readonly #issuer: Issuer;
  /** The subjectPublicKey of the certificate, without its algorithm. */
  readonly #publicKeyBits: Buffer;
  /** Intermediates from here up, PEM, without the root. */
  readonly #above: string;

  private constructor(options: CertificateOptions, issuer: Issuer | undefined, above: string) {
    const made = make(options, true, issuer);
    this.certificate = made.certificate;
    this.key = keyPem(made.privateKey);
    this.der = made.bytes;
    this.serial = made.serial;
    this.#issuer = { name: made.subject, key: made.privateKey };
    this.#publicKeyBits = bitsOfKey(createPublicKey(made.privateKey));
    this.#above = issuer === undefined ? '' : made.certificate + above;
  }

  static create(options: CertificateOptions = {}): CertificateAuthority {
    return new CertificateAuthority({ commonName: 'test root', ...options }, undefined, '');
  }

  intermediate(options: CertificateOptions = {}): CertificateAuthority {
    return new CertificateAuthority({ commonName: 'test intermediate', ...options }, this.#issuer, this.#above);
  }

  issue(options: CertificateOptions = {}): IssuedCertificate {
    const { bytes, certificate, privateKey, serial } = make(options, false, this.#issuer);
    const chain = certificate + this.#above;
    return { certificate, chain, key: keyPem(privateKey), keyObject: privateKey, der: bytes, serial };
  }

  /** A certificate for somebody else's key. */
  certify(publicKey: KeyObject, options: CertificateOptions = {}): string {
    return make(options, false, this.#issuer, publicKey).certificate;
  }

  /** A SPIFFE workload certificate: no names but the URI, for both sides. */
  issueSpiffe(id: string, options: CertificateOptions = {}): IssuedCertificate {
    return this.issue({ commonName: '', uri: [id], extendedKeyUsage: ['server', 'client'], ...options });
  }

  /** A CRL that revokes certificates of these serials (hex), PEM. */
  crl(serials: readonly string[] = [], nextUpdate = new Date(Date.now() + 24 * HOUR_MS)): string {
    const now = new Date(Date.now() - HOUR_MS);
    const entries = serials.map((serial) => sequence(integer(serial), time(now)));
    const body = sequence(
      integer('01'),
      algorithmOf(this.#issuer.key),
      this.#issuer.name,
      time(now),
      time(nextUpdate),
      ...(entries.length === 0 ? [] : [sequence(...entries)]),
      explicit(0, sequence(extension('2.5.29.20', false, integer('01')))),
    );
    return pem('X509 CRL', signed(body, this.#issuer.key));
  }

  /** A DER OCSP response about a certificate (RFC 6960). */
  ocsp(
    { serial }: { readonly serial: string },
    {
      status = 'good',
      thisUpdate = new Date(Date.now() - HOUR_MS),
      nextUpdate = new Date(Date.now() + 24 * HOUR_MS),
    }: { status?: 'good' | 'revoked' | 'unknown'; thisUpdate?: Date; nextUpdate?: Date | null } = {},
  ): Buffer {
    const sha1 = (bytes: Uint8Array): Buffer => createHash('sha1').update(bytes).digest();
    const certId = sequence(
      sequence(oid('1.3.14.3.2.26'), NULL),
      octets(sha1(this.#issuer.name)),
      octets(sha1(this.#publicKeyBits)),
      integer(serial),
    );
    const state =
      status === 'good'
        ? implicit(0, Buffer.alloc(0))
        : status === 'revoked'
          ? explicit(1, generalizedTime(thisUpdate))
          : implicit(2, Buffer.alloc(0));
    const single = sequence(
      certId,
      state,
      generalizedTime(thisUpdate),
      ...(nextUpdate === null ? [] : [explicit(0, generalizedTime(nextUpdate))]),
    );
    const data = sequence(explicit(1, this.#issuer.name), generalizedTime(thisUpdate), sequence(single));
    const basic = signed(data, this.#issuer.key);
    return sequence(enumerated(0), explicit(0, sequence(oid('1.3.6.1.5.5.7.48.1.1'), octets(basic))));
  }
}
