import type { HeaderMatcher as HeaderMatcherMessage } from '../api/generated/envoy/config/route/v3/route_components_pb.js';
import type { StringMatcher as StringMatcherMessage } from '../api/generated/envoy/type/matcher/v3/string_pb.js';
import { compileStringMatcher, type StringMatch } from '../lib/string-matcher.ts';
import { ConfigError } from './config-type.ts';
import type { Headers } from './headers.ts';

/** What route.v3.HeaderMatcher asks for, deprecated forms as string matchers. */
export interface HeaderMatch {
  /** Lower-case. */
  readonly name: string;
  readonly match:
    | { readonly kind: 'present'; readonly present: boolean }
    /** start <= value < end. */
    | { readonly kind: 'range'; readonly start: number; readonly end: number }
    | { readonly kind: 'string'; readonly matcher: StringMatch };
  readonly invert: boolean;
  readonly treatMissingAsEmpty: boolean;
}

/** Tests the headers of one message. */
export type HeaderTest = (headers: Headers | undefined) => boolean;

const integer = /^\s*[+-]?\d+\s*$/;

/**
 * Of several fields with one name any may match (Envoy 1.40); inverted, none may.
 * An absent header matches nothing, inverted or not.
 */
export function compileHeaderMatch({ name, match, invert, treatMissingAsEmpty }: HeaderMatch): HeaderTest {
  const field = name === 'host' ? ':authority' : name;
  if (match.kind === 'present') {
    const wanted = match.present !== invert;
    return (headers) => (treatMissingAsEmpty || (headers !== undefined && headers.has(field))) === wanted;
  }
  const test = compileValue(match);
  return (headers) => {
    const first = headers?.get(field);
    if (first === undefined) return treatMissingAsEmpty ? test('') !== invert : false;
    return (test(first) || headers!.getAll(field).some(test)) !== invert;
  };
}

function compileValue(match: Exclude<HeaderMatch['match'], { kind: 'present' }>): (value: string) => boolean {
  if (match.kind === 'range') {
    const { start, end } = match;
    return (value) => integer.test(value) && Number(value) >= start && Number(value) < end;
  }
  const matcher = compileStringMatcher(match.matcher);
  return (value) => matcher.matches(value);
}

/** True if every matcher of `matches` holds. Throws ConfigError on a bad regex. */
export function compileHeaderMatches(matches: readonly HeaderMatch[]): HeaderTest {
  const tests = matches.map((match, index) => {
    try {
      return compileHeaderMatch(match);
    } catch (error) {
      throw new ConfigError(error instanceof Error ? error.message : String(error), `[${index}]`);
    }
  });
  return (headers) => tests.every((test) => test(headers));
}

/**
 * Reads a route.v3.HeaderMatcher, in its current and its deprecated forms. Throws what `readString` throws on what we
 * lack, a ConfigError.
 */
export function headerMatchOf(
  message: HeaderMatcherMessage,
  readString: (message: StringMatcherMessage) => StringMatch = stringMatchOf,
): HeaderMatch {
  return {
    name: message.name.toLowerCase(),
    match: matchOf(message, readString),
    invert: message.invertMatch,
    treatMissingAsEmpty: message.treatMissingHeaderAsEmpty,
  };
}

function matchOf(
  { headerMatchSpecifier: specifier }: HeaderMatcherMessage,
  readString: (message: StringMatcherMessage) => StringMatch,
): HeaderMatch['match'] {
  switch (specifier.case) {
    case undefined:
      return { kind: 'present', present: true };
    case 'presentMatch':
      return { kind: 'present', present: specifier.value };
    case 'rangeMatch':
      return { kind: 'range', start: Number(specifier.value.start), end: Number(specifier.value.end) };
    case 'exactMatch':
      // An empty exact_match takes any value, unlike `string_match: {exact: ""}`.
      return literal(specifier.value === '' ? 'prefix' : 'exact', specifier.value);
    case 'prefixMatch':
      return literal('prefix', specifier.value);
    case 'suffixMatch':
      return literal('suffix', specifier.value);
    case 'containsMatch':
      return literal('contains', specifier.value);
    case 'safeRegexMatch':
      return { kind: 'string', matcher: { kind: 'regex', value: specifier.value.regex } };
    case 'stringMatch':
      return { kind: 'string', matcher: readString(specifier.value) };
  }
}

function literal(kind: Exclude<StringMatch['kind'], 'regex'>, value: string): HeaderMatch['match'] {
  return { kind: 'string', matcher: { kind, value, ignoreCase: false } };
}

/** Reads a type.matcher.v3.StringMatcher. */
export function stringMatchOf({ matchPattern: pattern, ignoreCase }: StringMatcherMessage): StringMatch {
  if (pattern.case === 'safeRegex') return { kind: 'regex', value: pattern.value.regex };
  if (pattern.case === 'custom' || pattern.case === undefined)
    throw new ConfigError('unsupported: string matcher extensions are not implemented');
  return { kind: pattern.case, value: pattern.value, ignoreCase };
}
