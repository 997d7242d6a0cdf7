import type { ScalarNode } from '../api/config-node.ts';

/** The plain scalars that are booleans: each word in lower, upper or title case, as yaml-cpp reads YAML 1.1. */
const BOOLEANS: ReadonlyMap<string, boolean> = new Map(
  [
    ['y', 'n'],
    ['yes', 'no'],
    ['true', 'false'],
    ['on', 'off'],
  ].flatMap(([yes, no]) => [...spellings(yes!, true), ...spellings(no!, false)]),
);

function spellings(word: string, value: boolean): [string, boolean][] {
  return [
    [word, value],
    [word.toUpperCase(), value],
    [word[0]!.toUpperCase() + word.slice(1), value],
  ];
}

const INTEGER = /^([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9]\d*)$/;
const FRACTION = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;

/**
 * What a plain (unquoted) YAML scalar is to Envoy: null, boolean, integer (decimal, 0x hexadecimal, 0 octal), or a
 * string. Integers beyond 32 bits become strings of their decimal digits, and fractions stay strings, as in Envoy;
 * whoever reads a number takes either.
 */
export function resolvePlainScalar(text: string, offset: number): ScalarNode {
  if (text === '' || text === '~' || text === 'null' || text === 'Null' || text === 'NULL')
    return { kind: 'scalar', value: null, offset };
  const boolean = BOOLEANS.get(text);
  if (boolean !== undefined) return { kind: 'scalar', value: boolean, offset };
  const first = text.charCodeAt(0);
  // Digits, '+', '-' and '.': nothing else can be a number.
  if (first > 0x39 || (first < 0x30 && first !== 0x2b && first !== 0x2d && first !== 0x2e))
    return { kind: 'scalar', value: text, offset };
  const integer = INTEGER.exec(text);
  if (integer !== null) {
    const value = integerOf(integer[1]!, integer[2]!);
    if (value >= -0x8000_0000n && value <= 0x7fff_ffffn) return { kind: 'scalar', value: Number(value), offset };
    if (value >= -(2n ** 63n) && value < 2n ** 63n) return { kind: 'scalar', value: value.toString(), offset };
  }
  return FRACTION.test(text)
    ? { kind: 'scalar', value: text, fraction: true, offset }
    : { kind: 'scalar', value: text, offset };
}

function integerOf(sign: string, digits: string): bigint {
  const octal = digits.length > 1 && digits[0] === '0' && digits[1] !== 'x' && digits[1] !== 'X';
  const value = BigInt(octal ? `0o${digits}` : digits);
  return sign === '-' ? -value : value;
}
