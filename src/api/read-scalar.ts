import { ScalarType } from '@bufbuild/protobuf';
import type { ScalarNode } from './config-node.ts';
import { describeNode } from './config-node.ts';

export type ScalarValue = string | number | bigint | boolean | Uint8Array;

/** A value that could not be read; `message` says what was expected. */
export class Unreadable {
  readonly message: string;

  constructor(message: string) {
    this.message = message;
  }
}

/** What each scalar type is called in messages, and its range. */
const INTEGERS: Readonly<Partial<Record<ScalarType, readonly [name: string, min: bigint, max: bigint]>>> = {
  [ScalarType.INT32]: ['int32', -0x8000_0000n, 0x7fff_ffffn],
  [ScalarType.SINT32]: ['int32', -0x8000_0000n, 0x7fff_ffffn],
  [ScalarType.SFIXED32]: ['int32', -0x8000_0000n, 0x7fff_ffffn],
  [ScalarType.UINT32]: ['uint32', 0n, 0xffff_ffffn],
  [ScalarType.FIXED32]: ['uint32', 0n, 0xffff_ffffn],
  [ScalarType.INT64]: ['int64', -0x8000_0000_0000_0000n, 0x7fff_ffff_ffff_ffffn],
  [ScalarType.SINT64]: ['int64', -0x8000_0000_0000_0000n, 0x7fff_ffff_ffff_ffffn],
  [ScalarType.SFIXED64]: ['int64', -0x8000_0000_0000_0000n, 0x7fff_ffff_ffff_ffffn],
  [ScalarType.UINT64]: ['uint64', 0n, 0xffff_ffff_ffff_ffffn],
  [ScalarType.FIXED64]: ['uint64', 0n, 0xffff_ffff_ffff_ffffn],
};
const WIDE: ReadonlySet<ScalarType> = new Set([
  ScalarType.INT64,
  ScalarType.SINT64,
  ScalarType.SFIXED64,
  ScalarType.UINT64,
  ScalarType.FIXED64,
]);

const DECIMAL = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;
const HEXADECIMAL = /^[+-]?0[xX][0-9a-fA-F]+$/;
const TRUE: ReadonlySet<string> = new Set(['true', 't', 'yes', 'y', '1']);
const FALSE: ReadonlySet<string> = new Set(['false', 'f', 'no', 'n', '0']);

/**
 * proto3-JSON of a scalar with the leniencies that Envoy's parser has: numbers in quotes (decimal, hexadecimal, with
 * sign or exponent), the words for booleans in quotes, either base64 alphabet.
 */
export function readScalar(type: ScalarType, node: ScalarNode): ScalarValue | Unreadable {
  const { value } = node;
  switch (type) {
    case ScalarType.STRING:
      if (typeof value === 'string') return isWellFormed(value) ? value : new Unreadable('is not valid Unicode');
      return new Unreadable(
        `expected a string, found ${describeNode(node)}${value === null ? '' : ' (put it in quotes)'}`,
      );
    case ScalarType.BOOL: {
      if (typeof value === 'boolean') return value;
      const word = typeof value === 'string' ? value.toLowerCase() : '';
      if (TRUE.has(word)) return true;
      if (FALSE.has(word)) return false;
      return new Unreadable(`expected true or false, found ${describeNode(node)}`);
    }
    case ScalarType.BYTES:
      if (typeof value !== 'string') return new Unreadable(`expected base64 in a string, found ${describeNode(node)}`);
      return readBase64(value);
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT: {
      if (value === 'NaN') return Number.NaN;
      if (value === 'Infinity') return Number.POSITIVE_INFINITY;
      if (value === '-Infinity') return Number.NEGATIVE_INFINITY;
      const number = typeof value === 'number' ? value : typeof value === 'string' ? parseNumber(value) : undefined;
      if (number === undefined) return new Unreadable(`expected a number, found ${describeNode(node)}`);
      if (!Number.isFinite(number) || (type === ScalarType.FLOAT && !Number.isFinite(Math.fround(number))))
        return new Unreadable(`${value} is out of range for ${type === ScalarType.FLOAT ? 'a float' : 'a double'}`);
      return number;
    }
    default:
      return readInteger(type, node);
  }
}

