import type {
  Counter,
  Gauge,
  Histogram,
  HistogramUnit,
  StatBlock,
  StatSchema,
  StatsScope,
  TextReadout,
} from './stats.ts';
import { LazyHistogram, StatCell, ThreadTextReadout } from './cell.ts';
import { HistogramRecorder } from './recorder.ts';
import type { StatsRegistration } from './registration.ts';
import { StatMemory, UNTOUCHED, type CellRun } from './stat-memory.ts';

/** The cells of one family of one thread. All counting goes through instances of this one class. */
class ThreadBlock implements StatBlock {
  cells: Float64Array;
  base: number;
  readonly prefix: string;
  readonly id: number;
  readonly address: number;
  readonly schema: StatSchema;
  readonly #histograms: (HistogramRecorder | undefined)[];
  readonly #create: (id: number, offset: number) => HistogramRecorder;

  constructor(
    id: number,
    prefix: string,
    schema: StatSchema,
    run: CellRun,
    create: (id: number, offset: number) => HistogramRecorder,
  ) {
    this.id = id;
    this.prefix = prefix;
    this.schema = schema;
    this.cells = run.cells;
    this.base = run.base;
    this.address = run.address;
    this.#create = create;
    this.#histograms = schema.histogramNames.map(() => undefined);
  }

  inc(offset: number): void {
    this.cells[this.base + offset]!++;
  }

  dec(offset: number): void {
    this.cells[this.base + offset]!--;
  }

  add(offset: number, amount: number): void {
    this.cells[this.base + offset]! += amount;
  }

  set(offset: number, value: number): void {
    this.cells[this.base + offset] = value;
  }

  get(offset: number): number {
    // Turns the minus zero of an untouched cell into zero.
    return this.cells[this.base + offset]! + 0;
  }

  record(offset: number, value: number): void {
    (this.#histograms[offset] ??= this.#create(this.id, offset)).record(value);
  }

  detach(): void {
    this.cells = new Float64Array(Math.max(this.schema.cellCount, 1));
    this.base = 0;
  }
}

/** One dot-separated step of the tree of names. */
interface Node {
  readonly children: Map<string, Node>;
  blocks: Map<StatSchema, ThreadBlock> | undefined;
  cell: StatCell | undefined;
  histogram: LazyHistogram | undefined;
  text: ThreadTextReadout | undefined;
  claims: number;
}

const newNode = (): Node => ({
  children: new Map(),
  blocks: undefined,
  cell: undefined,
  histogram: undefined,
  text: undefined,
  claims: 0,
});

/**
 * All stats of one thread: the root scope. Values lie in shared memory; what lies where is told to the main thread's
 * StatsAggregator by registrations, drained and posted by whoever owns this object.
 */
export class ThreadStats implements StatsScope {
  readonly prefix = '';
  readonly #root = newNode();
  readonly #memory: StatMemory;
  readonly #schemas = new Map<StatSchema, number>();
  readonly #recorders = new Map<number, HistogramRecorder[]>();
  readonly #onRegistration: (() => void) | undefined;
  #pending: StatsRegistration[] = [];
  #nextId = 1;
  readonly #createRecorder = (id: number, offset: number): HistogramRecorder => {
    const recorder = new HistogramRecorder(this.#memory);
    const list = this.#recorders.get(id);
    if (list === undefined) this.#recorders.set(id, [recorder]);
    else list.push(recorder);
    this.#register({ op: 'recorder', id, offset, address: recorder.address });
    return recorder;
  };

  /** `onRegistration` is called when the first registration after a drain comes: time to schedule the next drain. */
  constructor(onRegistration?: () => void) {
    this.#onRegistration = onRegistration;
    this.#memory = new StatMemory((index, memory) => this.#register({ op: 'chunk', index, memory }));
  }

  /** What the aggregator has to be told, in order; empties the list. */
  drainRegistrations(): StatsRegistration[] {
    const drained = this.#pending;
    this.#pending = [];
    this.#memory.settle();
    return drained;
  }

  scope(name: string): StatsScope {
    return new ThreadScope(this, prefixOf(name));
  }

