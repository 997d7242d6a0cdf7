import type { Clock, ClockTimer } from '../../lib/clock.ts';
import { compileStringMatcher, type StringMatcher } from '../../lib/string-matcher.ts';
import { mergeInSteps, runSteps, runStepsGently, sortInSteps, type Steps } from '../../lib/steps.ts';
import { PrometheusIndex } from '../prometheus-index.ts';
import type { StatsRegistration } from './registration.ts';
import { StatFamily, statShape, type StatShape } from './stat-family.ts';
import { DEFAULT_BUCKETS, DEFAULT_STATS_CONFIG, type StatsConfigModel } from './stats-config.ts';
import type { HistogramUnit, StatKind } from './stats.ts';
import { TagProducer } from './tag-producer.ts';

/** How long the main thread's event loop may be held by statistics at a time, in milliseconds. */
export const STEP_BUDGET_MS = 4;

export interface StatsAggregatorOptions {
  readonly clock: Clock;
  readonly config?: StatsConfigModel;
  /** Envoy's `stats_flush_interval`. */
  readonly flushIntervalMs?: number;
  /** Called before stats are read: the place to set gauges that are live in Envoy too. */
  readonly beforeRead?: () => void;
  /** Called before every flush: the place to set gauges such as `server.uptime`. */
  readonly beforeFlush?: () => void;
  /** Prefixes that the Prometheus names lose, getting no `envoy_` instead (Istio's `istiocustom`). */
  readonly customNamespaces?: readonly string[];
}

/** Where registrations are taken from; ThreadStats of this very thread. */
export interface RegistrationSource {
  drainRegistrations(): StatsRegistration[];
}

interface ThreadView {
  readonly chunks: Float64Array[];
  readonly shapes: Map<number, StatShape>;
  /** Registration id -> family. */
  readonly families: Map<number, StatFamily>;
  readonly texts: Map<number, string>;
}

/**
 * All stats of all threads, as the admin endpoints and sinks show them: counters and gauges of the same name are summed
 * when they are read, histograms merged at every flush. Main thread only.
 */
export class StatsAggregator {
  readonly clock: Clock;
  /** The same series ordered for Prometheus. */
  readonly prometheus: PrometheusIndex;
  /** Text readouts by name. */
  readonly texts = new Map<string, string>();

  readonly #options: StatsAggregatorOptions;
  readonly #matches: StringMatcher[];
  readonly #rejecting: 'none' | 'all' | 'matching' | 'others';
  readonly #buckets: readonly { readonly matcher: StringMatcher; readonly buckets: readonly number[] }[];
  readonly #threads = new Map<number, ThreadView>();
  readonly #local = new Map<number, RegistrationSource>();
  readonly #shapes = new Map<string, StatShape>();
  readonly #families = new Map<StatShape, Map<string, StatFamily>>();
  #sorted: readonly StatFamily[] = [];
  #unsorted: StatFamily[] = [];
  #goneCount = 0;
  #recorded = new Set<StatFamily>();
  #timer: ClockTimer | undefined;
  #flushing: Promise<void> | undefined;
  #closed = false;

