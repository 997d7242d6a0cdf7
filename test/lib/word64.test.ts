import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Word64 } from '../../src/lib/word64.ts';

const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const cut = (value: bigint): bigint => BigInt.asUintN(64, value);

describe('Word64', () => {
  test('calculates as a bigint that is cut to 64 bits', () => {
    fc.assert(
      fc.property(u64, u64, (a, b) => {
        const word = (): Word64 => Word64.of(a);
        expect(word().toBigInt()).toBe(a);
        expect(word().add(Word64.of(b)).toBigInt()).toBe(cut(a + b));
        expect(word().multiply(Word64.of(b)).toBigInt()).toBe(cut(a * b));
        expect(word().xor(Word64.of(b)).toBigInt()).toBe(a ^ b);
        expect(word().set(Word64.of(b)).toBigInt()).toBe(b);
      }),
    );
  });

  test('shifts and rotates', () => {
    fc.assert(
      fc.property(u64, fc.integer({ min: 1, max: 31 }), fc.integer({ min: 1, max: 63 }), (a, turn, shift) => {
        const turned = cut(a << BigInt(turn)) | (a >> BigInt(64 - turn));
        expect(Word64.of(a).rotateLeft(turn).toBigInt()).toBe(turned);
        expect(Word64.of(a).xorShiftRight(shift).toBigInt()).toBe(a ^ (a >> BigInt(shift)));
        expect(Word64.of(a).addNumber(turn).toBigInt()).toBe(cut(a + BigInt(turn)));
      }),
    );
  });
});
