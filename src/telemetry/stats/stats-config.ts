import type { StringMatcherModel } from '../../config/common-model.ts';

/** What a builder makes of envoy.config.metrics.v3.StatsConfig: how stats are named, kept and bucketed. */
export interface StatsConfigModel {
  readonly useAllDefaultTags: boolean;
  /** In order; an empty `regex` names a default tag. */
  readonly tags: readonly TagSpecifierModel[];
  readonly matcher: StatsMatcherModel;
  /** The first that matches the full name decides; each list ascending. */
  readonly histogramBuckets: readonly HistogramBucketsModel[];
}

export type TagSpecifierModel =
  | { readonly kind: 'regex'; readonly name: string; readonly regex: string }
  | { readonly kind: 'fixed'; readonly name: string; readonly value: string };

/** Which names exist at all. */
export type StatsMatcherModel =
  | { readonly kind: 'accept-all' | 'reject-all' }
  | { readonly kind: 'inclusion' | 'exclusion'; readonly patterns: readonly StringMatcherModel[] };

export interface HistogramBucketsModel {
  readonly match: StringMatcherModel;
  readonly buckets: readonly number[];
}

/** Envoy's buckets where nothing else is configured. */
export const DEFAULT_BUCKETS: readonly number[] = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000,
  3_600_000,
];

export const DEFAULT_STATS_CONFIG: StatsConfigModel = {
  useAllDefaultTags: true,
  tags: [],
  matcher: { kind: 'accept-all' },
  histogramBuckets: [],
};
