import { describe, expect, test } from 'vitest';
import type { HashPolicyModel } from '../../../src/config/route-model.ts';
import { hash64 } from '../../../src/lib/hash64.ts';
import { HashPolicy } from '../../../src/proxy/router/hash-policy.ts';
import { request, streamInfo } from '../../support/route-table.ts';

const header = (name: string, more: Partial<HashPolicyModel> = {}): HashPolicyModel =>
  ({ kind: 'header', name, rewrite: undefined, terminal: false, ...more }) as HashPolicyModel;
const cookie = (ttlMs: number | undefined, more: object = {}): HashPolicyModel => ({
  kind: 'cookie',
  name: 'c',
  ttlMs,
  path: '',
  attributes: [],
  terminal: false,
  ...more,
});

function hashOf(
  models: readonly HashPolicyModel[],
  path = '/',
  headers: readonly (readonly [string, string])[] = [],
): { hash: bigint | undefined; cookies: string[] } {
  const cookies: string[] = [];
  const hash = HashPolicy.of(models)!.hash(request(path, { headers }), streamInfo(), {
    addCookie: (setCookie) => void cookies.push(setCookie),
  });
  return { hash, cookies };
}

test('a route without policies has none', () => {
  expect(HashPolicy.of([])).toBeUndefined();
});

test('a header, in whatever order its values come', () => {
  expect(hashOf([header('x-a')]).hash).toBeUndefined();
  expect(hashOf([header('x-a')], '/', [['x-a', 'v']]).hash).toBe(hash64('v'));
  const fields = [
    ['x-a', 'b'],
    ['x-a', 'a'],
  ] as const;
  expect(hashOf([header('x-a')], '/', fields).hash).toBe(hash64('ab'));
  expect(hashOf([header('x-a')], '/', fields.toReversed()).hash).toBe(hash64('ab'));
  expect(hashOf([header(':path')], '/p').hash).toBe(hash64('/p'));
});

test('a header that is rewritten first', () => {
  const rewrite = { regex: '/(\\w+)/.*', substitution: '\\1' };
  expect(hashOf([header(':path', { rewrite } as never)], '/user/17').hash).toBe(hash64('user'));
});

test('a query parameter, as it stands', () => {
  const policy: HashPolicyModel = { kind: 'query-parameter', name: 'q', terminal: false };
  expect(hashOf([policy], '/p?a=1&q=%41&q=2').hash).toBe(hash64('%41'));
  expect(hashOf([policy], '/p').hash).toBeUndefined();
});

test('parts are combined in order, up to a terminal one that has a value', () => {
  const fields = [
    ['x-a', 'a'],
    ['x-b', 'b'],
  ] as const;
  const rotated = BigInt.asUintN(64, (hash64('a') << 1n) | (hash64('a') >> 63n));
  expect(hashOf([header('x-a'), header('x-b')], '/', fields).hash).toBe(rotated ^ hash64('b'));
  expect(hashOf([header('x-a'), header('x-a')], '/', fields).hash).not.toBe(0n);
  const first = header('x-a', { terminal: true });
  expect(hashOf([first, header('x-b')], '/', fields).hash).toBe(hash64('a'));
  expect(hashOf([header('x-none', { terminal: true }), header('x-b')], '/', fields).hash).toBe(hash64('b'));
});

describe('a cookie', () => {
  test.each([
    ['c=v', 'v'],
    ['a=1; c=v; d=2', 'v'],
    ['c="quoted"', 'quoted'],
    ['cc=no;c=v', 'v'],
  ])('%s', (text, value) => {
    expect(hashOf([cookie(0)], '/', [['cookie', text]])).toEqual({ hash: hash64(value), cookies: [] });
  });

  test('is made where it is missing, if it has a lifetime', () => {
    expect(hashOf([cookie(undefined)])).toEqual({ hash: undefined, cookies: [] });
    const { hash, cookies } = hashOf([cookie(0)]);
    const made = /^c="([0-9a-f]{16})"; HttpOnly$/.exec(cookies[0]!)![1]!;
    expect(hash).toBe(hash64(made));
    const attributes = [
      { name: 'SameSite', value: 'None' },
      { name: 'Secure', value: '' },
    ];
    expect(hashOf([cookie(90_500, { path: '/p', attributes })]).cookies).toEqual([
      `c="${made}"; Max-Age=90; Path=/p; SameSite=None; Secure; HttpOnly`,
    ]);
  });
});
