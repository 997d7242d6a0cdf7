import { derChildren, integerHex, oidText, readDer, timeMs, type DerElement } from './der-reader.ts';

/** A successful OCSP response about one certificate (RFC 6960). Its signature has not been looked at. */
export interface OcspResponse {
  /** Of the certificate: lower-case hex of whole bytes. */
  readonly serial: string;
  readonly thisUpdateMs: number;
  /** Undefined: newer information is available at any time. */
  readonly nextUpdateMs: number | undefined;
}

const BASIC_RESPONSE = '1.3.6.1.5.5.7.48.1.1';

/** Reads a DER OCSPResponse; a text says what is wrong with it. Never throws. */
export function readOcspResponse(der: Buffer): OcspResponse | string {
  const whole = readDer(der);
  if (whole?.tag !== 0x30 || whole.whole.length < der.length) return 'Data contained more than a single OCSP response';
  const [status, bytes] = derChildren(whole);
  if (status?.tag !== 0x0a) return 'OCSP ResponseStatus is not a well-formed ASN.1 ENUMERATED';
  if (status.content[0] !== 0) return 'OCSP response was unsuccessful';
  if (bytes?.tag !== 0xa0) return 'OCSP response has no body';
  const [type, response] = derChildren(derChildren(bytes)[0]);
  if (type === undefined || response === undefined) return 'OCSP ResponseBytes is not a well-formed SEQUENCE';
  const oid = oidText(type.content);
  if (oid !== BASIC_RESPONSE) return `Unknown OCSP Response type with OID: ${oid}`;
  const [data] = derChildren(readDer(response.content));
  // version [0], responderID [1] or [2], producedAt, responses
  const responses = derChildren(data).find(({ tag }) => tag === 0x30);
  const singles = derChildren(responses);
  if (singles.length !== 1) return 'OCSP Response must be for one certificate only';
  return readSingle(singles[0]!);
}

function readSingle(single: DerElement): OcspResponse | string {
  const [id, , thisUpdate, nextUpdate] = derChildren(single);
  const serial = derChildren(id)[3];
  if (serial?.tag !== 0x02 || thisUpdate === undefined)
    return 'OCSP SingleResponse is not a well-formed ASN.1 SEQUENCE';
  const [next] = nextUpdate?.tag === 0xa0 ? derChildren(nextUpdate) : [];
  return {
    serial: integerHex(serial.content),
    thisUpdateMs: timeMs(thisUpdate),
    nextUpdateMs: next === undefined ? undefined : timeMs(next),
  };
}
