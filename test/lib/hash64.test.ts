import { describe, expect, test } from 'vitest';
import { hash64, murmurHash64 } from '../../src/lib/hash64.ts';

describe('hash64', () => {
  /** Of the reference implementation; one for each branch of the length. */
  test.each([
    ['', 0n, 0xef46db3751d8e999n],
    ['a', 0n, 0xd24ec4f1a98c6e5bn],
    ['abc', 0n, 0x44bc2cf5ad770999n],
    ['foo', 0n, 0x33bf00a859c4ba3fn],
    ['xxhash', 20141025n, 0xb559b98d844e0635n],
    ['Call me Ishmael. Some years ago--never mind how long precisely-', 0n, 0x02a2e85470d6fd96n],
  ])('%j with seed %i', (text, seed, expected) => {
    expect(hash64(text, seed)).toBe(expected);
  });

  test('takes the low byte of each character', () => {
    expect(hash64('caf\u00e9')).toBe(hash64(Buffer.from('caf\u00e9', 'latin1').toString('latin1')));
    expect(hash64('caf\u00e9')).not.toBe(hash64(Buffer.from('caf\u00e9', 'utf8').toString('latin1')));
  });
});

describe('murmurHash64', () => {
  /** What std::hash of libstdc++ says. */
  test.each([
    ['foo', 9631199822919835226n],
    ['bar', 11474628671133349555n],
    ['foo\nbar', 16306510975912980159n],
    ['', 6142509188972423790n],
  ])('%j', (text, expected) => {
    expect(murmurHash64(text)).toBe(expected);
  });
});
