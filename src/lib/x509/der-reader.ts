/** One element of DER (X.690): views of the bytes it was read from. */
export interface DerElement {
  /** The identifier octet: class, constructed bit and number (below 31; no certificate has others). */
  readonly tag: number;
  readonly content: Buffer;
  /** Tag and length included. */
  readonly whole: Buffer;
}

/** The element at the start of `bytes`; undefined if it is malformed or cut short. Never throws. */
export function readDer(bytes: Buffer): DerElement | undefined {
  if (bytes.length < 2) return undefined;
  const tag = bytes[0]!;
  if ((tag & 0x1f) === 0x1f) return undefined;
  let length = bytes[1]!;
  let start = 2;
  if (length >= 0x80) {
    const size = length & 0x7f;
    if (size === 0 || size > 4 || bytes.length < 2 + size) return undefined;
    length = bytes.readUIntBE(2, size);
    start += size;
  }
  const end = start + length;
  return end > bytes.length ? undefined : { tag, content: bytes.subarray(start, end), whole: bytes.subarray(0, end) };
}

/** The elements one after the other in `bytes`; those before the first malformed one. */
export function derElements(bytes: Buffer): DerElement[] {
  const found: DerElement[] = [];
  for (let rest = bytes; rest.length > 0;) {
    const element = readDer(rest);
    if (element === undefined) break;
    found.push(element);
    rest = rest.subarray(element.whole.length);
  }
  return found;
}

export const derChildren = (element: DerElement | undefined): DerElement[] =>
  element === undefined ? [] : derElements(element.content);

/** The content of an OBJECT IDENTIFIER in dots: `2.5.4.3`. */
export function oidText(content: Buffer): string {
  const arcs: bigint[] = [];
  let arc = 0n;
  for (const byte of content) {
    arc = (arc << 7n) | BigInt(byte & 0x7f);
    if (byte >= 0x80) continue;
    if (arcs.length === 0) {
      const first = arc < 40n ? 0n : arc < 80n ? 1n : 2n;
      arcs.push(first, arc - first * 40n);
    } else arcs.push(arc);
    arc = 0n;
  }
  return arcs.join('.');
}

/** The content of an INTEGER: hex of whole bytes, lower-case, no leading zero bytes; `-` before a negative one. */
export function integerHex(content: Buffer): string {
  if (content.length === 0) return '';
  if (content[0]! >= 0x80) {
    const value = BigInt.asIntN(content.length * 8, BigInt(`0x${content.toString('hex')}`));
    const hex = (-value).toString(16);
    return `-${hex.length % 2 === 0 ? hex : `0${hex}`}`;
  }
  let from = 0;
  while (from < content.length && content[from] === 0) from++;
  return from === content.length ? '0' : content.toString('hex', from);
}

/** The text of a string type as Unicode; undefined for a type that isn't one. */
export function stringText({ tag, content }: DerElement): string | undefined {
  switch (tag) {
    case 0x0c: // UTF8String
      return content.toString('utf8');
    case 0x12: // NumericString
    case 0x13: // PrintableString
    case 0x14: // TeletexString
    case 0x16: // IA5String
    case 0x1a: // VisibleString
    case 0x1b: // GeneralString
      return content.toString('latin1');
    case 0x1e: // BMPString
      return codePoints(content, 2);
    case 0x1c: // UniversalString
      return codePoints(content, 4);
    default:
      return undefined;
  }
}

function codePoints(content: Buffer, width: 2 | 4): string {
  let text = '';
  for (let i = 0; i + width <= content.length; i += width) {
    const code = content.readUIntBE(i, width);
    text += width === 2 ? String.fromCharCode(code) : code <= 0x10ffff ? String.fromCodePoint(code) : '\ufffd';
  }
  return text;
}

/** UTCTime or GeneralizedTime as RFC 5280 wants them (Zulu, with seconds), ms since the epoch; NaN for others. */
export function timeMs({ tag, content }: DerElement): number {
  const text = content.toString('latin1');
  const match = (tag === 0x17 ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/ : TIME).exec(text);
  if (match === null) return Number.NaN;
  const [year = 0, month = 0, ...rest] = match.slice(1).map(Number);
  const [day = 0, hour = 0, minute = 0, second = 0] = rest;
  const full = tag === 0x17 ? (year < 50 ? 2000 + year : 1900 + year) : year;
  return Date.UTC(full, month - 1, day, hour, minute, second);
}

const TIME = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;
