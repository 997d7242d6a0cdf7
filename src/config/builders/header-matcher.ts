import type {
  HeaderMatcher,
  QueryParameterMatcher,
} from '../../api/generated/envoy/config/route/v3/route_components_pb.js';
import { headerMatchOf } from '../../filters/header-matcher.ts';
import type { Problems } from '../problem.ts';
import type { HeaderMatcherModel, QueryParameterMatcherModel } from '../route-model.ts';
import { buildStringMatcher, checkRegex } from './common.ts';

/** A list of route.v3.HeaderMatcher; `problems` stands at the list. */
export function buildHeaderMatchers(messages: readonly HeaderMatcher[], problems: Problems): HeaderMatcherModel[] {
  return messages.map((message, index) => buildHeaderMatcher(message, problems.at(index)));
}

/** route.v3.HeaderMatcher, in its current and its deprecated forms. */
export function buildHeaderMatcher(message: HeaderMatcher, problems: Problems): HeaderMatcherModel {
  const { case: kind, value } = message.headerMatchSpecifier;
  if (kind === 'safeRegexMatch') checkRegex(value.regex, problems.at('safe_regex_match').at('regex'));
  return headerMatchOf(message, (matcher) => buildStringMatcher(matcher, problems.at('string_match')));
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
