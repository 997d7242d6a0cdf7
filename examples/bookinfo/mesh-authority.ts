import { generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';

/** The certificate authority of a mesh that lives for a day. */
export interface MeshAuthority {
  /** PEM. */
  readonly root: string;
  /** A certificate for both ends of a connection, whose only name is a SPIFFE id. PEM. */
  issue(spiffeId: string): { readonly certificate: string; readonly key: string };
}

const DAY_MS = 86_400_000;

/** Makes an authority; its key is nowhere but in this process. */
export function createMeshAuthority(trustDomain: string): MeshAuthority {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const name = sequence(set(sequence(COMMON_NAME, element(0x0c, Buffer.from(`${trustDomain} root`)))));
  const root = certificate(name, privateKey, name, publicKey, [
    extension(BASIC_CONSTRAINTS, sequence(element(0x01, Buffer.from([0xff])))),
    extension(KEY_USAGE, element(0x03, Buffer.from([1, 0x06]))), // keyCertSign, cRLSign
  ]);
  return {
    root: pem('CERTIFICATE', root),
    issue(spiffeId) {
      const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const leaf = certificate(name, privateKey, sequence(), keys.publicKey, [
        extension(BASIC_CONSTRAINTS, sequence()),
        extension(KEY_USAGE, element(0x03, Buffer.from([7, 0x80]))), // digitalSignature
        extension(EXTENDED_KEY_USAGE, sequence(SERVER_AUTH, CLIENT_AUTH)),
        // Critical, since the subject is empty (RFC 5280, 4.2.1.6).
        extension(SUBJECT_ALT_NAME, sequence(element(0x86, Buffer.from(spiffeId)))),
      ]);
      const key = keys.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
      return { certificate: pem('CERTIFICATE', leaf), key };
    },
  };
}

/** An X.509 v3 certificate (RFC 5280), DER. */
function certificate(
  issuer: Buffer,
  issuerKey: KeyObject,
  subject: Buffer,
  publicKey: KeyObject,
  extensions: readonly Buffer[],
): Buffer {
  const serial = randomBytes(16);
  serial[0] = (serial[0]! & 0x7f) | 0x40;
  const now = Date.now();
  const body = sequence(
    element(0xa0, element(0x02, Buffer.from([2]))),
    element(0x02, serial),
    ECDSA_WITH_SHA256,
    issuer,
    sequence(utcTime(now - 3_600_000), utcTime(now + DAY_MS)),
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
    element(0xa3, sequence(...extensions)),
  );
  return sequence(body, ECDSA_WITH_SHA256, element(0x03, Buffer.from([0]), sign('sha256', body, issuerKey)));
}

/** DER: tag, length, content. */
function element(tag: number, ...content: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(content);
  const { length } = body;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), body]);
}

function sequence(...items: readonly Uint8Array[]): Buffer {
  return element(0x30, ...items);
}

function set(...items: readonly Uint8Array[]): Buffer {
  return element(0x31, ...items);
}

function extension(id: Buffer, value: Buffer): Buffer {
  return sequence(id, element(0x01, Buffer.from([0xff])), element(0x04, value));
}

function utcTime(epochMs: number): Buffer {
  const text = new Date(epochMs).toISOString().replace(/[-:T]|\.\d+/g, '');
  return element(0x17, Buffer.from(text.slice(2), 'latin1'));
}

function pem(label: string, content: Buffer): string {
  const lines = content.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

const oid = (hex: string): Buffer => element(0x06, Buffer.from(hex, 'hex'));
const COMMON_NAME = oid('550403');
const BASIC_CONSTRAINTS = oid('551d13');
const KEY_USAGE = oid('551d0f');
const EXTENDED_KEY_USAGE = oid('551d25');
const SUBJECT_ALT_NAME = oid('551d11');
const SERVER_AUTH = oid('2b06010505070301');
const CLIENT_AUTH = oid('2b06010505070302');
const ECDSA_WITH_SHA256 = sequence(oid('2a8648ce3d040302'));
