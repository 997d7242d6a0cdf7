import { type Bins, binLowerBound, binWidth, QUANTILES } from '../../lib/histogram.ts';
import type { HistogramUnit } from './stats.ts';

/** `percent` histograms record whole millionths. */
const PERCENT_SCALE = 1e6;

/** What is shown of a histogram at one moment, in its own unit. */
export class HistogramView {
  readonly #bins: Bins;
  readonly #scale: number;
  readonly buckets: readonly number[];

  constructor(bins: Bins, unit: HistogramUnit, buckets: readonly number[]) {
    this.#bins = bins;
    this.#scale = unit === 'percent' ? PERCENT_SCALE : 1;
    this.buckets = buckets;
  }

  get count(): number {
    return this.#bins.total;
  }

  get sum(): number {
    return this.#bins.sum() / this.#scale;
  }

  /** At `QUANTILES`; NaN where nothing was recorded. */
  quantiles(): number[] {
    return this.#bins.quantiles(QUANTILES).map((value) => value / this.#scale);
  }

  /** How many values are at or below each bucket's bound, with the histogram's own precision. */
  cumulative(): number[] {
    return this.#bins.countsBelow(this.buckets.map((bound) => bound * this.#scale));
  }

  /** How many are between the bound before and this one. */
  disjoint(): number[] {
    const counts = this.cumulative();
    return counts.map((count, i) => count - (counts[i - 1] ?? 0));
  }

  /** The histogram's own bins. */
  detail(): { lower: number; width: number; count: number }[] {
    return this.#bins.bins.map((bin, i) => ({
      lower: binLowerBound(bin) / this.#scale,
      width: binWidth(bin) / this.#scale,
      count: this.#bins.counts[i]!,
    }));
  }
}
