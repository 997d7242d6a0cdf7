import type {
  Counter,
  Gauge,
  Histogram,
  HistogramUnit,
  StatBlock,
  StatSchema,
  StatsScope,
  TextReadout,
} from '../../telemetry/stats/stats.ts';

/** The stats of a test: every value by its full name. */
export class KitStats implements StatsScope {
  readonly prefix: string;
  readonly #root: KitStats;
  readonly #blocks = new Map<string, KitBlock>();
  readonly #cells = new Map<string, KitGauge>();

  constructor(prefix = '', root?: KitStats) {
    this.prefix = prefix;
    this.#root = root ?? this;
  }

  /** The value of a counter or gauge, or how many values a histogram has; 0 if it does not exist. */
  read(name: string): number {
    for (const block of this.#root.#blocks.values()) {
      const value = block.read(name);
      if (value !== undefined) return value;
    }
    return this.#root.#cells.get(name)?.value ?? 0;
  }

  scope(name: string): StatsScope {
    return new KitStats(this.#path(name), this.#root);
  }

  block<Name extends string>(schema: StatSchema<Name>, name = ''): StatBlock {
    const prefix = this.#path(name);
    let block = this.#root.#blocks.get(prefix);
    if (block?.schema !== schema) {
      block = new KitBlock(prefix, schema);
      this.#root.#blocks.set(prefix, block);
    }
    return block;
  }

  counter(name: string): Counter {
    return this.gauge(name);
  }

  gauge(name: string): Gauge {
    const full = this.prefix + name;
    let cell = this.#root.#cells.get(full);
    if (cell === undefined) {
      cell = new KitGauge();
      this.#root.#cells.set(full, cell);
    }
    return cell;
  }

  histogram(name: string, _unit: HistogramUnit): Histogram {
    const count = this.gauge(name);
    return { record: () => count.inc() };
  }

  textReadout(_name: string): TextReadout {
    let value = '';
    return {
      get value() {
        return value;
      },
      set: (text) => void (value = text),
    };
  }

  release(): void {}

  #path(name: string): string {
    return name === '' || name.endsWith('.') ? this.prefix + name : `${this.prefix}${name}.`;
  }
}

class KitGauge implements Gauge {
  value = 0;

  inc(): void {
    this.value++;
  }
  dec(): void {
    this.value--;
  }
  add(amount: number): void {
    this.value += amount;
  }
  set(value: number): void {
    this.value = value;
  }
}

class KitBlock implements StatBlock {
  readonly cells: Float64Array;
  readonly base = 0;
  readonly prefix: string;
  readonly schema: StatSchema;
  readonly #recorded: number[] = [];

  constructor(prefix: string, schema: StatSchema) {
    this.prefix = prefix;
    this.schema = schema;
    this.cells = new Float64Array(schema.cellCount);
  }

  read(fullName: string): number | undefined {
    if (!fullName.startsWith(this.prefix)) return undefined;
    const name = fullName.slice(this.prefix.length);
    const offset = this.schema.at[name];
    if (offset === undefined) return undefined;
    return this.schema.definitions[name]!.kind === 'histogram' ? (this.#recorded[offset] ?? 0) : this.get(offset);
  }

  inc(offset: number): void {
    this.add(offset, 1);
  }
  dec(offset: number): void {
    this.add(offset, -1);
  }
  add(offset: number, amount: number): void {
    this.cells[offset] = this.get(offset) + amount;
  }
  set(offset: number, value: number): void {
    this.cells[offset] = value;
  }
  get(offset: number): number {
    return this.cells[offset] ?? 0;
  }
  record(offset: number, _value: number): void {
    this.#recorded[offset] = (this.#recorded[offset] ?? 0) + 1;
  }
}
