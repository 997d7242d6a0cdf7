import type { FormatModel } from '../../config/common-model.ts';
import type { HeaderMatch } from '../../filters/header-matcher.ts';
import type { StringMatch } from '../../lib/string-matcher.ts';

/**
 * An access log as plain data: what the builder makes of an envoy.config.accesslog.v3.AccessLog, so that the threads
 * that log need no message types.
 */
export interface AccessLogPlan {
  readonly filter: LogFilterModel | undefined;
  readonly sink: LogSinkModel;
  /** Undefined: Envoy's default format. */
  readonly format: FormatModel | undefined;
}

export type LogSinkModel =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'stdout' | 'stderr' }
  /** A logger that isn't implemented; it was named when the config was built. */
  | { readonly kind: 'none' };

export type ComparisonOp = 'eq' | 'ge' | 'le' | 'ne';

/** config.accesslog.v3.ComparisonFilter. */
export interface ComparisonModel {
  readonly op: ComparisonOp;
  readonly value: number;
  /** Overrides `value`; '' = none. */
  readonly runtimeKey: string;
}

/** config.accesslog.v3.AccessLogFilter. */
export type LogFilterModel =
  | { readonly kind: 'status-code' | 'duration'; readonly comparison: ComparisonModel }
  | { readonly kind: 'not-health-check' | 'traceable' }
  | {
      readonly kind: 'runtime';
      readonly key: string;
      readonly numerator: number;
      readonly denominator: number;
      readonly independentRandomness: boolean;
    }
  | { readonly kind: 'and' | 'or'; readonly filters: readonly LogFilterModel[] }
  | { readonly kind: 'header'; readonly header: HeaderMatch }
  /** `flags`: the bits of response-flags.ts, any of which will do; 0 = any flag at all. */
  | { readonly kind: 'response-flag'; readonly flags: number }
  | { readonly kind: 'grpc-status'; readonly statuses: readonly number[]; readonly exclude: boolean }
  | {
      readonly kind: 'metadata';
      readonly filter: string;
      readonly path: readonly string[];
      readonly value: ValueMatch;
      readonly matchIfKeyNotFound: boolean;
    }
  | { readonly kind: 'log-type'; readonly types: readonly string[]; readonly exclude: boolean }
  /** A filter that isn't implemented, and so lets everything through; it was named when the config was built. */
  | { readonly kind: 'unsupported' };

/** type.matcher.v3.ValueMatcher; config/route-model.ts's ValueMatcherModel has this shape. */
export type ValueMatch =
  | { readonly kind: 'null' }
  | { readonly kind: 'double-exact'; readonly value: number }
  /** start <= value < end. */
  | { readonly kind: 'double-range'; readonly start: number; readonly end: number }
  | { readonly kind: 'string'; readonly matcher: StringMatch }
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: 'present'; readonly value: boolean }
  | { readonly kind: 'list'; readonly oneOf: ValueMatch }
  | { readonly kind: 'or'; readonly values: readonly ValueMatch[] };
