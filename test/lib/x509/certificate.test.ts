import { X509Certificate } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Certificate } from '../../../src/lib/x509/certificate.ts';
import { isCertificateBlock, readPem } from '../../../src/lib/x509/pem.ts';
import { CertificateAuthority, spkiHash, type CertificateOptions } from '../../support/certificates.ts';

const ca = CertificateAuthority.create({
  subject: [
    { type: 'C', value: 'DE' },
    { type: 'CN', value: 'root' },
  ],
});
const issue = (options: CertificateOptions) => Certificate.read(ca.issue(options).der)!;
const subjectOf = (subject: CertificateOptions['subject']) => issue({ subject: subject! }).subject;

describe('names', () => {
  test('are written most specific first', () => {
    const subject = subjectOf([
      { type: 'DC', value: 'test' },
      { type: 'O', value: 'Acme' },
      { type: 'CN', value: 'a.test' },
    ]);
    expect(subject).toBe('CN=a.test,O=Acme,DC=test');
    expect(issue({}).issuer).toBe('CN=root,C=DE');
  });

  test('join the parts of a multi-valued name, last one first', () => {
    const subject = subjectOf([
      [
        { type: 'O', value: 'a' },
        { type: 'OU', value: 'b' },
      ],
    ]);
    expect(subject).toBe('OU=b+O=a');
  });

  test.each([
    ['a, "b"', String.raw`CN=a\, \"b\"`],
    [' #x ', String.raw`CN=\ #x\ `],
    ['#x', String.raw`CN=\#x`],
    [' ', String.raw`CN=\ `],
    ['ü\n\u007f', String.raw`CN=\C3\BC\0A\7F`],
    ['<a>;b\\c=d', String.raw`CN=\<a\>\;b\\c=d`],
  ])('escape %j', (value, expected) => {
    expect(subjectOf([{ type: 'CN', value }])).toBe(expected);
  });

  test('give unknown attributes by number, in hex', () => {
    expect(subjectOf([{ type: '1.2.3.4', value: 'odd' }])).toBe('1.2.3.4=#0C036F6464');
  });

  test('may be empty', () => {
    expect(issue({ commonName: '' }).subject).toBe('');
  });
});

test('lists subject alternative names by type, in their order', () => {
  const certificate = issue({
    dns: ['a.test', '*.b.test'],
    uri: ['spiffe://td/a', 'https://x'],
    email: ['a@b.c'],
    ip: ['10.0.0.1', '2001:db8::1'],
    otherNames: [{ oid: '1.3.6.1.4.1.311.20.2.3', value: 'upn@x' }],
  });
  expect(certificate.sans('dns')).toEqual(['a.test', '*.b.test']);
  expect(certificate.sans('uri')).toEqual(['spiffe://td/a', 'https://x']);
  expect(certificate.sans('email')).toEqual(['a@b.c']);
  expect(certificate.sans('ip')).toEqual(['10.0.0.1', '2001:db8::1']);
  expect(certificate.subjectAltNames[0]).toEqual({ type: 'other-name', oid: '1.3.6.1.4.1.311.20.2.3', value: 'upn@x' });
  expect(issue({}).hasSubjectAltNames).toBe(false);
});

test('agrees with node:crypto on everything that it knows', () => {
  const notBefore = new Date('2020-01-02T03:04:05Z');
  const notAfter = new Date('2055-01-02T03:04:05Z');
  const issued = ca.issue({ serial: '00ff01', notBefore, notAfter, mustStaple: true });
  const certificate = Certificate.read(issued.der)!;
  const known = new X509Certificate(issued.der);
  expect(certificate.serial).toBe(known.serialNumber.toLowerCase());
  expect(certificate.fingerprint256).toBe(known.fingerprint256.replaceAll(':', '').toLowerCase());
  expect(certificate.fingerprint1).toBe(known.fingerprint.replaceAll(':', '').toLowerCase());
  expect(certificate.validFromMs).toBe(notBefore.getTime());
  expect(certificate.validToMs).toBe(notAfter.getTime());
  expect(certificate.spkiHash).toBe(spkiHash(issued));
  expect(certificate.pem).toBe(known.toString());
  expect(certificate.mustStaple).toBe(true);
  expect(issue({}).mustStaple).toBe(false);
});

test('encodes PEM as headers carry it', () => {
  const { encodedPem, pem } = issue({});
  expect(encodedPem).toMatch(/^-----BEGIN%20CERTIFICATE-----%0A[A-Za-z0-9%]+-----END%20CERTIFICATE-----%0A$/);
  expect(decodeURIComponent(encodedPem)).toBe(pem);
});

test('survives whatever the bytes are', () => {
  const { der } = ca.issue({ dns: ['a'], ip: ['::1'], otherNames: [{ oid: '1.2.3', value: 'x' }] });
  fc.assert(
    fc.property(fc.nat(der.length - 1), fc.integer({ min: 0, max: 255 }), fc.nat(der.length), (at, byte, length) => {
      const bytes = Buffer.from(der.subarray(0, length));
      if (at < length) bytes[at] = byte;
      const certificate = Certificate.read(bytes);
      void [certificate?.subject, certificate?.issuer, certificate?.subjectAltNames, certificate?.serial];
      void [certificate?.validFromMs, certificate?.validToMs, certificate?.mustStaple, certificate?.commonNames];
    }),
  );
});

describe('PEM', () => {
  test('splits a bundle, whatever stands around', () => {
    const { certificate, key } = ca.issue({});
    const blocks = readPem(`comment\n${certificate}\nmore\r\n${key.replaceAll('\n', '\r\n')}`)!;
    expect(blocks.map(({ label }) => label)).toEqual(['CERTIFICATE', 'PRIVATE KEY']);
    expect(blocks.map(isCertificateBlock)).toEqual([true, false]);
    expect(Certificate.read(blocks[0]!.der)!.pem).toBe(certificate);
  });

  test.each([
    ['an end that is missing', '-----BEGIN CERTIFICATE-----\nAAAA\n'],
    ['an end of something else', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END KEY-----\n'],
    ['what is not Base64', '-----BEGIN CERTIFICATE-----\nA!AA\n-----END CERTIFICATE-----\n'],
  ])('refuses %s', (_, text) => {
    expect(readPem(text)).toBeUndefined();
  });

  test('finds nothing in a text without blocks', () => {
    expect(readPem('hello')).toEqual([]);
  });
});
