import { describe, expect, test } from 'vitest';
import { HpackDecoder } from '../../../../../src/proxy/codec/h2/hpack/decoder.ts';
import { FieldFlaw } from '../../../../../src/proxy/codec/h2/hpack/hpack.ts';
import { decodeBlock, hex, type Field } from './hpack-harness.ts';

const request1: Field[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'www.example.com'],
];
const request2: Field[] = [...request1, ['cache-control', 'no-cache']];
const request3: Field[] = [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':path', '/index.html'],
  [':authority', 'www.example.com'],
  ['custom-key', 'custom-value'],
];
const response1: Field[] = [
  [':status', '302'],
  ['cache-control', 'private'],
  ['date', 'Mon, 21 Oct 2013 20:13:21 GMT'],
  ['location', 'https://www.example.com'],
];
const response2: Field[] = [[':status', '307'], ...response1.slice(1)];
const response3: Field[] = [
  [':status', '200'],
  ['cache-control', 'private'],
  ['date', 'Mon, 21 Oct 2013 20:13:22 GMT'],
  ['location', 'https://www.example.com'],
  ['content-encoding', 'gzip'],
  ['set-cookie', 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'],
];

describe('examples of RFC 7541 appendix C', () => {
  test.each<[string, string, Field]>([
    ['C.2.1', '400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572', ['custom-key', 'custom-header']],
    ['C.2.2', '040c 2f73 616d 706c 652f 7061 7468', [':path', '/sample/path']],
    ['C.2.3', '1008 7061 7373 776f 7264 0673 6563 7265 74', ['password', 'secret']],
    ['C.2.4', '82', [':method', 'GET']],
  ])('%s', (_, block, field) => {
    expect(decodeBlock(new HpackDecoder(), hex(block))).toEqual({ error: undefined, fields: [field], flaws: [0] });
  });

  test.each<[string, number, [string, Field[]][]]>([
    [
      'C.3, requests without Huffman code',
      4096,
      [
        ['8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d', request1],
        ['8286 84be 5808 6e6f 2d63 6163 6865', request2],
        ['8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65', request3],
      ],
    ],
    [
      'C.4, requests with Huffman code',
      4096,
      [
        ['8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff', request1],
        ['8286 84be 5886 a8eb 1064 9cbf', request2],
        ['8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf', request3],
      ],
    ],
    [
      'C.5, responses without Huffman code, with evictions',
      256,
      [
        [
          '4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32' +
            '3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
          response1,
        ],
        ['4803 3330 37c1 c0bf', response2],
        [
          '88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970' +
            '7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61' +
            '6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31',
          response3,
        ],
      ],
    ],
    [
      'C.6, responses with Huffman code, with evictions',
      256,
      [
        [
          '4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad' +
            '1718 63c7 8f0b 97c8 e9ae 82ae 43d3',
          response1,
        ],
        ['4883 640e ffc1 c0bf', response2],
        [
          '88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2' +
            'e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07',
          response3,
        ],
      ],
    ],
  ])('%s', (_, tableSize, blocks) => {
    const decoder = new HpackDecoder(tableSize);
    for (const [block, fields] of blocks) {
      expect(decodeBlock(decoder, hex(block))).toMatchObject({ error: undefined, fields });
    }
  });
});

describe('errors', () => {
  test.each([
    ['index 0', '80', 'invalid index'],
    ['an index beyond both tables', 'be', 'invalid index'],
    ['a name index beyond both tables', '7e 01 61', 'invalid index'],
    ['an index that ends in its midst', 'ff', 'truncated header block'],
    ['an index that never ends', 'ff 80 80 80 80 80 80', 'integer too large'],
    ['an index that would overflow', 'ff ff ff ff ff ff 0f', 'integer too large'],
    ['a literal without a name', '40', 'truncated header block'],
    ['a literal whose name is cut off', '40 05 61 62', 'truncated header block'],
    ['a literal without a value', '40 01 61', 'truncated header block'],
    ['a length beyond the block', '40 01 61 7f ff ff 7f', 'truncated header block'],
    ['a whole byte of padding', '40 01 61 82 1f ff', 'invalid Huffman code'],
    ['padding with zeros', '40 01 61 81 18', 'invalid Huffman code'],
    ['EOS', '40 01 61 84 ff ff ff ff', 'invalid Huffman code'],
    ['EOS in a name', '40 84 ff ff ff ff 01 61', 'invalid Huffman code'],
    ['a table that is larger than allowed', '3f e2 1f', 'table size update too large'],
    ['an update behind a field', '82 20', 'misplaced table size update'],
  ])('%s', (_, block, error) => {
    expect(decodeBlock(new HpackDecoder(), hex(block)).error).toBe(error);
  });
});

describe('table size', () => {
  const add = (value: string): Buffer =>
    Buffer.concat([hex('40 01 61'), Buffer.from([value.length]), Buffer.from(value)]);

  test('an update drops what no longer fits', () => {
    const decoder = new HpackDecoder();
    // 34 bytes each.
    decodeBlock(decoder, Buffer.concat([add('1'), add('2'), add('3')]));
    expect(decodeBlock(decoder, hex('3f 25 be bf')).fields).toEqual([
      ['a', '3'],
      ['a', '2'],
    ]);
    expect(decodeBlock(decoder, hex('c0')).error).toBe('invalid index');
    expect(decodeBlock(decoder, hex('20 be')).error).toBe('invalid index');
  });

  test('an entry that is larger than the table empties it', () => {
    const decoder = new HpackDecoder(64);
    decodeBlock(decoder, add('1'));
    const { error, fields } = decodeBlock(decoder, add('x'.repeat(40)));
    expect([error, fields.length]).toEqual([undefined, 1]);
    expect(decodeBlock(decoder, hex('be')).error).toBe('invalid index');
  });

  test('the name of a new entry may be that of the one it displaces', () => {
    const decoder = new HpackDecoder(40);
    decodeBlock(decoder, add('1'));
    expect(decodeBlock(decoder, hex('7e 02 78 79 be')).fields).toEqual([
      ['a', 'xy'],
      ['a', 'xy'],
    ]);
  });

  test('a smaller setting has to be acknowledged by an update', () => {
    const smaller = (): HpackDecoder => {
      const decoder = new HpackDecoder();
      decoder.setMaxTableSize(100);
      return decoder;
    };
    expect(decodeBlock(smaller(), hex('82')).error).toBe('missing table size update');
    expect(decodeBlock(smaller(), hex('3f 46 82')).error).toBe('table size update too large');
    const decoder = smaller();
    expect(decodeBlock(decoder, hex('3f 45 82')).error).toBe(undefined);
    expect(decodeBlock(decoder, hex('82')).error).toBe(undefined);
  });

  test('of two changes the smallest has to be acknowledged', () => {
    const decoder = new HpackDecoder();
    decoder.setMaxTableSize(0);
    decoder.setMaxTableSize(8192);
    expect(decodeBlock(decoder, hex('3f e1 1f 82')).error).toBe('missing table size update');
    expect(decodeBlock(decoder, hex('20 3f e1 3f 82')).error).toBe(undefined);
  });

  test('a larger setting changes nothing by itself', () => {
    const decoder = new HpackDecoder();
    decoder.setMaxTableSize(8192);
    expect(decodeBlock(decoder, hex('82')).error).toBe(undefined);
  });

  test('a table of thousands of entries', () => {
    const decoder = new HpackDecoder(1 << 20);
    for (let i = 0; i < 3000; i++) decodeBlock(decoder, add(String(i)));
    const index = (at: number): Buffer => {
      const rest = at - 127;
      return Buffer.from([0xff, (rest & 0x7f) | 0x80, rest >> 7]);
    };
    expect(decodeBlock(decoder, index(62 + 2999)).fields).toEqual([['a', '0']]);
    expect(decodeBlock(decoder, index(62 + 1000)).fields).toEqual([['a', '1999']]);
  });
});

describe('the sink', () => {
  test('that has enough gets no more, and the table is none the worse', () => {
    const decoder = new HpackDecoder();
    const block = hex('82 40 01 61 01 31 00 01 62 01 32 40 01 63 01 33');
    expect(decodeBlock(decoder, block, 1).fields).toEqual([[':method', 'GET']]);
    expect(decodeBlock(decoder, hex('be bf')).fields).toEqual([
      ['c', '3'],
      ['a', '1'],
    ]);
  });

  test('equal names are one string', () => {
    const names = decodeBlock(new HpackDecoder(), hex('00 04 686f7374 00 00 04 686f7374 00')).fields.map(
      ([name]) => name,
    );
    expect(names).toEqual(['host', 'host']);
  });

  test.each<[string, string, string, number]>([
    ['a name', 'x-a', 'b', 0],
    ['a pseudo-header field', ':path', '/', 0],
    ['no name', '', 'b', FieldFlaw.name],
    ['only a colon', ':', 'b', FieldFlaw.name],
    ['two colons', '::', 'b', FieldFlaw.name],
    ['upper case', 'x-A', 'b', FieldFlaw.name],
    ['a blank in a name', 'x a', 'b', FieldFlaw.name],
    ['a byte above 127 in a name', 'x\xe4', 'b', FieldFlaw.name],
    ['a tab within', 'a', 'b\tc', 0],
    ['a byte above 127', 'a', '\xe4\xff', 0],
    ['NUL', 'a', 'b\0', FieldFlaw.value],
    ['LF', 'a', 'b\nc', FieldFlaw.value],
    ['CR', 'a', 'b\rc', FieldFlaw.value],
    ['DEL', 'a', '\x7f', FieldFlaw.value],
    ['blanks before', 'a', ' b', FieldFlaw.padding],
    ['blanks behind', 'a', 'b\t', FieldFlaw.padding],
    ['everything', 'A', '\0 ', FieldFlaw.name | FieldFlaw.value | FieldFlaw.padding],
  ])('is told of %s', (_, name, value, flaws) => {
    const text = (content: string): Buffer =>
      Buffer.concat([Buffer.from([content.length]), Buffer.from(content, 'latin1')]);
    const literal = Buffer.concat([hex('40'), text(name), text(value)]);
    const decoder = new HpackDecoder();
    expect(decodeBlock(decoder, literal)).toEqual({ error: undefined, fields: [[name, value]], flaws: [flaws] });
    expect(decodeBlock(decoder, hex('be')).flaws).toEqual([flaws]);
    // By its name alone.
    expect(decodeBlock(decoder, hex('7e 01 62')).flaws).toEqual([flaws & FieldFlaw.name]);
  });
});
