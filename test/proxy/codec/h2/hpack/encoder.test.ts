import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HpackDecoder } from '../../../../../src/proxy/codec/h2/hpack/decoder.ts';
import { ByteWriter } from '../../../../../src/proxy/codec/h2/hpack/byte-writer.ts';
import { HpackEncoder } from '../../../../../src/proxy/codec/h2/hpack/encoder.ts';
import { decodeBlock, encodeBlock, hex, type Field } from './hpack-harness.ts';

describe('representations', () => {
  const first = (name: string, value: string): number => encodeBlock(new HpackEncoder(), [[name, value]])[0]!;

  test('the requests of RFC 7541 C.4 but for their paths', () => {
    const encoder = new HpackEncoder();
    const request: Field[] = [
      [':method', 'GET'],
      [':scheme', 'http'],
      [':path', '/'],
      [':authority', 'www.example.com'],
    ];
    expect(encodeBlock(encoder, request)).toEqual(hex('8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff'));
    expect(encodeBlock(encoder, [...request, ['cache-control', 'no-cache']])).toEqual(
      hex('8286 84be 5886 a8eb 1064 9cbf'),
    );
  });

  test('fields of the static table take one byte', () => {
    expect(
      encodeBlock(new HpackEncoder(), [
        [':status', '404'],
        ['accept-encoding', 'gzip, deflate'],
        ['accept', ''],
      ]),
    ).toEqual(hex('8d 90 93'));
  });

  test('a repeated block takes one byte a field', () => {
    const encoder = new HpackEncoder();
    const fields: Field[] = [
      [':status', '200'],
      ['x-a', '1'],
      ['server', 'envoy'],
      ['x-b', '2'],
    ];
    encodeBlock(encoder, fields);
    expect(encodeBlock(encoder, fields)).toEqual(hex('88 c0 bf be'));
    // In another order they are found all the same.
    expect(encodeBlock(encoder, fields.toReversed())).toEqual(hex('be bf c0 88'));
  });

  test('secrets are never indexed', () => {
    expect(first('authorization', 'Basic YTpi') & 0xf0).toBe(0x10);
    expect(first('proxy-authorization', 'Basic YTpi') & 0xf0).toBe(0x10);
    expect(first('cookie', 'pin=1234') & 0xf0).toBe(0x10);
    expect(first('cookie', 'session=0123456789abcdef0123456789') & 0xf0).toBe(0x00);
    const encoder = new HpackEncoder();
    for (let i = 0; i < 3; i++) expect(encodeBlock(encoder, [['authorization', 'Basic YTpi']])[0]! & 0xf0).toBe(0x10);
  });

  test.each([':path', 'content-length', 'set-cookie'])('%s is indexed when a value comes again', (name) => {
    const encoder = new HpackEncoder();
    const kind = (value: string): number => encodeBlock(encoder, [[name, value]])[0]! >> 4;
    expect([kind('10'), kind('11'), kind('12')]).toEqual([0, 0, 0]);
    expect(kind('12')).toBeGreaterThanOrEqual(4);
    expect(kind('12')).toBe(0xb);
  });

  test('a name whose values never come again is no longer indexed', () => {
    const encoder = new HpackEncoder();
    const kinds = Array.from({ length: 12 }, (_, i) => encodeBlock(encoder, [['x-id', `value ${i}`]])[0]! >> 6);
    expect(kinds).toEqual([1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0]);
  });

  test.each(['x-request-id', 'traceparent'])(
    '%s is indexed once for its name, then when a value comes again',
    (name) => {
      const encoder = new HpackEncoder();
      const kinds = ['1', '2', '3', '3', '3'].map((value) => encodeBlock(encoder, [[name, value]])[0]! >> 4);
      expect(kinds).toEqual([4, 0, 0, 7, 0xb]);
    },
  );

  test('a field that would take most of the table is not indexed', () => {
    const encoder = new HpackEncoder();
    encodeBlock(encoder, [['x-a', '1']]);
    expect(encodeBlock(encoder, [['x-big', 'x'.repeat(4000)]])[0]! >> 4).toBe(0);
    expect(encodeBlock(encoder, [['x-a', '1']])).toEqual(hex('be'));
  });

  test('text goes as it is where Huffman code is not shorter', () => {
    expect(encodeBlock(new HpackEncoder(), [['x-#', '{|}']]).subarray(1)).toEqual(Buffer.from('\x03x-#\x03{|}'));
    const long = '{'.repeat(300);
    expect(decodeBlock(new HpackDecoder(), encodeBlock(new HpackEncoder(), [[long, long]])).fields).toEqual([
      [long, long],
    ]);
  });

  test('status codes', () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder();
    for (const code of [200, 204, 299, 299, 503, 200]) {
      const out = new ByteWriter(16);
      encoder.begin(out);
      encoder.status(code);
      expect(decodeBlock(decoder, out.bytes.subarray(0, out.size)).fields).toEqual([[':status', String(code)]]);
    }
  });
});

