/**
 * Counters, gauges and histograms as the code that counts sees them. Values live in shared memory, one region a
 * thread, written with plain adds; the main thread sums the regions at scrape time. Names are Envoy's.
 */

/** The unit of a histogram; `Percent` values are scaled by 10^6 as in Envoy. */
export type HistogramUnit = 'unspecified' | 'milliseconds' | 'microseconds' | 'bytes' | 'percent';

/** How the values of the threads become one: gauges sum, or are set by one thread only (`main`). */
export type StatKind = 'counter' | 'gauge' | 'histogram';

/** Text that isn't a number (`cluster_manager.cds.version_text`); set on the main thread only. */
export interface TextReadout {
  set(value: string): void;
  readonly value: string;
}

export interface StatDefinition {
  readonly kind: StatKind;
  readonly unit?: HistogramUnit;
}

/**
 * A fixed family of stats under one prefix (`cluster.<name>.`, `http.<prefix>.`): its counters and gauges are eight
 * bytes each in one block; histograms and their memory are made when first recorded.
 */
export interface StatSchema<Name extends string = string> {
  readonly names: readonly Name[];
  readonly definitions: Readonly<Record<Name, StatDefinition>>;
  /** Offsets into a block for counters and gauges, into `histograms` of the block for histograms. */
  readonly at: Readonly<Record<Name, number>>;
  readonly cellCount: number;
  readonly histogramNames: readonly Name[];
}

/** Declares a family. `defineStats({ counters: ['a'], gauges: ['b'], histograms: { c: 'milliseconds' } })`. */
export function defineStats<C extends string = never, G extends string = never, H extends string = never>(family: {
  readonly counters?: readonly C[];
  readonly gauges?: readonly G[];
  readonly histograms?: Readonly<Record<H, HistogramUnit>>;
}): StatSchema<C | G | H> {
  type Name = C | G | H;
  const definitions = {} as Record<Name, StatDefinition>;
  const at = {} as Record<Name, number>;
  const names: Name[] = [];
  let cell = 0;
  for (const name of family.counters ?? []) {
    definitions[name] = { kind: 'counter' };
    at[name] = cell++;
    names.push(name);
  }
  for (const name of family.gauges ?? []) {
    definitions[name] = { kind: 'gauge' };
    at[name] = cell++;
    names.push(name);
  }
  const histogramNames: Name[] = [];
  for (const [name, unit] of Object.entries(family.histograms ?? {}) as [H, HistogramUnit][]) {
    definitions[name] = { kind: 'histogram', unit };
    at[name] = histogramNames.length;
    histogramNames.push(name);
    names.push(name);
  }
  return { names, definitions, at, cellCount: cell, histogramNames };
}

/** The cells of one family under one prefix. Offsets come from the schema: `stats.inc(CLUSTER.at.upstream_rq_total)`. */
export interface StatBlock {
  /** The thread's region and where this block starts in it; for the hottest paths: `cells[base + offset]++`. What was never written is -0. */
  readonly cells: Float64Array;
  readonly base: number;
  readonly prefix: string;
  inc(offset: number): void;
  dec(offset: number): void;
  add(offset: number, amount: number): void;
  set(offset: number, value: number): void;
  get(offset: number): number;
  /** Records into the histogram at `offset` (an `at` of a histogram of the schema). */
  record(offset: number, value: number): void;
}

export interface Counter {
  inc(): void;
  add(amount: number): void;
  readonly value: number;
}

export interface Gauge extends Counter {
  dec(): void;
  set(value: number): void;
}

export interface Histogram {
  record(value: number): void;
}

/**
 * A place in the tree of names. Asking twice for the same name gives the same stat. `scope(name)` is a claim on that
 * prefix, given back by `release()` of the scope it returned.
 */
export interface StatsScope {
  /** Ends with '.', or is ''. */
  readonly prefix: string;
  scope(name: string): StatsScope;
  block<Name extends string>(schema: StatSchema<Name>, name?: string): StatBlock;
  counter(name: string): Counter;
  gauge(name: string): Gauge;
  histogram(name: string, unit: HistogramUnit): Histogram;
  textReadout(name: string): TextReadout;
  /**
   * Gives the claim back; idempotent. With the last claim on this very prefix every stat below it is forgotten (a
   * removed cluster's, for example). Blocks and counters that are still held then count into a bin nobody reads;
   * whoever copied `cells` and `base` out of a block must have stopped using them.
   */
  release(): void;
}

/** Envoy replaces what would clash with its name syntax: `://`, `:/`, `:` and NUL become `_`. */
export function sanitizeStatName(name: string): string {
  return name.replaceAll('://', '_').replaceAll(':/', '_').replaceAll(':', '_').replaceAll('\0', '_');
}
