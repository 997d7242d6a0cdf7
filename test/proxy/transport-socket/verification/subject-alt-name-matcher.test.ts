import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  dnsNameMatches,
  SubjectAltNameMatcher,
} from '../../../../src/proxy/transport-socket/verification/subject-alt-name-matcher.ts';
import { exactSan } from '../../../support/tls-models.ts';

describe('names of hosts', () => {
  test.each([
    ['a.example', 'a.example', true],
    ['A.Example', 'a.eXample', true],
    ['a.example', '*.example', true],
    ['a.b.example', '*.example', false],
    ['example', '*', false],
    ['a.example', '*', false],
    ['.example', '*.example', true],
    ['web1.example', 'web*.example', true],
    ['1web.example', '*web.example', true],
    ['web.example', 'w*b.example', true],
    ['wb.example', 'w*b.example', true],
    ['b.example', 'b*b.example', false],
    ['a.example', 'a.*', false],
    ['a.b.example', 'a.*.example', false],
    ['a.example', '**.example', false],
    ['xn--a.example', 'xn--*.example', false],
    ['a.example', 'a.example.', false],
  ])('%s is one of %s: %s', (name, pattern, expected) => {
    expect(dnsNameMatches(name, pattern)).toBe(expected);
  });

  test('without a wildcard only the name itself matches', () => {
    const label = fc.stringMatching(/^[a-z0-9-]{1,5}$/);
    const name = fc.array(label, { minLength: 1, maxLength: 3 }).map((labels) => labels.join('.'));
    fc.assert(fc.property(name, name, (a, b) => dnsNameMatches(a, b) === (a === b)));
  });
});

describe('matchers', () => {
  const san = (type: 'dns' | 'uri' | 'email' | 'ip' | 'other-name', value: string, oid = '') => ({ type, value, oid });

  test('an exact DNS name is a host name, an exact URI is not', () => {
    expect(new SubjectAltNameMatcher(exactSan('dns', 'a.example')).matches(san('dns', '*.example'))).toBe(true);
    expect(new SubjectAltNameMatcher(exactSan('uri', 'a.example')).matches(san('uri', '*.example'))).toBe(false);
  });

  test('the type has to be the same', () => {
    expect(new SubjectAltNameMatcher(exactSan('uri', 'a')).matches(san('dns', 'a'))).toBe(false);
    const any = new SubjectAltNameMatcher(exactSan('any', 'a'));
    expect(any.matches(san('email', 'a'))).toBe(true);
    expect(any.matches(san('other-name', 'a'))).toBe(false);
  });

  test('an other-name is told by its OID', () => {
    const matcher = new SubjectAltNameMatcher({ ...exactSan('other-name', 'me'), oid: '1.2.3' });
    expect(matcher.matches(san('other-name', 'me', '1.2.3'))).toBe(true);
    expect(matcher.matches(san('other-name', 'me', '1.2.4'))).toBe(false);
  });

  test('prefixes, suffixes, parts and expressions', () => {
    const of = (kind: 'prefix' | 'suffix' | 'contains', value: string) =>
      new SubjectAltNameMatcher({ type: 'uri', oid: '', matcher: { kind, value, ignoreCase: false } });
    const name = san('uri', 'spiffe://td/ns/a');
    expect(of('prefix', 'spiffe://td/').matches(name)).toBe(true);
    expect(of('prefix', 'spiffe://te/').matches(name)).toBe(false);
    expect(of('suffix', '/a').matches(name)).toBe(true);
    expect(of('contains', '/ns/').matches(name)).toBe(true);
    const regex = (value: string) =>
      new SubjectAltNameMatcher({ type: 'uri', oid: '', matcher: { kind: 'regex', value } });
    expect(regex('spiffe://td/.*').matches(name)).toBe(true);
    expect(regex('spiffe://td').matches(name)).toBe(false);
  });

  test('a name with a NUL in it matches nothing', () => {
    const matcher = new SubjectAltNameMatcher({
      type: 'dns',
      oid: '',
      matcher: { kind: 'prefix', value: 'good.example', ignoreCase: false },
    });
    expect(matcher.matches(san('dns', 'good.example'))).toBe(true);
    expect(matcher.matches(san('dns', 'good.example\0.evil.example'))).toBe(false);
  });
});