describe('table size', () => {
  test('a smaller table is announced, once', () => {
    const encoder = new HpackEncoder();
    encodeBlock(encoder, [['x-a', '1']]);
    encoder.setPeerMaxTableSize(0);
    expect(encodeBlock(encoder, [['x-a', '1']])[0]).toBe(0x20);
    expect(encodeBlock(encoder, [['x-a', '1']])[0]! >> 4).toBe(0);
  });

  test('of several sizes the smallest and the last are announced', () => {
    const encoder = new HpackEncoder();
    encoder.setPeerMaxTableSize(100);
    encoder.setPeerMaxTableSize(0);
    encoder.setPeerMaxTableSize(1000);
    expect(encodeBlock(encoder, [[':status', '200']])).toEqual(hex('20 3f c9 07 88'));
    expect(encodeBlock(encoder, [[':status', '200']])).toEqual(hex('88'));
  });

  test('a size that comes back still empties the table', () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder();
    decodeBlock(decoder, encodeBlock(encoder, [['x-a', '1']]));
    encoder.setPeerMaxTableSize(0);
    encoder.setPeerMaxTableSize(4096);
    const block = encodeBlock(encoder, [['x-a', '1']]);
    expect(block.subarray(0, 4)).toEqual(hex('20 3f e1 1f'));
    expect(decodeBlock(decoder, block).fields).toEqual([['x-a', '1']]);
  });

  test('no more is used than the peer allows, and no more than we want', () => {
    expect(encodeBlock(new HpackEncoder(0), [['x-a', '1']]).subarray(0, 2)).toEqual(hex('20 00'));
    const encoder = new HpackEncoder(8192);
    expect(encodeBlock(encoder, [[':status', '200']])).toEqual(hex('88'));
    encoder.setPeerMaxTableSize(1 << 20);
    expect(encodeBlock(encoder, [[':status', '200']])).toEqual(hex('3f e1 3f 88'));
    encoder.setPeerMaxTableSize(4096);
    expect(encodeBlock(encoder, [[':status', '200']])).toEqual(hex('3f e1 1f 88'));
  });
});

describe('a decoder reads what the encoder writes', () => {
  const name = fc.oneof(
    fc.constantFrom(
      ':status',
      ':path',
      ':method',
      'cookie',
      'authorization',
      'x-request-id',
      'date',
      'content-type',
      'x-a',
      'x-b',
    ),
    fc.string({ unit: fc.nat(255).map((code) => String.fromCharCode(code)), maxLength: 12 }),
  );
  const value = fc.oneof(
    fc.constantFrom('', '200', 'GET', '/', 'a', 'b', 'c', 'gzip, deflate'),
    fc.string({ unit: fc.nat(255).map((code) => String.fromCharCode(code)), maxLength: 40 }),
    fc.nat(5000).map((length) => 'y'.repeat(length)),
  );
  const block = fc.record({
    fields: fc.array(fc.tuple(name, value), { maxLength: 12 }),
    repeats: fc.nat(3),
    size: fc.option(fc.constantFrom(0, 32, 100, 300, 4096, 100_000), { freq: 5 }),
  });

  test('whatever the fields and sizes', () => {
    fc.assert(
      fc.property(fc.array(block, { maxLength: 20 }), fc.constantFrom(0, 64, 4096, 16384), (blocks, own) => {
        const encoder = new HpackEncoder(own);
        const decoder = new HpackDecoder();
        for (const { fields, repeats, size } of blocks) {
          if (size !== null) {
            encoder.setPeerMaxTableSize(size);
            decoder.setMaxTableSize(size);
          }
          for (let i = 0; i <= repeats; i++) {
            const decoded = decodeBlock(decoder, encodeBlock(encoder, fields));
            if (fields.length > 0) expect(decoded.error).toBe(undefined);
            expect(decoded.fields).toEqual(fields);
          }
        }
      }),
      { numRuns: 100 },
    );
  });
});
