import { createHash } from 'node:crypto';
import {
  EXTENSION_ALPN,
  EXTENSION_POINT_FORMATS,
  EXTENSION_SERVER_NAME,
  EXTENSION_SIGNATURE_ALGORITHMS,
  EXTENSION_SUPPORTED_GROUPS,
  EXTENSION_SUPPORTED_VERSIONS,
  type ClientHello,
} from './client-hello.ts';

const NO_HASH = '000000000000';
const JA4_VERSIONS: Readonly<Record<number, string>> = { 0x0304: '13', 0x0303: '12', 0x0302: '11', 0x0301: '10' };

/** The JA3 fingerprint: MD5 over version, ciphers, extensions, groups and point formats, without GREASE (RFC 8701). */
export function ja3Fingerprint(hello: ClientHello): string {
  const groups = extension(hello, EXTENSION_SUPPORTED_GROUPS);
  const formats = extension(hello, EXTENSION_POINT_FORMATS);
  const text = [
    hello.version,
    words(hello.cipherSuites, 0).filter(isNoGrease).join('-'),
    types(hello).join('-'),
    // Envoy leaves GREASE groups in.
    groups === undefined ? '' : words(groups, 2).join('-'),
    formats === undefined ? '' : [...formats.subarray(1)].join('-'),
  ].join(',');
  return createHash('md5').update(text).digest('hex');
}

/** The JA4 fingerprint of a TLS over TCP connection. */
export function ja4Fingerprint(hello: ClientHello): string {
  const ciphers = words(hello.cipherSuites, 0).filter(isNoGrease);
  const all = types(hello);
  const hashed = all.filter((type) => type !== EXTENSION_SERVER_NAME && type !== EXTENSION_ALPN);
  const signatures = extension(hello, EXTENSION_SIGNATURE_ALGORITHMS);
  const algorithms = signatures === undefined ? [] : words(signatures, 2);
  const extensionText = hex(hashed.toSorted(byNumber)) + (algorithms.length === 0 ? '' : `_${hex(algorithms)}`);
  return [
    `t${ja4Version(hello)}${hello.hasServerNameExtension ? 'd' : 'i'}${twoDigits(ciphers.length)}${twoDigits(all.length)}${ja4Protocol(hello)}`,
    ciphers.length === 0 ? NO_HASH : shortHash(hex(ciphers.toSorted(byNumber))),
    hashed.length === 0 ? NO_HASH : shortHash(extensionText),
  ].join('_');
}

function ja4Version(hello: ClientHello): string {
  const supported = extension(hello, EXTENSION_SUPPORTED_VERSIONS);
  const versions = supported === undefined ? [] : words(supported, 1).filter(isNoGrease);
  const highest = Math.max(0, ...versions);
  return JA4_VERSIONS[highest === 0 ? hello.version : highest] ?? '00';
}

/** First and last character of the first protocol, in hexadecimal where one isn't alphanumeric. */
function ja4Protocol(hello: ClientHello): string {
  const data = extension(hello, EXTENSION_ALPN);
  if (data === undefined || data.length < 4) return '00';
  const length = data[2]!;
  if (length === 0 || data.length < 3 + length) return '00';
  const first = data[3]!;
  const last = data[2 + length]!;
  if (isAlphanumeric(first) && isAlphanumeric(last)) return String.fromCharCode(first, last);
  return `${(first >> 4).toString(16)}${(last & 15).toString(16)}`;
}

function extension(hello: ClientHello, wanted: number): Buffer | undefined {
  for (const { type, data } of hello.extensions) if (type === wanted) return data;
  return undefined;
}

function types(hello: ClientHello): number[] {
  return hello.extensions.map(({ type }) => type).filter(isNoGrease);
}

/** The 16-bit numbers from `start` on. */
function words(data: Buffer, start: number): number[] {
  const out: number[] = [];
  for (let at = start; at + 1 < data.length; at += 2) out.push(data.readUInt16BE(at));
  return out;
}

/** RFC 8701: 0x0a0a, 0x1a1a, ... */
function isNoGrease(value: number): boolean {
  return (value & 0x0f0f) !== 0x0a0a || value >> 8 !== (value & 0xff);
}

function isAlphanumeric(code: number): boolean {
  return (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a);
}

function hex(values: readonly number[]): string {
  return values.map((value) => value.toString(16).padStart(4, '0')).join(',');
}

function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}

function twoDigits(count: number): string {
  return String(Math.min(count, 99)).padStart(2, '0');
}

function byNumber(a: number, b: number): number {
  return a - b;
}
