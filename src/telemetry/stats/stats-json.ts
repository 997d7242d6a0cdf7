import { QUANTILES } from '../../lib/histogram.ts';
import type { StatsAggregator } from './aggregator.ts';
import type { HistogramView } from './histogram-view.ts';
import { formatCount, formatJsonNumber } from './number-format.ts';
import { walkStats, type StatSelection, type StatVisitor } from './stat-walk.ts';
import type { HistogramMode } from './stats-text.ts';

/** Envoy's /stats?format=json, piece by piece; a piece may be ''. */
export function* renderStatsJson(
  stats: StatsAggregator,
  selection: StatSelection,
  mode: HistogramMode,
): Generator<string, void, void> {
  const json = new JsonVisitor(mode);
  for (const _step of walkStats(stats, selection, json)) yield json.take();
  json.end();
  yield json.take();
}

class JsonVisitor implements StatVisitor {
  readonly #mode: HistogramMode;
  #out = '{"stats":[';
  #first = true;
  #inHistograms = false;

  constructor(mode: HistogramMode) {
    this.#mode = mode;
  }

  take(): string {
    const out = this.#out;
    this.#out = '';
    return out;
  }

  text(name: string, value: string): void {
    this.#out += `${this.#comma()}{"name":${JSON.stringify(name)},"value":${JSON.stringify(value)}}`;
  }

  number(name: string, value: number): void {
    this.#out += `${this.#comma()}{"name":${JSON.stringify(name)},"value":${formatCount(value)}}`;
  }

  /** All histograms are one entry of the list, which starts with the first of them. */
  histogram(name: string, _used: boolean, interval: HistogramView, cumulative: HistogramView): void {
    if (!this.#inHistograms) {
      this.#out += this.#comma() + HISTOGRAM_HEADS[this.#mode];
      this.#inHistograms = true;
    } else this.#out += ',';
    this.#out += `{"name":${JSON.stringify(name)},${this.#histogramBody(interval, cumulative)}}`;
  }

  end(): void {
    if (this.#inHistograms) this.#out += this.#mode === 'cumulative' || this.#mode === 'disjoint' ? ']}' : ']}}';
    this.#out += ']}';
  }

  #comma(): string {
    const comma = this.#first ? '' : ',';
    this.#first = false;
    return comma;
  }

  #histogramBody(interval: HistogramView, cumulative: HistogramView): string {
    switch (this.#mode) {
      case 'summary':
        return `"values":${quantiles(interval, cumulative)}`;
      case 'cumulative':
        return buckets(cumulative.buckets, interval.cumulative(), cumulative.cumulative());
      case 'disjoint':
        return buckets(cumulative.buckets, interval.disjoint(), cumulative.disjoint());
      case 'detailed':
        return (
          `"totals":${detail(cumulative)},"intervals":${detail(interval)},` +
          `"percentiles":${quantiles(interval, cumulative)}`
        );
    }
  }
}

const PERCENTILES = `[${QUANTILES.map((quantile) => formatJsonNumber(quantile * 100)).join()}]`;

const HISTOGRAM_HEADS: Readonly<Record<HistogramMode, string>> = {
  summary: `{"histograms":{"supported_quantiles":${PERCENTILES},"computed_quantiles":[`,
  detailed: `{"histograms":{"supported_percentiles":${PERCENTILES},"details":[`,
  cumulative: '{"histograms":[',
  disjoint: '{"histograms":[',
};

function quantiles(interval: HistogramView, cumulative: HistogramView): string {
  const now = interval.quantiles();
  return `[${cumulative
    .quantiles()
    .map((ever, i) => `{"cumulative":${formatJsonNumber(ever)},"interval":${formatJsonNumber(now[i]!)}}`)
    .join()}]`;
}

function buckets(bounds: readonly number[], interval: readonly number[], cumulative: readonly number[]): string {
  return `"buckets":[${bounds
    .map(
      (bound, i) =>
        `{"upper_bound":${formatJsonNumber(bound)},"interval":${interval[i]},"cumulative":${cumulative[i]}}`,
    )
    .join()}]`;
}

function detail(view: HistogramView): string {
  return `[${view
    .detail()
    .map(
      ({ lower, width, count }) =>
        `{"lower_bound":${formatJsonNumber(lower)},"width":${formatJsonNumber(width)},"count":${count}}`,
    )
    .join()}]`;
}
