import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalName, collectionOf, formatXdstp, parseXdstp } from '../../src/config/xdstp-name.ts';

describe('xdstp names', () => {
  test('in parts', () => {
    expect(parseXdstp('xdstp://au%2Fth/a.b.C/some/%41?k=v%26&e&e=2')).toEqual({
      authority: 'au/th',
      type: 'a.b.C',
      id: 'some/A',
      context: new Map([
        ['k', 'v&'],
        ['e', ''],
      ]),
    });
  });

  test.each([
    ['http://a/b/c', 'http://a/b/c does not have an xdstp: scheme'],
    ['xdstp://auth', 'Resource type missing from /'],
    ['xdstp://auth/?a=b', 'Resource type missing from /'],
    ['xdstp:///', 'Resource type missing from /'],
  ])('%s makes no sense', (name, error) => {
    expect(parseXdstp(name)).toBe(error);
    expect(canonicalName(name)).toBe(name);
  });

  // What Envoy 1.40 asks for.
  test.each([
    ['xdstp://auth/T/foo?b=1&a=2', 'xdstp://auth/T/foo?a=2&b=1'],
    [
      'xdstp://a~u%th/T/f o/%41~é:?[b]=%7e&a&a=2&c=%zz&%3d=1#x',
      'xdstp://a%7Eu%25th/T/f o/A%7E%C3%A9:?%3D=1%23x&%5Bb%5D=%7E&a=&c=%25zz',
    ],
    ['xdstp://a[b]:1@c&=/T/[f]:o%23%3f//b*%2f&=?a:b=c/d?e@', 'xdstp://a[b]:1@c&=/T/%5Bf%5D:o%23%3F//b*/&=?a:b=c/d?e@'],
    ['xdstp://auth/T', 'xdstp://auth/T'],
    ['plain?b=1&a=2', 'plain?b=1&a=2'],
  ])('%s is spelled %s', (name, canonical) => {
    expect(canonicalName(name)).toBe(canonical);
  });

  test('the collection of a name', () => {
    expect(collectionOf('xdstp://auth/T/foo/bar?b=1&a=2')).toBe('xdstp://auth/T/foo/*?a=2&b=1');
    expect(collectionOf('xdstp://auth/T/foo')).toBe('xdstp://auth/T/*');
    expect(collectionOf('plain')).toBeUndefined();
  });

  test('survive being written and read', () => {
    const text = fc.string({ unit: 'binary' }).map((each) => each.toWellFormed());
    const pairs = fc.array(
      fc.tuple(
        text.filter((key) => key !== ''),
        text,
      ),
    );
    fc.assert(
      fc.property(text, text, pairs, (authority, id, context) => {
        const name = { authority, type: 'a.b.C', id, context: new Map(context) };
        const written = formatXdstp(name);
        expect(parseXdstp(written)).toEqual(name);
        expect(canonicalName(written)).toBe(written);
      }),
    );
  });

  test('any text is read or refused', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const once = canonicalName(`xdstp:${text}`);
        expect(canonicalName(once)).toBe(once);
      }),
    );
  });
});