  block<Name extends string>(schema: StatSchema<Name>, name = ''): StatBlock {
    const prefix = prefixOf(name);
    const node = this.#node(prefix);
    const known = node.blocks?.get(schema);
    if (known !== undefined) return known;
    const run = this.#memory.allocate(Math.max(schema.cellCount, 1), UNTOUCHED);
    const id = this.#nextId++;
    const block = new ThreadBlock(id, prefix, schema, run, this.#createRecorder);
    (node.blocks ??= new Map<StatSchema, ThreadBlock>()).set(schema, block);
    this.#register({ op: 'block', id, schema: this.#schemaId(schema), prefix, address: run.address });
    return block;
  }

  counter(name: string): Counter {
    return this.#cell('counter', name);
  }

  gauge(name: string): Gauge {
    return this.#cell('gauge', name);
  }

  histogram(name: string, unit: HistogramUnit): Histogram {
    const node = this.#node(prefixOf(name));
    if (node.histogram !== undefined) return node.histogram;
    const id = this.#nextId++;
    this.#register({ op: 'histogram', id, name, unit });
    return (node.histogram = new LazyHistogram(id, (value) => this.#createRecorder(value, 0)));
  }

  textReadout(name: string): TextReadout {
    const node = this.#node(prefixOf(name));
    if (node.text !== undefined) return node.text;
    const id = this.#nextId++;
    this.#register({ op: 'text', id, name, value: '' });
    return (node.text = new ThreadTextReadout(id, (value) => this.#register({ op: 'text', id, name, value })));
  }

  /** The root is never forgotten. */
  release(): void {}

  /** Takes a claim on a prefix ('' or ending with a dot); see StatsScope. */
  claim(prefix: string): void {
    this.#node(prefix).claims++;
  }

  /** Gives one claim back, and forgets all below with the last. */
  unclaim(prefix: string): void {
    const path = segments(prefix);
    const last = path.pop();
    let parent: Node | undefined = this.#root;
    for (const step of path) parent = parent?.children.get(step);
    const node = last === undefined ? undefined : parent?.children.get(last);
    if (parent === undefined || node === undefined || last === undefined || --node.claims > 0) return;
    const ids: number[] = [];
    this.#forget(node, ids);
    parent.children.delete(last);
    if (ids.length > 0) this.#register({ op: 'release', ids });
  }

  /** The current value of a counter or gauge on this thread by its full name; undefined = no such stat. For tests. */
  value(name: string): number | undefined {
    const cell = this.#find(segments(prefixOf(name)))?.cell;
    if (cell !== undefined) return cell.value;
    for (let dot = name.indexOf('.'); ; dot = name.indexOf('.', dot + 1)) {
      const prefix = name.slice(0, dot + 1);
      for (const block of this.#find(segments(prefix))?.blocks?.values() ?? []) {
        const key = name.slice(dot + 1);
        const kind = block.schema.definitions[key]?.kind;
        if (kind === 'counter' || kind === 'gauge') return block.get(block.schema.at[key]!);
      }
      if (dot === -1) return undefined;
    }
  }

  #cell(kind: 'counter' | 'gauge', name: string): StatCell {
    const node = this.#node(prefixOf(name));
    if (node.cell !== undefined) return node.cell;
    const run = this.#memory.allocate(1, UNTOUCHED);
    const id = this.#nextId++;
    node.cell = new StatCell(id, run);
    this.#register({ op: 'cell', id, kind, name, address: run.address });
    return node.cell;
  }

  #schemaId(schema: StatSchema): number {
    const known = this.#schemas.get(schema);
    if (known !== undefined) return known;
    const id = this.#nextId++;
    this.#schemas.set(schema, id);
    const cells = schema.names.filter((name) => schema.definitions[name]!.kind !== 'histogram');
    const names = [...cells, ...schema.histogramNames];
    this.#register({
      op: 'schema',
      id,
      names,
      kinds: names.map((name) => schema.definitions[name]!.kind),
      units: names.map((name) => schema.definitions[name]!.unit ?? 'unspecified'),
      cellCount: schema.cellCount,
    });
    return id;
  }

  #forget(node: Node, ids: number[]): void {
    for (const block of node.blocks?.values() ?? []) {
      ids.push(block.id);
      this.#memory.free(block.address, Math.max(block.schema.cellCount, 1));
      block.detach();
      this.#freeRecorders(block.id);
    }
    if (node.cell !== undefined) {
      ids.push(node.cell.id);
      this.#memory.free(node.cell.address, 1);
      node.cell.detach();
    }
    if (node.histogram !== undefined) {
      ids.push(node.histogram.id);
      this.#freeRecorders(node.histogram.id);
    }
    if (node.text !== undefined) ids.push(node.text.id);
    for (const child of node.children.values()) this.#forget(child, ids);
  }

  #freeRecorders(id: number): void {
    for (const recorder of this.#recorders.get(id) ?? []) recorder.free();
    this.#recorders.delete(id);
  }

  #node(prefix: string): Node {
    let node = this.#root;
    for (const step of segments(prefix)) {
      let child = node.children.get(step);
      if (child === undefined) node.children.set(step, (child = newNode()));
      node = child;
    }
    return node;
  }

  #find(path: readonly string[]): Node | undefined {
    let node: Node | undefined = this.#root;
    for (const step of path) node = node?.children.get(step);
    return node;
  }

  #register(registration: StatsRegistration): void {
    if (this.#pending.push(registration) === 1) this.#onRegistration?.();
  }
}

/** A prefix of the tree with a claim on it. */
class ThreadScope implements StatsScope {
  readonly prefix: string;
  readonly #stats: ThreadStats;
  #claimed = true;

  constructor(stats: ThreadStats, prefix: string) {
    this.#stats = stats;
    this.prefix = prefix;
    stats.claim(prefix);
  }

  scope(name: string): StatsScope {
    return new ThreadScope(this.#stats, this.prefix + prefixOf(name));
  }

  block<Name extends string>(schema: StatSchema<Name>, name = ''): StatBlock {
    return this.#stats.block(schema, this.prefix + name);
  }

  counter(name: string): Counter {
    return this.#stats.counter(this.prefix + name);
  }

  gauge(name: string): Gauge {
    return this.#stats.gauge(this.prefix + name);
  }

  histogram(name: string, unit: HistogramUnit): Histogram {
    return this.#stats.histogram(this.prefix + name, unit);
  }

  textReadout(name: string): TextReadout {
    return this.#stats.textReadout(this.prefix + name);
  }

  release(): void {
    if (!this.#claimed) return;
    this.#claimed = false;
    this.#stats.unclaim(this.prefix);
  }
}

const prefixOf = (name: string): string => (name === '' || name.endsWith('.') ? name : `${name}.`);
const segments = (prefix: string): string[] => (prefix === '' ? [] : prefix.slice(0, -1).split('.'));
