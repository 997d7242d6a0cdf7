import { Bins } from '../../lib/histogram.ts';
import type { Steps } from '../../lib/steps.ts';
import type { StatsAggregator } from './aggregator.ts';
import { HistogramView } from './histogram-view.ts';
import type { StatFamily } from './stat-family.ts';
import { isUntouched } from './stat-memory.ts';
import type { StatKind } from './stats.ts';

/** Which stats a reader wants. */
export interface StatSelection {
  readonly usedOnly: boolean;
  readonly kind: StatKind | 'text' | 'all';
  /** Undefined = every name. */
  readonly matches: ((name: string) => boolean) | undefined;
}

/** What a reader is called with, stat by stat, ordered by name. */
export interface StatVisitor {
  text(name: string, value: string): void;
  number(name: string, value: number): void;
  /** `used`: some value was recorded before the last flush. */
  histogram(name: string, used: boolean, interval: HistogramView, cumulative: HistogramView): void;
}

/** Stats between two yields. */
const STRIDE = 128;

/** Text readouts first, then counters and gauges together, then histograms: the order of Envoy's /stats. */
export function* walkStats(stats: StatsAggregator, selection: StatSelection, visitor: StatVisitor): Steps<void> {
  const { kind, usedOnly, matches } = selection;
  stats.pull();
  if (kind === 'text' || kind === 'all') {
    for (const [name, value] of [...stats.texts].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
      if ((!usedOnly || value !== '') && (matches === undefined || matches(name))) visitor.text(name, value);
    }
  }
  if (kind === 'text') return;
  const families = yield* stats.sortedFamilies();
  let steps = 0;
  if (kind !== 'histogram') {
    // Stats of one name in several families come one after the other and are one stat.
    let pending: { readonly name: string; readonly kind: StatKind; value: number } | undefined;
    const emit = (): void => {
      if (pending === undefined || (usedOnly && isUntouched(pending.value))) return;
      if (matches === undefined || matches(pending.name)) visitor.number(pending.name, pending.value);
    };
    for (const { name, family, index } of inOrder(families, ({ shape }) => shape.sortedCells)) {
      if (++steps % STRIDE === 0) yield;
      const own = family.shape.kinds[index]!;
      if ((kind !== 'all' && own !== kind) || !family.accepts(index)) continue;
      const value = family.read(index);
      if (pending !== undefined && pending.name === name && pending.kind === own) pending.value += value;
      else {
        emit();
        pending = { name, kind: own, value };
      }
    }
    emit();
  }
  if (kind !== 'histogram' && kind !== 'all') return;
  for (const { name, family, index } of inOrder(families, ({ shape }) => shape.sortedHistograms)) {
    if (++steps % STRIDE === 0) yield;
    if (!family.accepts(index)) continue;
    const { used, interval, cumulative } = viewHistogram(stats, name, family, index);
    if ((!usedOnly || used) && (matches === undefined || matches(name)))
      visitor.histogram(name, used, interval, cumulative);
  }
}

export function viewHistogram(
  stats: StatsAggregator,
  name: string,
  family: StatFamily,
  index: number,
): { used: boolean; interval: HistogramView; cumulative: HistogramView } {
  const histogram = family.histogram(index - family.shape.cellCount);
  const unit = family.shape.units[index]!;
  const buckets = stats.bucketsOf(name);
  const cumulative = histogram?.cumulative ?? Bins.empty;
  return {
    used: cumulative.total > 0,
    interval: new HistogramView(histogram?.interval ?? Bins.empty, unit, buckets),
    cumulative: new HistogramView(cumulative, unit, buckets),
  };
}

interface Cursor {
  readonly family: StatFamily;
  readonly order: readonly number[];
  at: number;
  name: string;
}

/**
 * The stats of all families ordered by full name. Families come ordered by prefix, so only those whose prefixes nest
 * have names that interleave; those are the few cursors open at a time.
 */
function* inOrder(
  families: readonly StatFamily[],
  orderOf: (family: StatFamily) => readonly number[],
): Generator<{ name: string; family: StatFamily; index: number }, void, void> {
  const open: Cursor[] = [];
  let next = 0;
  for (;;) {
    let least: Cursor | undefined;
    for (const cursor of open) if (least === undefined || cursor.name < least.name) least = cursor;
    const family = families[next];
    if (family !== undefined && (least === undefined || family.prefix <= least.name)) {
      next++;
      const order = orderOf(family);
      if (!family.gone && order.length > 0)
        open.push({ family, order, at: 0, name: family.prefix + family.shape.names[order[0]!]! });
      continue;
    }
    if (least === undefined) return;
    yield { name: least.name, family: least.family, index: least.order[least.at]! };
    if (++least.at === least.order.length) open.splice(open.indexOf(least), 1);
    else least.name = least.family.prefix + least.family.shape.names[least.order[least.at]!]!;
  }
}
