import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HpackDecoder } from '../../src/proxy/codec/h2/hpack/decoder.ts';
import { HpackEncoder } from '../../src/proxy/codec/h2/hpack/encoder.ts';
import { decodeBlock, encodeBlock, type Field } from '../proxy/codec/h2/hpack/hpack-harness.ts';

/** Hostile header blocks: nothing throws, and what is decoded is bounded by what came. */

const sets: readonly Field[][] = [
  [
    [':method', 'GET'],
    [':path', '/a?b=c'],
    [':authority', 'example.com'],
    ['user-agent', 'curl/8'],
    ['accept', '*/*'],
  ],
  [
    [':status', '200'],
    ['content-type', 'application/grpc'],
    ['grpc-status', '0'],
    ['x-{', '~|~'],
  ],
  [
    ['cookie', 'a=b'],
    ['authorization', 'Bearer abcdef'],
    ['x-long', 'v'.repeat(300)],
  ],
];

const edits = fc.array(fc.record({ at: fc.nat(400), remove: fc.nat(3), insert: fc.uint8Array({ maxLength: 4 }) }), {
  maxLength: 4,
});
const block = fc.oneof(
  { weight: 3, arbitrary: fc.record({ set: fc.nat(sets.length - 1), edits }) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 120 }) },
);

describe('HPACK fuzzing', () => {
  test('a decoder survives anything', () => {
    fc.assert(
      fc.property(fc.array(block, { maxLength: 8 }), fc.constantFrom(0, 80, 4096), fc.nat(6), (blocks, size, limit) => {
        const encoder = new HpackEncoder();
        const decoder = new HpackDecoder(size);
        for (const item of blocks) {
          let bytes: Buffer;
          if (item instanceof Uint8Array) bytes = Buffer.from(item);
          else {
            bytes = encodeBlock(encoder, sets[item.set]!);
            for (const { at, remove, insert } of item.edits) {
              const place = at % (bytes.length + 1);
              bytes = Buffer.concat([bytes.subarray(0, place), insert, bytes.subarray(place + remove)]);
            }
          }
          const { error, fields } = decodeBlock(decoder, bytes, limit);
          expect(fields.length).toBeLessThanOrEqual(Math.min(bytes.length, Math.max(limit, 1)));
          for (const [name, value] of fields) {
            // Nothing grows by more than the code allows, or comes from beyond the table.
            expect(name.length + value.length).toBeLessThanOrEqual(Math.max(2 * bytes.length, 4096));
          }
          if (error !== undefined) return;
        }
      }),
      { numRuns: 3000 },
    );
  });

  test('what one decoder is not asked for does not change what it knows', () => {
    const fields = fc.array(
      fc.tuple(fc.constantFrom(':path', 'x-a', 'x-b', 'x-request-id'), fc.string({ maxLength: 30 })),
      {
        minLength: 1,
        maxLength: 10,
      },
    );
    fc.assert(
      fc.property(fc.array(fields, { maxLength: 10 }), fc.nat(4), fields, (blocks, limit, last) => {
        const encoder = new HpackEncoder();
        const whole = new HpackDecoder();
        const limited = new HpackDecoder();
        const ascii = (list: Field[]): Field[] => list.map(([name, value]) => [name, value.replaceAll(/[^ -~]/g, '?')]);
        for (const list of blocks) {
          const bytes = encodeBlock(encoder, ascii(list));
          expect(decodeBlock(whole, bytes).error).toBe(undefined);
          expect(decodeBlock(limited, bytes, limit).error).toBe(undefined);
        }
        const bytes = encodeBlock(encoder, ascii(last));
        expect(decodeBlock(limited, bytes)).toEqual(decodeBlock(whole, bytes));
      }),
      { numRuns: 500 },
    );
  });
});
