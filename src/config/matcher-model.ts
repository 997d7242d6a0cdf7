import type { StringMatcherModel } from './common-model.ts';

/**
 * What a builder makes of xds.type.matcher.v3.Matcher: a tree of decisions that ends in actions. What an action is, and
 * which inputs there are, is up to who uses the tree.
 */
export type MatcherModel<Action> = MatcherListModel<Action> | MatcherTreeModel<Action>;

/** The first of `matchers` that leads to an action decides. */
export interface MatcherListModel<Action> {
  readonly kind: 'list';
  readonly matchers: readonly { readonly predicate: PredicateModel; readonly onMatch: OnMatchModel<Action> }[];
  readonly onNoMatch: OnMatchModel<Action> | undefined;
}

/** The best entry for the input decides; where it leads to no action, the next best one. */
export interface MatcherTreeModel<Action> {
  readonly kind: 'tree';
  readonly input: MatcherInputModel;
  /**
   * How `keys` are compared with the input: `ip`: ranges, `address/length`; `server-name`: names, `*.` before a suffix,
   * and `*`.
   */
  readonly by: 'exact' | 'prefix' | 'ip' | 'server-name';
  readonly entries: readonly MatcherEntryModel<Action>[];
  readonly onNoMatch: OnMatchModel<Action> | undefined;
}

export interface MatcherEntryModel<Action> {
  readonly keys: readonly string[];
  readonly onMatch: OnMatchModel<Action>;
  /** Where it leads to no action, wider ranges are not asked. */
  readonly exclusive: boolean;
}

export type OnMatchModel<Action> =
  | { readonly kind: 'action'; readonly action: Action }
  | { readonly kind: 'matcher'; readonly matcher: MatcherModel<Action> };

export type PredicateModel =
  | { readonly kind: 'string'; readonly input: MatcherInputModel; readonly matcher: StringMatcherModel }
  | { readonly kind: 'ip'; readonly input: MatcherInputModel; readonly ranges: readonly string[] }
  | { readonly kind: 'or' | 'and'; readonly predicates: readonly PredicateModel[] }
  | { readonly kind: 'not'; readonly predicate: PredicateModel };

/** Where a value comes from. */
export interface MatcherInputModel {
  /** For connections: `destination-ip`, `destination-port`, `source-ip`, `source-port`, `direct-source-ip`, `source-type`, `server-name`, `transport-protocol`, `application-protocol`, `filter-state`, `dynamic-metadata`. */
  readonly kind: string;
  /** What it looks up: a key of the filter state; the filter and the path of dynamic metadata. */
  readonly path: readonly string[];
}
