import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { certificateRequest } from '../../../src/lib/x509/certificate-request.ts';

const openssl = (input: string, ...args: string[]): string =>
  execFileSync('openssl', ['req', '-noout', ...args], { input, encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'] });

describe('a certification request', () => {
  test.each([
    ['ECDSA', generateKeyPairSync('ec', { namedCurve: 'P-256' }), 'ecdsa-with-SHA256'],
    ['RSA', generateKeyPairSync('rsa', { modulusLength: 2048 }), 'sha256WithRSAEncryption'],
  ])('with an %s key is what openssl accepts', (_, keys, algorithm) => {
    const pem = certificateRequest(keys, 'spiffe://cluster.local/ns/default/sa/echo');
    // Exits with an error when the signature is not the key's.
    openssl(pem, '-verify');
    const text = openssl(pem, '-text');
    expect(text).toMatch(/Version: 1 \(0x0\)/);
    expect(text).toMatch(
      /X509v3 Subject Alternative Name: critical\s+URI:spiffe:\/\/cluster\.local\/ns\/default\/sa\/echo/,
    );
    expect(text).toContain(`Signature Algorithm: ${algorithm}`);
    expect(openssl(pem, '-pubkey').trim()).toBe(
      (keys.publicKey.export({ type: 'spki', format: 'pem' }) as string).trim(),
    );
  });

  test('is not made with other keys', () => {
    expect(() => certificateRequest(generateKeyPairSync('ed25519'), 'spiffe://a')).toThrow('ed25519');
  });
});
