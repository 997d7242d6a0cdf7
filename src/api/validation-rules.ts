import type { DescEnum, DescField, Message } from '@bufbuild/protobuf';
import { equals, isFieldSet } from '@bufbuild/protobuf';
import type { Any, Duration } from '@bufbuild/protobuf/wkt';
import type {
  AnyRules,
  BytesRules,
  DurationRules,
  EnumRules,
  FieldRules,
  RepeatedRules,
  StringRules,
} from './generated/validate/validate_pb.js';
import { FieldRulesSchema, KnownRegex } from './generated/validate/validate_pb.js';

/** What is wrong with a value, or undefined. */
export type Check = (value: unknown) => string | undefined;

/** The checks that one field's `validate.rules` ask for. All run; each finds its own problem. */
export interface FieldChecks {
  /** The field must be set (message.required, duration.required, any.required). */
  readonly required: boolean;
  /** Nested messages are not looked into. */
  readonly skip: boolean;
  /** On the field's value: of a singular field when it is present, of a list or map always. */
  readonly whole: readonly Check[];
  /** On each item of a list, each value of a map. */
  readonly items: readonly Check[];
  readonly keys: readonly Check[];
  /** An empty (default) value passes unlooked at. */
  readonly ignoreEmpty: boolean;
}

const schemaOf = new Map(FieldRulesSchema.fields.map((field) => [field.localName, field.message!]));
/** Those of the API mean the same in RE2's syntax and in JavaScript's, and take linear time in both. */
const regex = (pattern: string): Check => {
  const compiled = new RegExp(pattern, 'u');
  return (value) => (compiled.test(value as string) ? undefined : `value does not match regex pattern "${pattern}"`);
};
const HEADER_NAME = /^:?[0-9a-zA-Z!#$%&'*+\-.^_|~`]+$/;
// eslint-disable-next-line no-control-regex
const HEADER_VALUE = /^[^\x00-\x08\x0A-\x1F\x7F]*$/;
// eslint-disable-next-line no-control-regex
const HEADER_LOOSE = /^[^\x00\n\r]*$/;

/** Compiles the rules of a field (or of a list's items). Rule sets follow protoc-gen-validate. */
export function compileRules(rules: FieldRules, field: DescField): FieldChecks {
  const message = rules.message;
  const type = rules.type;
  const none: readonly Check[] = [];
  let checks: { whole: readonly Check[]; items?: readonly Check[]; keys?: readonly Check[]; ignoreEmpty?: boolean } = {
    whole: none,
  };
  let required = message?.required ?? false;
  switch (type.case) {
    case undefined:
      break;
    case 'string':
      checks = { whole: stringChecks(type.value), ignoreEmpty: type.value.ignoreEmpty };
      break;
    case 'bytes':
      checks = { whole: bytesChecks(type.value) };
      break;
    case 'bool':
      checks = { whole: 'const' in type.value && has('bool', type.value, 'const') ? [equal(type.value.const)] : none };
      break;
    case 'enum':
      checks = { whole: enumChecks(type.value, field.enum) };
      break;
    case 'repeated':
      checks = repeatedChecks(type.value, field);
      break;
    case 'map': {
      const map = type.value;
      const whole: Check[] = [];
      const size = (value: unknown): number => Object.keys(value as object).length;
      if (has('map', map, 'minPairs'))
        whole.push((value) =>
          size(value) < map.minPairs ? `value must contain at least ${map.minPairs} pair(s)` : undefined,
        );
      if (has('map', map, 'maxPairs'))
        whole.push((value) =>
          size(value) > map.maxPairs ? `value must contain no more than ${map.maxPairs} pair(s)` : undefined,
        );
      checks = {
        whole,
        keys: map.keys === undefined ? none : compileRules(map.keys, field).whole,
        items: map.values === undefined ? none : compileRules(map.values, field).whole,
      };
      break;
    }
    case 'duration':
      required ||= type.value.required;
      checks = { whole: durationChecks(type.value) };
      break;
    case 'any':
      required ||= type.value.required;
      checks = { whole: anyChecks(type.value) };
      break;
    case 'timestamp':
      required ||= type.value.required;
      break;
    default:
      checks = { whole: numberChecks(type.case, type.value) };
  }
  return {
    required,
    skip: message?.skip ?? false,
    whole: checks.whole,
    items: checks.items ?? none,
    keys: checks.keys ?? none,
    ignoreEmpty: checks.ignoreEmpty ?? false,
  };
}

/** True if a rule is set: the rules have proto2 presence. */
function has(kind: string, rules: Message, name: string): boolean {
  const schema = schemaOf.get(kind)!;
  const field = schema.fields.find((candidate) => candidate.localName === name);
  return field !== undefined && isFieldSet(rules, field);
}

function equal(constant: unknown): Check {
  return (value) => (value === constant ? undefined : `value must equal ${String(constant)}`);
}

function membership(inside: readonly unknown[], outside: readonly unknown[]): Check[] {
  const checks: Check[] = [];
  if (inside.length > 0)
    checks.push((value) =>
      inside.includes(value) ? undefined : `value must be in list [${inside.map(String).join(' ')}]`,
    );
  if (outside.length > 0)
    checks.push((value) =>
      outside.includes(value) ? `value must not be in list [${outside.map(String).join(' ')}]` : undefined,
    );
  return checks;
}

interface Bounds {
  readonly gt?: number | bigint;
  readonly gte?: number | bigint;
  readonly lt?: number | bigint;
  readonly lte?: number | bigint;
}

/** A range; where the upper bound is below the lower one, the values between them are what is excluded. */
function range(bounds: Bounds, show: (bound: number | bigint) => string): Check | undefined {
  const low = bounds.gt ?? bounds.gte;
  const high = bounds.lt ?? bounds.lte;
  const aboveLow = (value: number | bigint): boolean =>
    bounds.gt !== undefined ? value > bounds.gt : value >= bounds.gte!;
  const belowHigh = (value: number | bigint): boolean =>
    bounds.lt !== undefined ? value < bounds.lt : value <= bounds.lte!;
  if (low !== undefined && high !== undefined) {
    const interval = `${bounds.gt === undefined ? '[' : '('}${show(low)}, ${show(high)}${bounds.lt === undefined ? ']' : ')'}`;
    return high >= low
      ? (value) =>
          aboveLow(value as number) && belowHigh(value as number) ? undefined : `value must be inside range ${interval}`
      : (value) =>
          aboveLow(value as number) || belowHigh(value as number)
            ? undefined
            : `value must be outside range ${interval}`;
  }
  if (low !== undefined)
    return (value) =>
      aboveLow(value as number)
        ? undefined
        : `value must be greater than ${bounds.gt === undefined ? 'or equal to ' : ''}${show(low)}`;
  if (high !== undefined)
    return (value) =>
      belowHigh(value as number)
        ? undefined
        : `value must be less than ${bounds.lt === undefined ? 'or equal to ' : ''}${show(high)}`;
  return undefined;
}

function boundsOf<T>(
  kind: string,
  rules: Message & Record<keyof Bounds, T>,
  convert: (bound: T) => number | bigint,
): Bounds {
  const bounds: { -readonly [K in keyof Bounds]: Bounds[K] } = {};
  for (const name of ['gt', 'gte', 'lt', 'lte'] as const)
    if (has(kind, rules, name)) bounds[name] = convert(rules[name]);
  return bounds;
}

type NumberRules = Message &
  Record<keyof Bounds | 'const', number | bigint> & {
    readonly in: readonly (number | bigint)[];
    readonly notIn: readonly (number | bigint)[];
  };

function numberChecks(kind: string, message: Message): Check[] {
  const rules = message as NumberRules;
  const checks = membership(rules.in, rules.notIn);
  if (has(kind, rules, 'const')) checks.push(equal(rules.const));
  const inRange = range(
    boundsOf(kind, rules, (bound) => bound),
    String,
  );
  if (inRange !== undefined) checks.push(inRange);
  return checks;
}

function stringChecks(rules: StringRules): Check[] {
  const checks = membership(rules.in, rules.notIn);
  const rule = (name: keyof StringRules & string, check: Check): void => {
    if (has('string', rules, name)) checks.push(check);
  };
  const length = (value: unknown): number => {
    let count = 0;
    for (const _ of value as string) count++;
    return count;
  };
  const bytes = (value: unknown): number => Buffer.byteLength(value as string);
  rule('const', equal(rules.const));
  rule('len', (v) => (length(v) === Number(rules.len) ? undefined : `value length must be ${rules.len} characters`));
  rule('minLen', (v) =>
    length(v) < rules.minLen ? `value length must be at least ${rules.minLen} characters` : undefined,
  );
  rule('maxLen', (v) =>
    length(v) > rules.maxLen ? `value length must be at most ${rules.maxLen} characters` : undefined,
  );
  rule('lenBytes', (v) =>
    bytes(v) === Number(rules.lenBytes) ? undefined : `value length must be ${rules.lenBytes} bytes`,
  );
  rule('minBytes', (v) =>
    bytes(v) < rules.minBytes ? `value length must be at least ${rules.minBytes} bytes` : undefined,
  );
  rule('maxBytes', (v) =>
    bytes(v) > rules.maxBytes ? `value length must be at most ${rules.maxBytes} bytes` : undefined,
  );
  if (has('string', rules, 'pattern')) checks.push(regex(rules.pattern));
  const contains = (part: string, how: 'startsWith' | 'endsWith' | 'includes', what: string): Check => {
    return (value) => ((value as string)[how](part) ? undefined : `value does not ${what} "${part}"`);
  };
  rule('prefix', contains(rules.prefix, 'startsWith', 'have prefix'));
  rule('suffix', contains(rules.suffix, 'endsWith', 'have suffix'));
  rule('contains', contains(rules.contains, 'includes', 'contain substring'));
  rule('notContains', (v) =>
    (v as string).includes(rules.notContains) ? `value contains substring "${rules.notContains}"` : undefined,
  );
  if (rules.wellKnown.case === 'wellKnownRegex') checks.push(headerCheck(rules.wellKnown.value, rules.strict));
  return checks;
}

function headerCheck(kind: KnownRegex, strict: boolean): Check {
  const isName = kind === KnownRegex.HTTP_HEADER_NAME;
  const pattern = !strict ? HEADER_LOOSE : isName ? HEADER_NAME : HEADER_VALUE;
  const what = isName ? 'a valid header name' : 'a valid header value';
  return (value) => {
    if (pattern.test(value as string)) return undefined;
    return `value is not ${what}: it does not match regex pattern "${pattern.source}"`;
  };
}

function bytesChecks(rules: BytesRules): Check[] {
  const checks: Check[] = [];
  const length = (value: unknown): number => (value as Uint8Array).length;
  if (has('bytes', rules, 'len'))
    checks.push((v) => (length(v) === Number(rules.len) ? undefined : `value length must be ${rules.len} bytes`));
  if (has('bytes', rules, 'minLen'))
    checks.push((v) => (length(v) < rules.minLen ? `value length must be at least ${rules.minLen} bytes` : undefined));
  if (has('bytes', rules, 'maxLen'))
    checks.push((v) => (length(v) > rules.maxLen ? `value length must be at most ${rules.maxLen} bytes` : undefined));
  return checks;
}

function enumChecks(rules: EnumRules, desc: DescEnum | undefined): Check[] {
  const checks = membership(rules.in, rules.notIn);
  if (has('enum', rules, 'const')) checks.push(equal(rules.const));
  if (rules.definedOnly && desc !== undefined)
    checks.push((value) =>
      desc.value[value as number] === undefined ? 'value must be one of the defined enum values' : undefined,
    );
  return checks;
}

function repeatedChecks(rules: RepeatedRules, field: DescField): { whole: readonly Check[]; items: readonly Check[] } {
  const whole: Check[] = [];
  const size = (value: unknown): number => (value as unknown[]).length;
  if (has('repeated', rules, 'minItems'))
    whole.push((v) => (size(v) < rules.minItems ? `value must contain at least ${rules.minItems} item(s)` : undefined));
  if (has('repeated', rules, 'maxItems'))
    whole.push((v) =>
      size(v) > rules.maxItems ? `value must contain no more than ${rules.maxItems} item(s)` : undefined,
    );
  if (rules.unique)
    whole.push((v) => (isUnique(v as unknown[], field) ? undefined : 'repeated value must contain unique items'));
  return {
    whole,
    items: rules.items === undefined ? [] : compileRules(rules.items, field).whole,
  };
}

function isUnique(items: readonly unknown[], field: DescField): boolean {
  const desc = field.message;
  if (desc === undefined) return new Set(items).size === items.length;
  return items.every(
    (item, index) => !items.slice(0, index).some((other) => equals(desc, item as Message, other as Message)),
  );
}

/** In nanoseconds. */
function nanosOf(duration: Duration): bigint {
  return duration.seconds * 1_000_000_000n + BigInt(duration.nanos);
}

function durationChecks(rules: DurationRules): Check[] {
  const checks: Check[] = [];
  const bounds = boundsOf('duration', rules as DurationRules & Record<keyof Bounds, Duration>, nanosOf);
  const inRange = range(bounds, showNanos);
  if (inRange !== undefined) checks.push((value) => inRange(nanosOf(value as Duration)));
  if (rules.const !== undefined) {
    const constant = nanosOf(rules.const);
    checks.push((value) =>
      nanosOf(value as Duration) === constant ? undefined : `value must equal ${showNanos(constant)}`,
    );
  }
  return checks;
}

/** As Envoy prints durations: 1ms, 5m0s. */
function showNanos(value: number | bigint): string {
  const nanos = Number(value);
  if (nanos === 0) return '0s';
  if (nanos < 1e3) return `${nanos}ns`;
  if (nanos < 1e6) return `${nanos / 1e3}us`;
  if (nanos < 1e9) return `${nanos / 1e6}ms`;
  const seconds = nanos / 1e9;
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m${seconds % 60}s`;
  return `${Math.floor(seconds / 3600)}h${Math.floor((seconds % 3600) / 60)}m${seconds % 60}s`;
}

function anyChecks(rules: AnyRules): Check[] {
  return membership(rules.in, rules.notIn).map((check) => (value) => check((value as Any).typeUrl));
}
