/**
 * Log-linear histograms with two significant digits: each decade has 90 bins (1.0 to 9.9 times a power of ten), as in
 * Circonus' libcircllhist, which Envoy uses. Bins are numbered upwards: 0 holds the value 0, `1 + 90 * e + d - 10` the
 * values whose first two digits are `d` and whose decimal exponent is `e`. Values are whole numbers.
 */
export const BINS_PER_DECADE = 90;
/** Exponents 0 to 18: everything a 63-bit integer can be. */
export const BIN_COUNT = 1 + 19 * BINS_PER_DECADE;

/** The quantiles that Envoy computes of each histogram. */
export const QUANTILES: readonly number[] = [0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 1];

export function binLowerBound(bin: number): number {
  if (bin === 0) return 0;
  const digits = ((bin - 1) % BINS_PER_DECADE) + 10;
  return (digits / 10) * 10 ** Math.floor((bin - 1) / BINS_PER_DECADE);
}

export function binWidth(bin: number): number {
  return bin === 0 ? 0 : 10 ** Math.floor((bin - 1) / BINS_PER_DECADE) / 10;
}

/** The bin a number falls into; what lies between 0 and 1 falls into bin 0. */
export function binOf(value: number): number {
  if (!(value >= 1)) return 0;
  let exponent = Math.floor(Math.log10(value));
  // A value just under a bin's edge through rounding belongs above it.
  let digits = Math.floor((value / 10 ** exponent) * 10 + 1e-13);
  if (digits >= 100) {
    digits = Math.floor(digits / 10);
    exponent++;
  }
  return Math.min(1 + exponent * BINS_PER_DECADE + Math.max(digits, 10) - 10, BIN_COUNT - 1);
}

/**
 * The bin's midpoint with the least relative error: the harmonic mean of its bounds, computed in libcircllhist's order so
 * that sums agree to the last bit.
 */
function binMidpoint(bin: number): number {
  if (bin === 0) return 0;
  const bottom = binLowerBound(bin);
  const width = binWidth(bin);
  const top = bottom + width;
  return bottom + width * (bottom / (bottom + top));
}

/** The counts of a histogram at one moment: the bins in use, ascending. Immutable. */
export class Bins {
  static readonly empty = new Bins([], []);

  readonly bins: readonly number[];
  readonly counts: readonly number[];
  readonly total: number;

  constructor(bins: readonly number[], counts: readonly number[]) {
    this.bins = bins;
    this.counts = counts;
    let total = 0;
    for (const count of counts) total += count;
    this.total = total;
  }

  /** Of an array with one count a bin. */
  static fromDense(dense: ArrayLike<number>): Bins {
    const bins: number[] = [];
    const counts: number[] = [];
    for (let bin = 0; bin < dense.length; bin++) {
      if (dense[bin]! > 0) {
        bins.push(bin);
        counts.push(dense[bin]!);
      }
    }
    return new Bins(bins, counts);
  }

  addTo(dense: Float64Array): void {
    for (let i = 0; i < this.bins.length; i++) dense[this.bins[i]!]! += this.counts[i]!;
  }

  /** What came on top of `earlier`. */
  since(earlier: Bins): Bins {
    if (earlier.total === 0) return this;
    if (earlier.total === this.total) return Bins.empty;
    const bins: number[] = [];
    const counts: number[] = [];
    let at = 0;
    for (let i = 0; i < this.bins.length; i++) {
      while (at < earlier.bins.length && earlier.bins[at]! < this.bins[i]!) at++;
      const count = this.counts[i]! - (earlier.bins[at] === this.bins[i] ? earlier.counts[at]! : 0);
      if (count > 0) {
        bins.push(this.bins[i]!);
        counts.push(count);
      }
    }
    return new Bins(bins, counts);
  }

  /** The approximate sum of all values. */
  sum(): number {
    let sum = 0;
    for (let i = 0; i < this.bins.length; i++) sum += binMidpoint(this.bins[i]!) * this.counts[i]!;
    return sum;
  }

  /** The values at `quantiles` (ascending, 0 to 1); all NaN if nothing was recorded. */
  quantiles(quantiles: readonly number[]): number[] {
    if (this.total === 0) return quantiles.map(() => NaN);
    let i = 0;
    let below = 0;
    let upTo = this.counts[0]!;
    return quantiles.map((quantile) => {
      const rank = this.total * quantile;
      while (i < this.bins.length - 1 && upTo < rank) {
        below = upTo;
        upTo += this.counts[++i]!;
      }
      // The values of one bin are taken as evenly spread inside it: the k-th of n lies at k / (n + 1).
      const position = Math.max(Math.ceil(rank - below), 1);
      return binLowerBound(this.bins[i]!) + (position / (this.counts[i]! + 1)) * binWidth(this.bins[i]!);
    });
  }

  /** How many values are in the bins up to and including that of each bound (ascending). */
  countsBelow(bounds: readonly number[]): number[] {
    let i = 0;
    let count = 0;
    return bounds.map((bound) => {
      const last = binOf(bound);
      while (i < this.bins.length && this.bins[i]! <= last) count += this.counts[i++]!;
      return count;
    });
  }
}