  constructor(options: StatsAggregatorOptions) {
    const config = options.config ?? DEFAULT_STATS_CONFIG;
    this.#options = options;
    this.clock = options.clock;
    this.prometheus = new PrometheusIndex(
      new TagProducer(config.useAllDefaultTags, config.tags),
      options.customNamespaces ?? [],
    );
    const { matcher } = config;
    this.#matches = 'patterns' in matcher ? matcher.patterns.map(compileStringMatcher) : [];
    this.#rejecting = (
      { 'accept-all': 'none', 'reject-all': 'all', exclusion: 'matching', inclusion: 'others' } as const
    )[matcher.kind];
    this.#buckets = config.histogramBuckets.map(({ match, buckets }) => ({
      matcher: compileStringMatcher(match),
      buckets,
    }));
  }

  /** Takes what a worker has posted, in order. Thread ids are the caller's; 0 is this thread by convention. */
  register(thread: number, registrations: readonly StatsRegistration[]): void {
    let view = this.#threads.get(thread);
    if (view === undefined)
      this.#threads.set(thread, (view = { chunks: [], shapes: new Map(), families: new Map(), texts: new Map() }));
    for (const registration of registrations) this.#apply(view, registration);
  }

  /** Has the stats of this thread itself read whenever they are needed. */
  addLocal(thread: number, source: RegistrationSource): void {
    this.#local.set(thread, source);
  }

  /** The thread has died: what its counters and histograms had stays in the totals, its gauges go. */
  retire(thread: number): void {
    this.pull();
    const view = this.#threads.get(thread);
    if (view === undefined) return;
    this.#threads.delete(thread);
    this.#local.delete(thread);
    for (const [id, family] of view.families) family.remove(id, view.chunks);
    for (const name of view.texts.values()) this.texts.delete(name);
  }

  /** Takes over what the local sources have to tell. Every reader calls it first. */
  pull(): void {
    this.#options.beforeRead?.();
    for (const [thread, source] of this.#local) this.register(thread, source.drainRegistrations());
  }

  /** Flushes at the configured interval from now on. */
  start(): void {
    if (this.#closed || this.#timer !== undefined) return;
    this.#timer = this.clock.setTimer(this.#options.flushIntervalMs ?? 5000, () => {
      this.#timer = undefined;
      void this.flush().then(() => this.start());
    });
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Merges the histograms of all threads without holding up the event loop; joins a flush that is under way. */
  flush(): Promise<void> {
    return (this.#flushing ??= runStepsGently(this.#flushSteps(), () => this.clock.monotonic(), STEP_BUDGET_MS).finally(
      () => {
        this.#flushing = undefined;
      },
    ));
  }

  /** The same in one go. */
  flushSync(): void {
    runSteps(this.#flushSteps());
  }

  /** Envoy's /reset_counters. */
  resetCounters(): void {
    this.pull();
    for (const families of this.#families.values()) for (const family of families.values()) family.resetCounters();
  }

  /** All families ordered by prefix. The list is the caller's to walk for as long as it takes; skip those `gone`. */
  *sortedFamilies(): Steps<readonly StatFamily[]> {
    this.pull();
    const before = this.#sorted;
    const added = this.#unsorted.slice();
    if (added.length === 0) return before;
    const addedSorted = yield* sortInSteps(added, byPrefix);
    const kept = this.#goneCount > before.length / 8 ? before.filter(({ gone }) => !gone) : before;
    const merged = kept.length === 0 ? addedSorted : yield* mergeInSteps(kept, addedSorted, byPrefix);
    // Another reader may have done the same meanwhile; then its list stays.
    if (this.#sorted === before) {
      this.#sorted = merged;
      this.#unsorted = this.#unsorted.slice(added.length);
      if (kept !== before) this.#goneCount = 0;
    }
    return merged;
  }

  /** The value of a counter, gauge or text readout by its full name; undefined = no such stat. */
  value(name: string): number | string | undefined {
    this.pull();
    let found: number | undefined;
    for (const [shape, families] of this.#families) {
      for (let i = 0; i < shape.cellCount; i++) {
        if (!name.endsWith(shape.names[i]!)) continue;
        const family = families.get(name.slice(0, name.length - shape.names[i]!.length));
        if (family !== undefined && family.accepts(i)) found = (found ?? 0) + family.read(i);
      }
    }
    return found ?? this.texts.get(name);
  }

  /** The upper bounds of a histogram's buckets, ascending. */
  bucketsOf(name: string): readonly number[] {
    for (const { matcher, buckets } of this.#buckets) if (matcher.matches(name)) return buckets;
    return DEFAULT_BUCKETS;
  }

  /** False if the stats matcher keeps this name out. */
  accepts(name: string): boolean {
    switch (this.#rejecting) {
      case 'none':
        return true;
      case 'all':
        return false;
      default:
        return this.#matches.some((matcher) => matcher.matches(name)) !== (this.#rejecting === 'matching');
    }
  }

  *#flushSteps(): Steps<void> {
    this.#options.beforeFlush?.();
    this.pull();
    let count = 0;
    for (const family of this.#recorded) {
      if (family.gone) this.#recorded.delete(family);
      else family.flush();
      if (++count % 64 === 0) yield;
    }
  }

  #apply(view: ThreadView, registration: StatsRegistration): void {
    switch (registration.op) {
      case 'chunk':
        view.chunks[registration.index] = new Float64Array(registration.memory);
        break;
      case 'schema':
        view.shapes.set(
          registration.id,
          this.#shape(registration.names, registration.kinds, registration.units, registration.cellCount),
        );
        break;
      case 'block': {
        const family = this.#family(registration.prefix, view.shapes.get(registration.schema)!);
        family.add(registration.id, view.chunks, registration.address);
        view.families.set(registration.id, family);
        break;
      }
      case 'cell': {
        const family = this.#family(registration.name, this.#shape([''], [registration.kind], ['unspecified'], 1));
        family.add(registration.id, view.chunks, registration.address);
        view.families.set(registration.id, family);
        break;
      }
      case 'histogram': {
        const family = this.#family(registration.name, this.#shape([''], ['histogram'], [registration.unit], 0));
        family.claim(registration.id, view.chunks);
        view.families.set(registration.id, family);
        break;
      }
      case 'recorder': {
        const family = view.families.get(registration.id);
        if (family === undefined || !family.accepts(family.shape.cellCount + registration.offset)) break;
        family.ensureHistogram(registration.offset).add(registration.id, view.chunks, registration.address);
        this.#recorded.add(family);
        break;
      }
      case 'text':
        view.texts.set(registration.id, registration.name);
        if (this.accepts(registration.name)) this.texts.set(registration.name, registration.value);
        break;
      case 'release':
        for (const id of registration.ids) this.#release(view, id);
        break;
    }
  }

  #release(view: ThreadView, id: number): void {
    const text = view.texts.get(id);
    if (text !== undefined) {
      view.texts.delete(id);
      this.texts.delete(text);
    }
    const family = view.families.get(id);
    if (family === undefined) return;
    view.families.delete(id);
    family.remove(id, view.chunks);
    if (family.shared) return;
    family.gone = true;
    this.#goneCount++;
    this.#families.get(family.shape)?.delete(family.prefix);
    this.prometheus.forget();
  }

  #shape(
    names: readonly string[],
    kinds: readonly StatKind[],
    units: readonly HistogramUnit[],
    cellCount: number,
  ): StatShape {
    const key = `${cellCount} ${kinds.join()} ${units.join()} ${names.join()}`;
    let shape = this.#shapes.get(key);
    if (shape === undefined) this.#shapes.set(key, (shape = statShape(names, kinds, units, cellCount)));
    return shape;
  }

  #family(prefix: string, shape: StatShape): StatFamily {
    let families = this.#families.get(shape);
    if (families === undefined) this.#families.set(shape, (families = new Map()));
    let family = families.get(prefix);
    if (family === undefined) {
      families.set(prefix, (family = new StatFamily(prefix, shape, this.#rejected(prefix, shape))));
      this.#unsorted.push(family);
      this.prometheus.add(family);
    }
    return family;
  }

  #rejected(prefix: string, shape: StatShape): Uint8Array | undefined {
    if (this.#rejecting === 'none') return undefined;
    const rejected = Uint8Array.from(shape.names, (name) => (this.accepts(prefix + name) ? 0 : 1));
    return rejected.includes(1) ? rejected : undefined;
  }
}

const byPrefix = (a: StatFamily, b: StatFamily): number => (a.prefix < b.prefix ? -1 : a.prefix > b.prefix ? 1 : 0);
