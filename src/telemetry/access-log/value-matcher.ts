import { compileStringMatcher } from '../../lib/string-matcher.ts';
import { wireText } from '../../lib/wire-text.ts';
import type { ValueMatch } from './access-log-plan.ts';

/** Compiles a type.matcher.v3.ValueMatcher for JSON values (metadata); `undefined` is a value that isn't there. */
export function compileValueMatch(match: ValueMatch): (value: unknown) => boolean {
  switch (match.kind) {
    case 'null':
      return (value) => value === null;
    case 'double-exact':
    case 'bool':
      return (value) => value === match.value;
    case 'double-range':
      return (value) => typeof value === 'number' && value >= match.start && value < match.end;
    case 'string': {
      const matcher = compileStringMatcher(match.matcher);
      return (value) => typeof value === 'string' && matcher.matches(wireText(value));
    }
    case 'present':
      // A null is there, as in Envoy.
      return (value) => value !== undefined && match.value;
    case 'list': {
      const inner = compileValueMatch(match.oneOf);
      return (value) => Array.isArray(value) && value.some(inner);
    }
    case 'or': {
      const inner = match.values.map(compileValueMatch);
      return (value) => inner.some((matches) => matches(value));
    }
  }
}
