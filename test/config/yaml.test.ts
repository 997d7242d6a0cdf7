import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import type { ConfigNode } from '../../src/api/config-node.ts';
import { jsonFromNode } from '../../src/api/config-node.ts';
import { readYamlDocument } from '../../src/config/yaml-document.ts';
import { YamlFastReader } from '../../src/config/yaml-fast-reader.ts';
import { parseYaml } from '../../src/config/yaml.ts';

async function valueOf(text: string): Promise<unknown> {
  const { root, problems } = await parseYaml(text);
  expect(problems).toEqual([]);
  return jsonFromNode(root!, false);
}

describe('plain scalars', () => {
  test.each([
    ['y', true],
    ['Y', true],
    ['yes', true],
    ['Yes', true],
    ['YES', true],
    ['on', true],
    ['true', true],
    ['n', false],
    ['No', false],
    ['off', false],
    ['FALSE', false],
    ['yEs', 'yEs'],
    ['~', null],
    ['null', null],
    ['', null],
    ['nUll', 'nUll'],
    ['0', 0],
    ['-7', -7],
    ['+7', 7],
    ['0x1F', 31],
    ['017', 15],
    ['08', '08'],
    ['0o17', '0o17'],
    ['1_000', '1_000'],
    ['2147483647', 2147483647],
    ['2147483648', '2147483648'],
    ['0xFFFFFFFF', '4294967295'],
    ['99999999999999999999', '99999999999999999999'],
    ['1.5', '1.5'],
    ['1e3', '1e3'],
    ['.inf', '.inf'],
    ['12:30', '12:30'],
    ['2020-01-01', '2020-01-01'],
    ['"yes"', 'yes'],
    ["'12'", '12'],
    ["'it''s'", "it's"],
    ['"a\\tb\\x41\\u00e9"', 'a\tbA\u00e9'],
    ['! 12', '12'],
    ['http://a:80/#x', 'http://a:80/#x'],
    ['a # b', 'a'],
    ['a#b', 'a#b'],
  ])('%s', async (text, value) => {
    expect(await valueOf(`key: ${text}\n`)).toEqual({ key: value });
  });

  test('are numbers for our own extensions, where they are fractions', async () => {
    const { root } = await parseYaml('{a: 1.5, b: "1.5"}');
    expect(jsonFromNode(root!, true)).toEqual({ a: 1.5, b: '1.5' });
  });
});

describe('documents', () => {
  test.each<[string, string, unknown]>([
    ['the first one counts', 'a: 1\n---\nb: 2\n', { a: 1 }],
    ['may have markers', '# x\n---\na: 1\n...\n', { a: 1 }],
    ['may use Windows line ends', 'a: 1\r\nb:\r\n  - 2\r\n', { a: 1, b: [2] }],
    ['literal blocks keep their lines', 'a: |\n  x\n   y\n\n  z\nb: 1\n', { a: 'x\n y\n\nz\n', b: 1 }],
    ['literal blocks strip', 'a: |-\n  x\n\n', { a: 'x' }],
    ['literal blocks keep', 'a: |+\n  x\n\nb: 1\n', { a: 'x\n\n', b: 1 }],
    ['folded blocks fold', 'a: >-\n  x\n  y\n', { a: 'x y' }],
    ['plain scalars go on', 'a: x\n  y\nb: 1\n', { a: 'x y', b: 1 }],
    ['lists at the column of their key', 'a:\n- 1\n- b: 2\n  c: 3\nd: 4\n', { a: [1, { b: 2, c: 3 }], d: 4 }],
    ['lists in lists', 'a:\n- - 1\n  - 2\n-\n  - 3\n', { a: [[1, 2], [3]] }],
    ['flow collections over lines', 'a: {b: [1,\n  2], # c\n  "d":e}\n', { a: { b: [1, 2], d: 'e' } }],
    ['aliases', 'a: &x {b: 1}\nc: *x\n', { a: { b: 1 }, c: { b: 1 } }],
    ['ignored keys may hold anchors', '!ignore x: &x {b: 1}\nc: *x\n', { c: { b: 1 } }],
    ['merge keys', 'a: &x {b: 1, c: 2}\nd:\n  <<: *x\n  c: 3\n', { a: { b: 1, c: 2 }, d: { b: 1, c: 3 } }],
    [
      'merge keys of lists',
      'a: &x {b: 1}\nc: &y {b: 2, d: 3}\ne: {<<: [*x, *y]}\n',
      {
        a: { b: 1 },
        c: { b: 2, d: 3 },
        e: { b: 1, d: 3 },
      },
    ],
    ['keys are text', '1: a\nyes: b\n~: c\n', { '1': 'a', yes: 'b', null: 'c' }],
    ['empty values', 'a:\nb: ""\nc:\n  d:\n', { a: null, b: '', c: { d: null } }],
  ])('%s', async (_, text, value) => {
    expect(await valueOf(text)).toEqual(value);
  });

  test.each([
    ['a key twice', 'a: 1\nb: 2\na: 3\n', "the key 'a' is there twice", 10],
    ['a key twice in a flow', 'x: {a: 1, a: 2}\n', "the key 'a' is there twice", 10],
    ['an unknown alias', 'a: *x\n', "the anchor 'x' is not defined", 3],
    ['an alias in itself', 'a: &x [*x]\n', "the alias 'x' stands inside of its own anchor", 7],
    ['a list as a key', '? [a]\n: b\n', 'a key has to be a single value', 2],
    ['a merge of a scalar', 'a: {<<: b}\n', "'<<' merges an object or a list of objects", 8],
  ])('refuses %s', async (_, text, message, offset) => {
    expect((await parseYaml(text)).problems).toEqual([{ message, offset }]);
  });

  test.each(['a: [b', 'a: b: c', '\ta: 1', 'a: "b', 'a: }', 'a: @b', '- a\nb: c'])('refuses %j', async (text) => {
    expect((await parseYaml(text)).problems.length).toBeGreaterThan(0);
  });

  test('an alias bomb is refused, not expanded', async () => {
    const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x]'];
    for (let i = 1; i < 20; i++)
      lines.push(
        `a${i}: &a${i} [${Array(9)
          .fill(`*a${i - 1}`)
          .join(', ')}]`,
      );
    const { problems } = await parseYaml(`${lines.join('\n')}\n`);
    expect(problems).toEqual([{ message: 'aliases expand the document beyond reason', offset: 0 }]);
  });

  test('no depth overflows the stack', async () => {
    for (const text of ['['.repeat(3_000), '{a: '.repeat(3_000), `${'- '.repeat(3_000)}a`])
      expect((await parseYaml(`k: ${text}`)).problems.length + (await parseYaml(text)).problems.length).toBeGreaterThan(
        0,
      );
  });
});

