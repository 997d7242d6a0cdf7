import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readOcspResponse } from '../../../src/lib/x509/ocsp-response.ts';
import { CertificateAuthority } from '../../support/certificates.ts';

const ca = CertificateAuthority.create();
const leaf = ca.issue({ serial: '0abc' });
const thisUpdate = new Date('2026-01-02T03:04:05Z');
const nextUpdate = new Date('2026-02-02T03:04:05Z');

test.each(['good', 'revoked', 'unknown'] as const)('reads a response of status %s', (status) => {
  expect(readOcspResponse(ca.ocsp(leaf, { status, thisUpdate, nextUpdate }))).toEqual({
    serial: '0abc',
    thisUpdateMs: thisUpdate.getTime(),
    nextUpdateMs: nextUpdate.getTime(),
  });
});

test('may have no next update', () => {
  const read = readOcspResponse(ca.ocsp(leaf, { thisUpdate, nextUpdate: null }));
  expect(read).toStrictEqual({ serial: '0abc', thisUpdateMs: thisUpdate.getTime(), nextUpdateMs: undefined });
});

describe('says what is wrong with', () => {
  const response = ca.ocsp(leaf);
  test.each([
    ['nothing', Buffer.alloc(0), 'Data contained more than a single OCSP response'],
    ['more than one', Buffer.concat([response, response]), 'Data contained more than a single OCSP response'],
    ['a failure', Buffer.from('30030a0106', 'hex'), 'OCSP response was unsuccessful'],
    ['one without a body', Buffer.from('30030a0100', 'hex'), 'OCSP response has no body'],
  ])('%s', (_, bytes, message) => {
    expect(readOcspResponse(bytes)).toBe(message);
  });

  test('whatever the bytes are, without throwing', () => {
    fc.assert(
      fc.property(fc.nat(response.length - 1), fc.integer({ min: 0, max: 255 }), (at, byte) => {
        const bytes = Buffer.from(response);
        bytes[at] = byte;
        const read = readOcspResponse(bytes);
        expect(typeof read === 'string' ? read.length : read.serial.length).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});
