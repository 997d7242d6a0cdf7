import { der } from '../../../src/lib/x509/der-writer.ts';

export {
  bits,
  boolean,
  der,
  explicit,
  implicit,
  integer,
  octets,
  oid,
  sequence,
  setOf,
} from '../../../src/lib/x509/der-writer.ts';
export { pemOf as pem } from '../../../src/lib/x509/pem.ts';

export const utf8 = (text: string): Buffer => der(0x0c, Buffer.from(text, 'utf8'));
export const printable = (text: string): Buffer => der(0x13, Buffer.from(text, 'latin1'));
export const enumerated = (value: number): Buffer => der(0x0a, Buffer.from([value]));

const digits = (date: Date): string => date.toISOString().replace(/[-:T]|\.\d+/g, '');
/** UTCTime until 2049, GeneralizedTime after it (RFC 5280, 4.1.2.5). */
export function time(date: Date): Buffer {
  const text = digits(date);
  const year = date.getUTCFullYear();
  return year >= 1950 && year < 2050 ? der(0x17, Buffer.from(text.slice(2), 'latin1')) : generalizedTime(date);
}
export const generalizedTime = (date: Date): Buffer => der(0x18, Buffer.from(digits(date), 'latin1'));