/** Without -0, which YAML texts cannot keep apart. */
const scalars = fc.oneof(
  fc.string(),
  fc.string({ unit: fc.constantFrom(...'ab:#- \'"[]{},&*!|>%@`\\\n.012y~') }),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
  fc.constantFrom('yes', 'no', '~', '1.5', '0x10', 'a: b', ' a', 'a ', '- a', '# a', '', 'null', '<<', '---'),
);
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof({ maxDepth: 4 }, scalars, fc.array(tie('tree'), { maxLength: 4 }), tie('map')),
  map: fc.dictionary(fc.oneof(fc.string({ minLength: 1 }), fc.constantFrom('a', 'b c', 'd:e', '1')), tie('tree'), {
    maxKeys: 4,
  }),
}));

describe('the fast reader', () => {
  const agrees = (text: string): boolean => {
    const fast = new YamlFastReader(text).read();
    if (fast === undefined) return false;
    const complete = readYamlDocument(text);
    expect(complete.problems).toEqual([]);
    expect(withoutOffsetsOfNulls(fast)).toEqual(withoutOffsetsOfNulls(complete.root!));
    return true;
  };

  test('reads what the complete one reads, or gives up', () => {
    let read = 0;
    fc.assert(
      fc.property(
        fc.dictionary(fc.constantFrom('a', 'b', 'c'), tree, { minKeys: 1 }),
        fc.constantFrom('BLOCK_FOLDED', 'BLOCK_LITERAL', 'QUOTE_DOUBLE', 'QUOTE_SINGLE', 'PLAIN'),
        fc.boolean(),
        (value, style, flow) => {
          const options = {
            defaultStringType: style,
            collectionStyle: flow ? 'flow' : 'block',
            version: '1.1',
          } as const;
          if (agrees(stringify(value, options))) read++;
        },
      ),
      { numRuns: 500 },
    );
    // It would agree by giving up always.
    expect(read).toBeGreaterThan(50);
  });

  test('reads no text that the complete one refuses', () => {
    const pieces = fc.constantFrom(
      'a',
      'b: ',
      'c:',
      '- ',
      '\n',
      '\n  ',
      '\n    ',
      '{',
      '}',
      '[',
      ']',
      ',',
      '"x"',
      "'y'",
      '# z',
      ' ',
      ':',
      '|',
      '1',
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 25 }), (parts) => void agrees(`k: ${parts.join('')}\n`)),
      { numRuns: 3000 },
    );
  });

  test.each([
    'static_resources:\n  clusters:\n  - name: a\n    type: STATIC\n    load_assignment:\n      endpoints:\n      - lb_endpoints:\n        - endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 80}}}\n',
    '# comment\nadmin:\n    address: # here\n\n        pipe: { path: "/tmp/x", }\n',
  ])('handles the usual style itself: %j', (text) => {
    expect(agrees(text)).toBe(true);
  });
});

/** An empty value stands nowhere: the readers place it differently. */
function withoutOffsetsOfNulls(node: ConfigNode): unknown {
  if (node.kind === 'scalar') return node.value === null ? null : node;
  if (node.kind === 'list') return { ...node, items: node.items.map(withoutOffsetsOfNulls) };
  return { ...node, entries: node.entries.map((entry) => ({ ...entry, value: withoutOffsetsOfNulls(entry.value) })) };
}
