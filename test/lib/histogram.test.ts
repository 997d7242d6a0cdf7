import { array, assert, integer, nat, property } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { binLowerBound, binOf, Bins, binWidth, BIN_COUNT, QUANTILES } from '../../src/lib/histogram.ts';

const binsOf = (...values: number[]): Bins => {
  const dense = new Float64Array(BIN_COUNT);
  for (const value of values) dense[binOf(value)]!++;
  return Bins.fromDense(dense);
};

describe('bins', () => {
  test('a value lies inside its bin, whose width is a tenth of its leading digit', () => {
    assert(
      property(integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), (value) => {
        const bin = binOf(value);
        expect(binLowerBound(bin)).toBeLessThanOrEqual(value);
        expect(binLowerBound(bin) + binWidth(bin)).toBeGreaterThan(value);
      }),
    );
  });

  test('bins ascend', () => {
    for (let bin = 1; bin < BIN_COUNT; bin++) expect(binLowerBound(bin)).toBeGreaterThan(binLowerBound(bin - 1));
  });

  test('bounds that are no whole numbers fall where libcircllhist has them', () => {
    expect(binOf(0.5)).toBe(0);
    expect(binOf(1)).toBe(1);
    expect(binOf(1.1)).toBe(2);
    expect(binOf(0.9999999999999999)).toBe(0);
  });
});

describe('Bins', () => {
  // The values and what Envoy 1.40 printed for them.
  const values = binsOf(0, 0, 2, 2, 2, 10, 21, 120);

  test('quantiles are those of Envoy', () => {
    expect(values.quantiles(QUANTILES)).toEqual([0, 0, 2.05, 10.5, 125, 125, 125, 125, 125, 125]);
    expect(binsOf(0, 1, 1, 4, 7, 21, 120).quantiles([0.25])).toEqual([1.0333333333333334]);
    expect(Bins.empty.quantiles([0, 1])).toEqual([NaN, NaN]);
  });

  test('the sum is that of Envoy to the last bit', () => {
    expect(values.sum()).toBe(162.91090403262836616704589687288);
  });

  test('a bucket takes in the whole bin of its bound', () => {
    expect(values.countsBelow([0.5, 1, 5, 10, 25, 100, 250])).toEqual([2, 2, 5, 6, 7, 7, 8]);
  });

  test('since() gives what was added', () => {
    assert(
      property(array(nat(500)), array(nat(500)), (before, added) => {
        const earlier = binsOf(...before);
        const later = binsOf(...before, ...added);
        expect({ ...later.since(earlier) }).toEqual({ ...binsOf(...added) });
      }),
    );
  });
});
