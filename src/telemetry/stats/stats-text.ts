import { QUANTILES } from '../../lib/histogram.ts';
import type { StatsAggregator } from './aggregator.ts';
import type { HistogramView } from './histogram-view.ts';
import { formatCount, formatGeneral, formatShortest } from './number-format.ts';
import { walkStats, type StatSelection, type StatVisitor } from './stat-walk.ts';

/** What is shown of each histogram. */
export type HistogramMode = 'summary' | 'cumulative' | 'disjoint' | 'detailed';

/** Envoy's plain-text /stats, piece by piece; a piece may be ''. */
export function* renderStatsText(
  stats: StatsAggregator,
  selection: StatSelection,
  mode: HistogramMode,
): Generator<string, void, void> {
  const text = new TextVisitor(mode);
  for (const _step of walkStats(stats, selection, text)) yield text.take();
  yield text.take();
}

class TextVisitor implements StatVisitor {
  readonly #mode: HistogramMode;
  #out = '';

  constructor(mode: HistogramMode) {
    this.#mode = mode;
  }

  take(): string {
    const out = this.#out;
    this.#out = '';
    return out;
  }

  text(name: string, value: string): void {
    this.#out += `${name}: "${value}"\n`;
  }

  number(name: string, value: number): void {
    this.#out += `${name}: ${formatCount(value)}\n`;
  }

  histogram(name: string, used: boolean, interval: HistogramView, cumulative: HistogramView): void {
    this.#out += used ? this.#histogramLine(name, interval, cumulative) : `${name}: No recorded values\n`;
  }

  #histogramLine(name: string, interval: HistogramView, cumulative: HistogramView): string {
    switch (this.#mode) {
      case 'summary':
        return `${name}: ${quantileSummary(interval, cumulative)}\n`;
      case 'cumulative':
        return `${name}: ${bucketSummary(cumulative.buckets, interval.cumulative(), cumulative.cumulative())}\n`;
      case 'disjoint':
        return `${name}: ${bucketSummary(cumulative.buckets, interval.disjoint(), cumulative.disjoint())}\n`;
      case 'detailed':
        return (
          `${name}:\n  totals=${detail(cumulative)}\n  intervals=${detail(interval)}\n` +
          `  summary=${quantileSummary(interval, cumulative)}\n`
        );
    }
  }
}

function quantileSummary(interval: HistogramView, cumulative: HistogramView): string {
  const now = interval.quantiles();
  const ever = cumulative.quantiles();
  return QUANTILES.map(
    (quantile, i) => `P${formatGeneral(quantile * 100)}(${formatShortest(now[i]!)},${formatShortest(ever[i]!)})`,
  ).join(' ');
}

function bucketSummary(buckets: readonly number[], interval: readonly number[], cumulative: readonly number[]): string {
  return buckets.map((bound, i) => `B${formatGeneral(bound)}(${interval[i]},${cumulative[i]})`).join(' ');
}

function detail(view: HistogramView): string {
  return view
    .detail()
    .map(({ lower, width, count }) => `${formatGeneral(lower)},${formatGeneral(width)}:${count}`)
    .join(', ');
}
