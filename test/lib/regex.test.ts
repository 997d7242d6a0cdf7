import * as fc from 'fast-check';
import { RE2JS } from 're2js';
import { describe, expect, test } from 'vitest';
import { compileRegex, compileRegexReplacement } from '../../src/lib/regex.ts';

describe('compileRegex', () => {
  test.each([
    ['/a/b', '/a/b', true],
    ['/a/b', '/a/bc', false],
    ['^/a/b$', '/a/b', true],
    ['/foo/.*', '/foo/', true],
    ['/foo/.*', '/foo', false],
    ['/foo/.+', '/foo/', false],
    ['/foo/.+', '/foo/x', true],
    ['.*\\.html', '/a.html', true],
    ['.*\\.html', '/ahtml', false],
    ['.*admin.*', '/an/admin/page', true],
    ['.*', '', true],
    ['a|b', 'b', true],
    ['/a(|/.*)', '/a', true],
    ['/a(|/.*)', '/ab', false],
    ['/v[0-9]+', '/v12', true],
    ['/ab*', '/a', true],
    ['/ab?c', '/ac', true],
    ['[|]x', '|x', true],
    ['(?i)/abc', '/ABC', true],
    ['/caf\u00e9', '/caf\xc3\xa9', true],
    ['/caf.', '/caf\xc3\xa9', true],
  ])('%s on %s: %s', (pattern, text, expected) => {
    expect(compileRegex(pattern).matches(text)).toBe(expected);
  });

  test('knows the literal that every match starts with', () => {
    const prefixOf = (pattern: string): string => compileRegex(pattern).literalPrefix;
    expect(prefixOf('/api/v[0-9]+')).toBe('/api/v');
    expect(prefixOf('/a\\.b/.*c')).toBe('/a.b/');
    expect(prefixOf('/abc*')).toBe('/ab');
    expect(prefixOf('/a|/b')).toBe('');
    expect(prefixOf('(/a|/b)')).toBe('');
  });

  test('agrees with RE2 on every pattern of literals, wildcards, groups and classes', () => {
    const piece = fc.constantFrom(
      'a',
      'b',
      '/',
      '\\.',
      '.',
      '.*',
      '.+',
      'a*',
      'b?',
      '|',
      '(a|b)',
      '[ab]',
      '[]|]',
      '^',
      '$',
    );
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '/', '.', ']'), maxLength: 6 });
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 5 }),
        fc.array(text, { minLength: 1, maxLength: 8 }),
        (pieces, texts) => {
          const pattern = pieces.join('');
          const re2 = RE2JS.compile(pattern);
          const regex = compileRegex(pattern);
          for (const candidate of texts) {
            const matches = re2.matches(candidate);
            expect(regex.matches(candidate)).toBe(matches);
            if (matches) expect(candidate.startsWith(regex.literalPrefix)).toBe(true);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  test('bad syntax throws', () => {
    expect(() => compileRegex('a(')).toThrow();
  });
});

describe('compileRegexReplacement', () => {
  test.each([
    ['^/service/([^/]+)(/.*)$', '\\2/instance/\\1', '/service/foo/v1/api', '/v1/api/instance/foo'],
    ['one', 'two', '/xxx/one/yyy/one/zzz', '/xxx/two/yyy/two/zzz'],
    ['^(.*?)one(.*)$', '\\1two\\2', '/xxx/one/yyy/one/zzz', '/xxx/two/yyy/one/zzz'],
    ['(?i)/xxx/', '/yyy/', '/aaa/XxX/bbb', '/aaa/yyy/bbb'],
    ['a*', '-', 'baac', '-b-c-'],
    ['x', '\\\\', 'axb', 'a\\b'],
    ['b', '<\\0>', 'abc', 'a<b>c'],
    ['z', 'y', 'abc', 'abc'],
  ])('%s -> %s on %s', (pattern, substitution, text, expected) => {
    expect(compileRegexReplacement(pattern, substitution).replaceAll(text)).toBe(expected);
  });

  test('does what RE2 does with a substitution that makes no sense', () => {
    expect(compileRegexReplacement('(a)', '\\2').replaceAll('xax')).toBe('xax');
    expect(compileRegexReplacement('a', 'b\\xc').replaceAll('xax')).toBe('xbx');
  });
});
