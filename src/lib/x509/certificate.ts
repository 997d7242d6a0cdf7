import { createHash } from 'node:crypto';
import { formatIpBytes } from '../ip-address.ts';
import { derChildren, integerHex, oidText, readDer, stringText, timeMs, type DerElement } from './der-reader.ts';
import { nameText, nameValues } from './distinguished-name.ts';
import { pemOf } from './pem.ts';

export type SubjectAltNameType = 'other-name' | 'email' | 'dns' | 'uri' | 'ip';

export interface SubjectAltName {
  readonly type: SubjectAltNameType;
  readonly value: string;
  /** Of an other-name. */
  readonly oid: string;
}

const TYPES: Readonly<Record<number, SubjectAltNameType>> = {
  0xa0: 'other-name',
  0x81: 'email',
  0x82: 'dns',
  0x86: 'uri',
  0x87: 'ip',
};
const SUBJECT_ALT_NAME = '2.5.29.17';
const TLS_FEATURE = '1.3.6.1.5.5.7.1.24';
const COMMON_NAME = '2.5.4.3';

/** What proxies want to know of a certificate (RFC 5280), read on first use. Verifies nothing. */
export class Certificate {
  /** DER. */
  readonly raw: Buffer;
  /** The fields of the TBSCertificate, without its version. */
  readonly #fields: readonly DerElement[];
  #sans: readonly SubjectAltName[] | undefined;
  #subject: string | undefined;
  #issuer: string | undefined;
  #sha256: string | undefined;
  #sha1: string | undefined;
  #pem: string | undefined;

  private constructor(raw: Buffer, fields: readonly DerElement[]) {
    this.raw = raw;
    this.#fields = fields;
  }

  /** Undefined for what isn't a certificate. `der` is kept, not copied. */
  static read(der: Buffer): Certificate | undefined {
    const whole = readDer(der);
    const [body] = derChildren(whole);
    const fields = derChildren(body);
    if (fields[0]?.tag === 0xa0) fields.shift();
    return whole === undefined || fields.length < 6 ? undefined : new Certificate(whole.whole, fields);
  }

  /** Lower-case hex of whole bytes. */
  get serial(): string {
    return integerHex(this.#fields[0]!.content);
  }

  /** RFC 2253; '' if it is empty. */
  get subject(): string {
    return (this.#subject ??= nameText(this.#fields[4]));
  }

  /** RFC 2253. */
  get issuer(): string {
    return (this.#issuer ??= nameText(this.#fields[2]));
  }

  /** The common names of the subject. */
  get commonNames(): readonly string[] {
    return nameValues(this.#fields[4], COMMON_NAME);
  }

  /** The subject's Name, DER. */
  get rawSubject(): Buffer {
    return this.#fields[4]!.whole;
  }

  /** The issuer's Name, DER. */
  get rawIssuer(): Buffer {
    return this.#fields[2]!.whole;
  }

  /** Start of validity, ms since the epoch; NaN if it is malformed. */
  get validFromMs(): number {
    const [from] = derChildren(this.#fields[3]);
    return from === undefined ? Number.NaN : timeMs(from);
  }

  /** End of validity, ms since the epoch; NaN if it is malformed. */
  get validToMs(): number {
    const to = derChildren(this.#fields[3])[1];
    return to === undefined ? Number.NaN : timeMs(to);
  }

  /** SubjectPublicKeyInfo, DER. */
  get publicKeyInfo(): Buffer {
    return this.#fields[5]!.whole;
  }

  /** Base64 of the SHA-256 of the SubjectPublicKeyInfo. */
  get spkiHash(): string {
    return createHash('sha256').update(this.publicKeyInfo).digest('base64');
  }

  /** Lower-case hex. */
  get fingerprint256(): string {
    return (this.#sha256 ??= createHash('sha256').update(this.raw).digest('hex'));
  }

  /** Lower-case hex. */
  get fingerprint1(): string {
    return (this.#sha1 ??= createHash('sha1').update(this.raw).digest('hex'));
  }

  /** All names of the subjectAltName extension, in its order, but directory names and registered ids. */
  get subjectAltNames(): readonly SubjectAltName[] {
    return (this.#sans ??= this.#readSubjectAltNames());
  }

  sans(type: SubjectAltNameType): string[] {
    return this.subjectAltNames.filter((san) => san.type === type).map(({ value }) => value);
  }

  /** Whether the extension is there, whatever it holds. */
  get hasSubjectAltNames(): boolean {
    return this.extension(SUBJECT_ALT_NAME) !== undefined;
  }

  /** Promises a stapled OCSP response (RFC 7633). */
  get mustStaple(): boolean {
    return derChildren(readDer(this.extension(TLS_FEATURE) ?? Buffer.alloc(0))).some(
      ({ content }) => integerHex(content) === '05',
    );
  }

  /** The DER value of an extension. */
  extension(oid: string): Buffer | undefined {
    const extensions = this.#fields.find(({ tag }) => tag === 0xa3);
    for (const extension of derChildren(derChildren(extensions)[0])) {
      const parts = derChildren(extension);
      if (parts[0] !== undefined && oidText(parts[0].content) === oid) return parts.at(-1)!.content;
    }
    return undefined;
  }

  /** With a line end behind it. */
  get pem(): string {
    return (this.#pem ??= pemOf('CERTIFICATE', this.raw));
  }

  /** The PEM text as XFCC and logs carry it. */
  get encodedPem(): string {
    return percentEncodedPem(this.pem);
  }

  #readSubjectAltNames(): SubjectAltName[] {
    const names: SubjectAltName[] = [];
    for (const element of derChildren(readDer(this.extension(SUBJECT_ALT_NAME) ?? Buffer.alloc(0)))) {
      const type = TYPES[element.tag];
      if (type === undefined) continue;
      if (type === 'other-name') {
        const [oid, value] = derChildren(element);
        const inner = derChildren(value)[0];
        if (oid !== undefined && inner !== undefined)
          names.push({ type, oid: oidText(oid.content), value: otherNameText(inner) });
      } else {
        const { content } = element;
        names.push({ type, oid: '', value: type === 'ip' ? formatIpBytes(content) : content.toString('latin1') });
      }
    }
    return names;
  }
}

/** What stands in an other-name: texts as they are, numbers in decimals, everything else as its bytes. */
function otherNameText(element: DerElement): string {
  const { tag, content } = element;
  switch (tag) {
    case 0x05:
      return '';
    case 0x01:
      return content[0] === 0 ? 'false' : 'true';
    case 0x02:
    case 0x0a:
      return content.length === 0
        ? '0'
        : BigInt.asIntN(content.length * 8, BigInt(`0x${content.toString('hex')}`)).toString();
    case 0x03:
      return content.toString('latin1', 1);
    case 0x06:
      return oidText(content);
    case 0x0c:
      return content.toString('latin1');
    case 0x30:
    case 0x31:
      return element.whole.toString('latin1');
    default:
      return stringText(element) ?? content.toString('latin1');
  }
}

const ESCAPES: Readonly<Record<string, string>> = { '\n': '%0A', ' ': '%20', '+': '%2B', '/': '%2F', '=': '%3D' };

/** PEM as it stands in headers: what can't be in a quoted value is percent-encoded. */
export function percentEncodedPem(pem: string): string {
  return pem.replace(/[\n +/=]/g, (char) => ESCAPES[char]!);
}