function readInteger(type: ScalarType, node: ScalarNode): number | bigint | Unreadable {
  const [name, min, max] = INTEGERS[type]!;
  const { value } = node;
  if (typeof value !== 'number' && typeof value !== 'string')
    return new Unreadable(`expected an integer, found ${describeNode(node)}`);
  // The common case needs no bigint.
  if (typeof value === 'number' && Number.isSafeInteger(value)) {
    if (value < Number(min) || value > Number(max)) return new Unreadable(`${value} is out of range for ${name}`);
    return WIDE.has(type) ? BigInt(value) : value;
  }
  const text = node.digits ?? String(value);
  const integer = parseInteger(text);
  if (integer === 'fraction') return new Unreadable(`expected an integer, found ${text}`);
  if (integer === undefined) return new Unreadable(`expected an integer, found ${describeNode(node)}`);
  if (integer < min || integer > max) return new Unreadable(`${text} is out of range for ${name}`);
  return WIDE.has(type) ? integer : Number(integer);
}

function parseNumber(text: string): number | undefined {
  if (DECIMAL.test(text)) return Number(text);
  if (HEXADECIMAL.test(text)) return text.startsWith('-') ? -Number(text.slice(1)) : Number(text.replace('+', ''));
  return undefined;
}

function parseInteger(text: string): bigint | 'fraction' | undefined {
  if (/^[+-]?\d+$/.test(text)) return BigInt(text.replace('+', ''));
  if (HEXADECIMAL.test(text)) return text.startsWith('-') ? -BigInt(text.slice(1)) : BigInt(text.replace('+', ''));
  if (!DECIMAL.test(text)) return undefined;
  const number = Number(text);
  return Number.isInteger(number) ? BigInt(number) : 'fraction';
}

function readBase64(text: string): Uint8Array | Unreadable {
  const standard = text.replaceAll('-', '+').replaceAll('_', '/').replace(/=+$/, '');
  if (!/^[A-Za-z0-9+/]*$/.test(standard) || standard.length % 4 === 1) return new Unreadable('is not base64');
  return new Uint8Array(Buffer.from(standard, 'base64'));
}

function isWellFormed(text: string): boolean {
  return text.isWellFormed();
}

/** A google.protobuf.Duration in its JSON form, `1.5s`. */
export function readDuration(text: string): { seconds: bigint; nanos: number } | Unreadable {
  const match = /^(-?)(\d+)(?:\.(\d{1,9}))?s$/.exec(text);
  if (match === null) {
    const milliseconds = /^(\d+(?:\.\d+)?)ms$/.exec(text)?.[1];
    const minutes = /^(\d+)m$/.exec(text)?.[1];
    const bare = /^\d+(\.\d+)?$/.test(text) ? text : undefined;
    const hint =
      milliseconds !== undefined
        ? ` (did you mean '${Number(milliseconds) / 1000}s'?)`
        : minutes !== undefined
          ? ` (did you mean '${Number(minutes) * 60}s'?)`
          : bare !== undefined
            ? ` (did you mean '${bare}s'?)`
            : '';
    return new Unreadable(`expected a duration in seconds such as '1.5s', found '${text}'${hint}`);
  }
  const [, sign, whole, fraction = ''] = match;
  const seconds = BigInt(whole!);
  if (seconds > 315_576_000_000n) return new Unreadable(`the duration '${text}' is out of range`);
  const nanos = Number(fraction.padEnd(9, '0'));
  return sign === '-' ? { seconds: -seconds, nanos: nanos === 0 ? 0 : -nanos } : { seconds, nanos };
}
