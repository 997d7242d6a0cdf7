import type { ValueMatcher } from '../api/generated/envoy/type/matcher/v3/value_pb.js';
import type { ValueMatch } from '../telemetry/access-log/access-log-plan.ts';
import { compileValueMatch } from '../telemetry/access-log/value-matcher.ts';
import { ConfigError } from './config-type.ts';
import { stringMatchOf } from './header-matcher.ts';

/** Tests a JSON value (of metadata); `undefined` is one that isn't there. */
export type ValueTest = (value: unknown) => boolean;

/** Compiles a type.matcher.v3.ValueMatcher. Throws ConfigError. */
export function compileValueTest(message: ValueMatcher | undefined): ValueTest {
  return compileValueMatch(valueMatchOf(message));
}

function valueMatchOf(message: ValueMatcher | undefined): ValueMatch {
  const pattern = message?.matchPattern;
  switch (pattern?.case) {
    case 'nullMatch':
      return { kind: 'null' };
    case 'boolMatch':
      return { kind: 'bool', value: pattern.value };
    case 'presentMatch':
      return { kind: 'present', value: pattern.value };
    case 'stringMatch':
      return { kind: 'string', matcher: stringMatchOf(pattern.value) };
    case 'doubleMatch': {
      const double = pattern.value.matchPattern;
      if (double.case === 'exact') return { kind: 'double-exact', value: double.value };
      if (double.case === 'range') return { kind: 'double-range', start: double.value.start, end: double.value.end };
      break;
    }
    case 'listMatch':
      if (pattern.value.matchPattern.case === 'oneOf')
        return { kind: 'list', oneOf: valueMatchOf(pattern.value.matchPattern.value) };
      break;
    case 'orMatch':
      return { kind: 'or', values: pattern.value.valueMatchers.map(valueMatchOf) };
  }
  throw new ConfigError('a match pattern is required');
}
