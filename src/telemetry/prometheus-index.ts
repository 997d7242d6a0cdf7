import { sortInSteps, type Steps } from '../lib/steps.ts';
import type { StatFamily } from './stats/stat-family.ts';
import type { StatKind } from './stats/stats.ts';
import type { Tag, TagProducer } from './stats/tag-producer.ts';

/** One name with its labels. */
export interface Series {
  readonly family: StatFamily;
  readonly index: number;
  /** `a="1",b="2"`, or ''. */
  readonly labels: string;
}

/** All series that differ only in their labels, ordered by their stat names. */
export interface Metric {
  /** The stat name without its tags. */
  readonly statName: string;
  /** What Prometheus calls it; undefined = it has no legal name and isn't shown. */
  readonly name: string | undefined;
  readonly kind: StatKind;
  readonly series: readonly Series[];
}

class MutableMetric implements Metric {
  readonly statName: string;
  readonly name: string | undefined;
  readonly kind: StatKind;
  series: Series[] = [];
  /** Series were added since it was last sorted. */
  dirty = false;

  constructor(statName: string, name: string | undefined, kind: StatKind) {
    this.statName = statName;
    this.name = name;
    this.kind = kind;
  }
}

/**
 * The stats grouped and ordered as a Prometheus exposition needs them. Tags are extracted once a name; the order is
 * kept between scrapes. Nothing is done before the first one.
 */
export class PrometheusIndex {
  readonly #tags: TagProducer;
  readonly #customNamespaces: readonly string[];
  #unindexed: StatFamily[] = [];
  readonly #metrics = new Map<StatKind, Map<string, MutableMetric>>([
    ['counter', new Map()],
    ['gauge', new Map()],
    ['histogram', new Map()],
  ]);
  readonly #labels = new Map<string, string>();
  #sweep = false;

  constructor(tags: TagProducer, customNamespaces: readonly string[]) {
    this.#tags = tags;
    this.#customNamespaces = customNamespaces;
  }

  add(family: StatFamily): void {
    this.#unindexed.push(family);
  }

  /** Some family is gone; its series are dropped at the next scrape. */
  forget(): void {
    this.#sweep = true;
  }

  /** The metrics of one kind, in order. Skip the series of families that are gone. */
  *metrics(kind: StatKind): Steps<Metric[]> {
    yield* this.#index();
    const metrics = yield* sortInSteps([...this.#metrics.get(kind)!.values()], (a, b) =>
      compareStatNames(a.statName, b.statName),
    );
    for (const metric of metrics) {
      if (!metric.dirty) continue;
      const before = metric.series;
      const sorted = yield* sortInSteps(before.slice(), bySeriesName);
      // Another scrape may have done the same meanwhile, and series may have come: those are at the end.
      if (metric.series !== before) continue;
      metric.dirty = before.length > sorted.length;
      for (let i = sorted.length; i < before.length; i++) sorted.push(before[i]!);
      metric.series = sorted;
    }
    return metrics;
  }

  /** The name, and the labels as text, of a stat; for those that are not in the index. */
  describe(stat: string, more: readonly Tag[] = []): { statName: string; name: string | undefined; labels: string } {
    const { name, tags } = this.#tags.produce(stat);
    return { statName: name, name: this.#metricName(name), labels: formatLabels([...tags, ...more]) };
  }

  *#index(): Steps<void> {
    if (this.#sweep) {
      this.#sweep = false;
      this.#labels.clear();
      for (const metrics of this.#metrics.values()) {
        for (const [key, metric] of metrics) {
          metric.series = metric.series.filter(({ family }) => !family.gone);
          if (metric.series.length === 0) metrics.delete(key);
          yield;
        }
      }
    }
    while (this.#unindexed.length > 0) {
      const families = this.#unindexed.splice(0, 16);
      for (const family of families) if (!family.gone) this.#indexFamily(family);
      yield;
    }
  }

  #indexFamily(family: StatFamily): void {
    const { names, kinds } = family.shape;
    for (let index = 0; index < names.length; index++) {
      if (!family.accepts(index)) continue;
      const { name, tags } = this.#tags.produce(family.prefix + names[index]!);
      const kind = kinds[index]!;
      const metrics = this.#metrics.get(kind)!;
      let metric = metrics.get(name);
      if (metric === undefined) metrics.set(name, (metric = new MutableMetric(name, this.#metricName(name), kind)));
      metric.series.push({ family, index, labels: this.#intern(formatLabels(tags)) });
      metric.dirty = true;
    }
  }

  #intern(labels: string): string {
    const known = this.#labels.get(labels);
    if (known !== undefined) return known;
    this.#labels.set(labels, labels);
    return labels;
  }

  #metricName(statName: string): string | undefined {
    for (const namespace of this.#customNamespaces) {
      if (!statName.startsWith(`${namespace}.`)) continue;
      const rest = sanitizeName(statName.slice(namespace.length + 1));
      return rest === '' || /^\d/.test(rest) ? undefined : rest;
    }
    return `envoy_${sanitizeName(statName)}`;
  }
}

const sanitizeName = (name: string): string => name.replaceAll(/[^a-zA-Z0-9_]/g, '_');

function formatLabels(tags: readonly Tag[]): string {
  return tags.map(({ name, value }) => `${sanitizeName(name)}="${escapeLabel(value)}"`).join();
}

function escapeLabel(value: string): string {
  return /["\\\n]/.test(value)
    ? value
        .replaceAll('\\', String.raw`\\`)
        .replaceAll('\n', String.raw`\n`)
        .replaceAll('"', String.raw`\"`)
    : value;
}

function bySeriesName(a: Series, b: Series): number {
  if (a.family === b.family) {
    const { names } = a.family.shape;
    return compareStatNames(names[a.index]!, names[b.index]!);
  }
  return compareStatNames(
    a.family.prefix + a.family.shape.names[a.index]!,
    b.family.prefix + b.family.shape.names[b.index]!,
  );
}

/** Compares stat names step by step: `a.b` comes before `a_b`, as if the dot were the lowest character. */
export function compareStatNames(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const left = a.charCodeAt(i);
    const right = b.charCodeAt(i);
    if (left !== right) return (left === 46 ? -1 : left) - (right === 46 ? -1 : right);
  }
  return a.length - b.length;
}
