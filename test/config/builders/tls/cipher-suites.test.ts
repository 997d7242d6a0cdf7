import { createSecureContext } from 'node:tls';
import { describe, expect, test } from 'vitest';
import {
  DEFAULT_CIPHER_SUITES,
  rejectedCipherSuites,
  selectCipherSuites,
  UNAVAILABLE_CIPHER_SUITES,
} from '../../../../src/config/builders/tls/cipher-suites.ts';
import {
  DEFAULT_CURVES,
  selectCurves,
  selectSignatureAlgorithms,
} from '../../../../src/config/builders/tls/named-lists.ts';

test("the default is Envoy's, in its order", () => {
  expect(selectCipherSuites(DEFAULT_CIPHER_SUITES)).toEqual([
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-CHACHA20-POLY1305',
    'ECDHE-RSA-AES128-GCM-SHA256',
    'ECDHE-RSA-CHACHA20-POLY1305',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-RSA-AES256-GCM-SHA384',
  ]);
});

test('everything that can be selected is something OpenSSL takes', () => {
  const names = selectCipherSuites('ALL:DES-CBC3-SHA:ECDHE-RSA-AES128-SHA256')!;
  expect(names).toHaveLength(21);
  for (const ciphers of names.filter((name) => !UNAVAILABLE_CIPHER_SUITES.has(name)))
    expect(() => createSecureContext({ ciphers })).not.toThrow();
  for (const ciphers of UNAVAILABLE_CIPHER_SUITES) expect(() => createSecureContext({ ciphers })).toThrow();
});

describe('operators', () => {
  test.each([
    ['an alias leaves the order of names before it', 'AES256-SHA:kRSA', 'AES256-SHA:AES128-GCM-SHA256'],
    ['a name that is in use stays where it is', 'AES128-SHA:AES256-SHA:AES128-SHA', 'AES128-SHA:AES256-SHA'],
    [
      '- takes away, and it can be added again',
      'AES128-SHA:AES256-SHA:-AES128-SHA:AES128-SHA',
      'AES256-SHA:AES128-SHA',
    ],
    ['! takes away for good', 'AES128-SHA:AES256-SHA:!AES128-SHA:AES128-SHA', 'AES256-SHA'],
    ['+ moves to the end', 'AES128-SHA:AES256-SHA:+AES128-SHA', 'AES256-SHA:AES128-SHA'],
    ['aliases combine', 'ECDHE+AESGCM+aRSA', 'ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384'],
    ['@STRENGTH sorts, longest keys first', 'AES128-SHA:AES256-SHA:@STRENGTH', 'AES256-SHA:AES128-SHA'],
    ['an IANA name is a name', 'TLS_RSA_WITH_AES_128_CBC_SHA', 'AES128-SHA'],
  ])('%s', (_, expression, expected) => {
    expect(selectCipherSuites(expression)!.join(':').startsWith(expected)).toBe(true);
  });

  test.each(['', 'NOPE', '-ALL', '[AES128-SHA', '[-AES128-SHA]', 'AES128-SHA|AES256-SHA', 'constructor', 'ECDHE+NOPE'])(
    'refuses %j',
    (expression) => {
      expect(selectCipherSuites(expression)).toBeUndefined();
    },
  );

  test('aliases leave out what is deprecated', () => {
    for (const name of ['DES-CBC3-SHA', 'ECDHE-RSA-AES128-SHA256']) {
      expect(selectCipherSuites('ALL')).not.toContain(name);
      expect(selectCipherSuites(name)).toEqual([name]);
    }
  });

  test('says which terms are unknown', () => {
    expect(rejectedCipherSuites('-ALL:[AES128-SHA|FOO]:!BAR')).toEqual(['FOO', 'BAR']);
  });
});

test('translates curves and signature algorithms to what OpenSSL takes', () => {
  expect(() => createSecureContext({ ecdhCurve: selectCurves(DEFAULT_CURVES)! })).not.toThrow();
  expect(selectCurves('prime256v1:x25519')).toBe('P-256:X25519');
  expect(selectCurves('P-256:nope')).toBeUndefined();
  const sigalgs = selectSignatureAlgorithms('PSS+SHA256:ecdsa_secp256r1_sha256:rsa_pkcs1_sha256_legacy')!;
  expect(sigalgs).toBe('RSA-PSS+SHA256:ecdsa_secp256r1_sha256');
  expect(() => createSecureContext({ sigalgs })).not.toThrow();
  expect(selectSignatureAlgorithms('toString')).toBeUndefined();
});
