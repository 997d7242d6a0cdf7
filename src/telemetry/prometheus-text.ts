import { QUANTILES } from '../lib/histogram.ts';
import type { Series } from './prometheus-index.ts';
import type { StatsAggregator } from './stats/aggregator.ts';
import { formatCount, formatGeneral } from './stats/number-format.ts';
import { isUntouched } from './stats/stat-memory.ts';
import { viewHistogram } from './stats/stat-walk.ts';
import type { StatKind } from './stats/stats.ts';

export interface PrometheusSelection {
  readonly usedOnly: boolean;
  /** Text readouts as gauges of value 0 or 1 with the text as a label. */
  readonly textReadouts: boolean;
  readonly histograms: 'cumulative' | 'summary';
  /** Matches the stat's own name; undefined = every name. */
  readonly matches: ((name: string) => boolean) | undefined;
}

/** Series between two pieces. */
const STRIDE = 128;

/**
 * Envoy's /stats/prometheus (text format 0.0.4), piece by piece; a piece may be ''. Counters, gauges, text readouts, then
 * histograms; each ordered by name.
 */
export function* renderPrometheus(
  stats: StatsAggregator,
  selection: PrometheusSelection,
): Generator<string, void, void> {
  stats.pull();
  yield* renderKind(stats, selection, 'counter');
  yield* renderKind(stats, selection, 'gauge');
  if (selection.textReadouts) yield renderTexts(stats, selection);
  yield* renderKind(stats, selection, 'histogram');
}

function* renderKind(
  stats: StatsAggregator,
  selection: PrometheusSelection,
  kind: StatKind,
): Generator<string, void, void> {
  const metrics = stats.prometheus.metrics(kind);
  for (;;) {
    const { done, value } = metrics.next();
    if (done !== true) {
      yield '';
      continue;
    }
    let steps = 0;
    let out = '';
    for (const metric of value) {
      if (metric.name === undefined) continue;
      const type = kind === 'histogram' && selection.histograms === 'summary' ? 'summary' : kind;
      let head = `# TYPE ${metric.name} ${type}\n`;
      for (const series of mergeable(metric.series)) {
        if (++steps % STRIDE === 0) {
          yield out;
          out = '';
        }
        const text =
          kind === 'histogram'
            ? histogramLines(stats, selection, metric.name, series[0]!)
            : numberLine(selection, metric.name, series);
        if (text === '') continue;
        out += head + text;
        head = '';
      }
    }
    yield out;
    return;
  }
}

/** Neighbours with the same name, from different families, are one series. */
function* mergeable(all: readonly Series[]): Generator<readonly Series[], void, void> {
  for (let i = 0; i < all.length; i++) {
    const series = all[i]!;
    const { family, index } = series;
    if (family.gone) continue;
    const same = [series];
    for (let next = all[i + 1]; next !== undefined && next.labels === series.labels; next = all[i + 1]) {
      if (next.family === family || nameOf(next) !== family.prefix + family.shape.names[index]!) break;
      if (!next.family.gone) same.push(next);
      i++;
    }
    yield same;
  }
}

const nameOf = ({ family, index }: Series): string => family.prefix + family.shape.names[index]!;

function numberLine(selection: PrometheusSelection, metric: string, series: readonly Series[]): string {
  let value = -0;
  for (const { family, index } of series) value += family.read(index);
  if (selection.usedOnly && isUntouched(value)) return '';
  if (selection.matches !== undefined && !selection.matches(nameOf(series[0]!))) return '';
  return `${metric}{${series[0]!.labels}} ${formatCount(value)}\n`;
}

function histogramLines(
  stats: StatsAggregator,
  selection: PrometheusSelection,
  metric: string,
  series: Series,
): string {
  const name = nameOf(series);
  const { used, interval, cumulative } = viewHistogram(stats, name, series.family, series.index);
  if (selection.usedOnly && !used) return '';
  if (selection.matches !== undefined && !selection.matches(name)) return '';
  const { labels } = series;
  const more = labels === '' ? '' : `${labels},`;
  const view = selection.histograms === 'summary' ? interval : cumulative;
  let out = '';
  if (selection.histograms === 'summary') {
    const values = view.quantiles();
    for (let i = 0; i < QUANTILES.length; i++)
      out += `${metric}{${more}quantile="${formatGeneral(QUANTILES[i]!)}"} ${formatGeneral(values[i]!, 32)}\n`;
  } else {
    const counts = view.cumulative();
    for (let i = 0; i < counts.length; i++)
      out += `${metric}_bucket{${more}le="${formatGeneral(view.buckets[i]!, 32)}"} ${counts[i]}\n`;
    out += `${metric}_bucket{${more}le="+Inf"} ${view.count}\n`;
  }
  return `${out}${metric}_sum{${labels}} ${formatGeneral(view.sum, 32)}\n${metric}_count{${labels}} ${view.count}\n`;
}

function renderTexts(stats: StatsAggregator, selection: PrometheusSelection): string {
  const lines = new Map<string, string>();
  for (const [stat, value] of [...stats.texts].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    if ((selection.usedOnly && value === '') || (selection.matches !== undefined && !selection.matches(stat))) continue;
    const { name, labels } = stats.prometheus.describe(stat, [{ name: 'text_value', value }]);
    if (name !== undefined) lines.set(name, `${lines.get(name) ?? ''}${name}{${labels}} 0\n`);
  }
  let out = '';
  for (const [name, text] of lines) out += `# TYPE ${name} gauge\n${text}`;
  return out;
}
