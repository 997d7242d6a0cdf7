import type {
  HeaderMatcher,
  QueryParameterMatcher,
} from '../../api/generated/envoy/config/route/v3/route_components_pb.js';
import type { StringMatcherModel } from '../common-model.ts';
import type { Problems } from '../problem.ts';
import type { HeaderMatcherModel, QueryParameterMatcherModel } from '../route-model.ts';
import { buildStringMatcher, checkRegex } from './common.ts';

/** A list of route.v3.HeaderMatcher; `problems` stands at the list. */
export function buildHeaderMatchers(messages: readonly HeaderMatcher[], problems: Problems): HeaderMatcherModel[] {
  return messages.map((message, index) => buildHeaderMatcher(message, problems.at(index)));
}

/** route.v3.HeaderMatcher, in its current and its deprecated forms. */
export function buildHeaderMatcher(message: HeaderMatcher, problems: Problems): HeaderMatcherModel {
  return {
    name: message.name.toLowerCase(),
    match: buildMatch(message, problems),
    invert: message.invertMatch,
    treatMissingAsEmpty: message.treatMissingHeaderAsEmpty,
  };
}

function buildMatch(message: HeaderMatcher, problems: Problems): HeaderMatcherModel['match'] {
  const specifier = message.headerMatchSpecifier;
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
      checkRegex(specifier.value.regex, problems.at('safe_regex_match').at('regex'));
      return { kind: 'string', matcher: { kind: 'regex', value: specifier.value.regex } };
    case 'stringMatch':
      return { kind: 'string', matcher: buildStringMatcher(specifier.value, problems.at('string_match')) };
  }
}

function literal(kind: Exclude<StringMatcherModel['kind'], 'regex'>, value: string): HeaderMatcherModel['match'] {
  return { kind: 'string', matcher: { kind, value, ignoreCase: false } };
}

/** A list of route.v3.QueryParameterMatcher; `problems` stands at the list. */
export function buildQueryParameterMatchers(
  messages: readonly QueryParameterMatcher[],
  problems: Problems,
): QueryParameterMatcherModel[] {
  return messages.map(({ name, queryParameterMatchSpecifier: specifier }, index) => {
    if (specifier.case !== 'stringMatch') return { name, match: { kind: 'present', present: specifier.value ?? true } };
    const matcher = buildStringMatcher(specifier.value, problems.at(index).at('string_match'));
    return { name, match: { kind: 'string', matcher } };
  });
}
