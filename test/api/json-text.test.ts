import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { jsonFromNode } from '../../src/api/config-node.ts';
import { parseJsonText } from '../../src/api/json-text.ts';

test('reads every JSON text as JSON.parse does', () => {
  fc.assert(
    fc.property(fc.json(), fc.integer({ min: 0, max: 3 }), (text, indent) => {
      const value: unknown = JSON.parse(text);
      const { root, problems } = parseJsonText(JSON.stringify(value, null, indent));
      expect(problems).toEqual([]);
      expect(jsonFromNode(root!, false)).toEqual(value);
    }),
  );
});

test('throws at no text', () => {
  const pieces = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"',
    "'",
    '\\',
    'a',
    '1',
    '-',
    'null',
    ' ',
    '\n',
    '\\u12',
  );
  fc.assert(
    fc.property(fc.array(pieces), (parts) => {
      const { root, problems } = parseJsonText(parts.join(''));
      expect(problems.length).toBe(root === undefined ? 1 : 0);
    }),
  );
});

describe('tolerates what Envoy does', () => {
  test.each<[string, unknown]>([
    ["{'a': 'b\"c'}", { a: 'b"c' }],
    ['{a: 1}', { a: 1 }],
    ['{"a": [1, 2,],}', { a: [1, 2] }],
    ['{"a": "b\tc"}', { a: 'b\tc' }],
    ['\ufeff{"a": 1}', { a: 1 }],
    ['{"a": "\\u00e9\\ud83d\\ude00\\/"}', { a: 'é😀/' }],
  ])('%j', (text, value) => {
    expect(jsonFromNode(parseJsonText(text).root!, false)).toEqual(value);
  });
});

test.each([
  ['', 'the text ends where a value is expected', 0],
  ['{"a": 1} x', 'nothing can follow the end of the JSON value', 9],
  ['{"a": 1 "b": 2}', "expected ',' or '}', found '\"'", 8],
  ['{"a" 1}', "expected ':', found '1'", 5],
  ['{"a": 01}', "expected a value, found '0'", 6],
  ['{"a": nope}', "expected a value, found 'nope'", 6],
  ['{"a": "b', 'the string has no end', 6],
  ['{"a": "\\x"}', "unknown escape '\\x'", 7],
  ['{"a": "\\ud83d"}', 'the string is not valid Unicode', 6],
  ['{"a": 1, "a": 2}', "the key 'a' is there twice", 9],
  ['['.repeat(200), 'nested deeper than 100 levels', 101],
])('refuses %s', (text, message, offset) => {
  expect(parseJsonText(text).problems).toEqual([{ message, offset }]);
});

test('integers that a double cannot hold keep their digits', () => {
  const { root } = parseJsonText('[9007199254740993]');
  expect(root).toMatchObject({ items: [{ digits: '9007199254740993' }] });
});
