import type { StringMatch } from '../lib/string-matcher.ts';
import type { AccessLogPlan } from '../telemetry/access-log/access-log-plan.ts';

/**
 * The pieces that several resource models share. A model is what a builder makes of an Envoy message: plain data with
 * defaults applied and units fixed (times in ms, sizes in bytes), frozen, and structured-cloneable, since workers get
 * it by message. It holds no functions and no compiled regexes; the data plane compiles those once per snapshot.
 */

/** An extension's config as it came: the data plane (or a filter registry) decodes `value` with the type's schema. */
export interface TypedConfigModel {
  readonly name: string;
  /** The full message name; of the inner type where the config came as a TypedStruct. */
  readonly typeName: string;
  /** The serialised message. */
  readonly value: Uint8Array;
}

/** Envoy's core.v3.Address. */
export type AddressModel =
  | { readonly kind: 'socket'; readonly host: string; readonly port: number; readonly ipv4Compat: boolean }
  | { readonly kind: 'pipe'; readonly path: string; readonly mode: number };

/** Envoy's type.matcher.v3.StringMatcher. `regex` is RE2 syntax and matches the whole value. */
export type StringMatcherModel = StringMatch;

/** Envoy's core.v3.RuntimeFractionalPercent; `runtimeKey` '' = none. */
export interface RuntimeFractionModel {
  readonly numerator: number;
  readonly denominator: number;
  readonly runtimeKey: string;
}

export type AppendAction =
  'append-if-exists-or-add' | 'add-if-absent' | 'overwrite-if-exists-or-add' | 'overwrite-if-exists';

/** Envoy's core.v3.HeaderValueOption. `value` is a format string (%OPERATOR%), checked when it was built. */
export interface HeaderValueOptionModel {
  readonly name: string;
  readonly value: string;
  readonly appendAction: AppendAction;
  readonly keepEmptyValue: boolean;
}

/** What one level (route configuration, virtual host, route, weighted cluster) does to headers. */
export interface HeaderMutationModel {
  readonly add: readonly HeaderValueOptionModel[];
  readonly remove: readonly string[];
}

/** Envoy's core.v3.SubstitutionFormatString. */
export type FormatModel =
  | { readonly kind: 'text'; readonly format: string; readonly contentType: string; readonly omitEmptyValues: boolean }
  | {
      readonly kind: 'json';
      readonly format: unknown;
      readonly contentType: string;
      readonly omitEmptyValues: boolean;
    };

/** Envoy's config.accesslog.v3.AccessLog, still as a message: telemetry/access-log compiles it on each thread. */
export interface AccessLogModel {
  readonly name: string;
  /** The serialised envoy.config.accesslog.v3.AccessLog. */
  readonly message: Uint8Array;
  /** The same as plain data (see `buildAccessLog`), which is what the threads that log work from. */
  readonly plan?: AccessLogPlan;
}
