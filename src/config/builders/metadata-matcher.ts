import type { MetadataMatcher } from '../../api/generated/envoy/type/matcher/v3/metadata_pb.js';
import type { ValueMatcher } from '../../api/generated/envoy/type/matcher/v3/value_pb.js';
import type { Problems } from '../problem.ts';
import type { MetadataMatcherModel, ValueMatcherModel } from '../route-model.ts';
import { buildStringMatcher } from './common.ts';

/** type.matcher.v3.MetadataMatcher. */
export function buildMetadataMatcher(message: MetadataMatcher, problems: Problems): MetadataMatcherModel {
  return {
    filter: message.filter,
    path: message.path.map(({ segment }) => segment.value ?? ''),
    value: buildValueMatcher(message.value, problems.at('value')),
    invert: message.invert,
  };
}

/** type.matcher.v3.ValueMatcher. */
export function buildValueMatcher(message: ValueMatcher | undefined, problems: Problems): ValueMatcherModel {
  const pattern = message?.matchPattern;
  switch (pattern?.case) {
    case 'nullMatch':
      return { kind: 'null' };
    case 'boolMatch':
      return { kind: 'bool', value: pattern.value };
    case 'presentMatch':
      return { kind: 'present', value: pattern.value };
    case 'stringMatch':
      return { kind: 'string', matcher: buildStringMatcher(pattern.value, problems.at('string_match')) };
    case 'doubleMatch': {
      const double = pattern.value.matchPattern;
      if (double.case === 'exact') return { kind: 'double-exact', value: double.value };
      if (double.case === 'range') return { kind: 'double-range', start: double.value.start, end: double.value.end };
      break;
    }
    case 'listMatch':
      if (pattern.value.matchPattern.case !== 'oneOf') break;
      return {
        kind: 'list',
        oneOf: buildValueMatcher(pattern.value.matchPattern.value, problems.at('list_match').at('one_of')),
      };
    case 'orMatch': {
      const below = problems.at('or_match').at('value_matchers');
      return {
        kind: 'or',
        values: pattern.value.valueMatchers.map((value, index) => buildValueMatcher(value, below.at(index))),
      };
    }
  }
  problems.error('a match pattern is required');
  return { kind: 'null' };
}
