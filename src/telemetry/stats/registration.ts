import type { HistogramUnit, StatKind } from './stats.ts';

/**
 * What a thread tells the aggregator about its part of the stats, in order. Structured-cloneable; posted in batches.
 * `id`s are the thread's own and never used twice.
 */
export type StatsRegistration =
  /** Chunk number `index` of the thread's memory. */
  | { readonly op: 'chunk'; readonly index: number; readonly memory: SharedArrayBuffer }
  /** A family; its first `cellCount` names are counters and gauges in cell order, the rest are histograms. */
  | {
      readonly op: 'schema';
      readonly id: number;
      readonly names: readonly string[];
      readonly kinds: readonly StatKind[];
      readonly units: readonly HistogramUnit[];
      readonly cellCount: number;
    }
  | {
      readonly op: 'block';
      readonly id: number;
      readonly schema: number;
      readonly prefix: string;
      readonly address: number;
    }
  | {
      readonly op: 'cell';
      readonly id: number;
      readonly kind: 'counter' | 'gauge';
      readonly name: string;
      readonly address: number;
    }
  /** A histogram made by name; its memory follows with `recorder`. */
  | { readonly op: 'histogram'; readonly id: number; readonly name: string; readonly unit: HistogramUnit }
  /** The memory of histogram `offset` of block `id`, or of histogram `id`. */
  | { readonly op: 'recorder'; readonly id: number; readonly offset: number; readonly address: number }
  | { readonly op: 'text'; readonly id: number; readonly name: string; readonly value: string }
  | { readonly op: 'release'; readonly ids: readonly number[] };
