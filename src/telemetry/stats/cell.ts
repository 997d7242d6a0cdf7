import type { Gauge, Histogram, TextReadout } from './stats.ts';
import type { CellRun } from './stat-memory.ts';

/** A counter or gauge made by name: one cell. */
export class StatCell implements Gauge {
  #cells: Float64Array;
  #index: number;
  readonly id: number;
  readonly address: number;

  constructor(id: number, run: CellRun) {
    this.id = id;
    this.#cells = run.cells;
    this.#index = run.base;
    this.address = run.address;
  }

  get value(): number {
    // Turns the minus zero of an untouched cell into zero.
    return this.#cells[this.#index]! + 0;
  }

  inc(): void {
    this.#cells[this.#index]!++;
  }

  dec(): void {
    this.#cells[this.#index]!--;
  }

  add(amount: number): void {
    this.#cells[this.#index]! += amount;
  }

  set(value: number): void {
    this.#cells[this.#index] = value;
  }

  /** From now on counts where nobody reads. */
  detach(): void {
    this.#cells = new Float64Array(1);
    this.#index = 0;
  }
}

/** A histogram made by name, whose memory comes with its first value. */
export class LazyHistogram implements Histogram {
  readonly id: number;
  readonly #create: (id: number) => Histogram;
  #recorder: Histogram | undefined;

  constructor(id: number, create: (id: number) => Histogram) {
    this.id = id;
    this.#create = create;
  }

  record(value: number): void {
    (this.#recorder ??= this.#create(this.id)).record(value);
  }
}

/** A text readout; every change is told to the aggregator. */
export class ThreadTextReadout implements TextReadout {
  readonly id: number;
  readonly #onChange: (value: string) => void;
  #value = '';

  constructor(id: number, onChange: (value: string) => void) {
    this.id = id;
    this.#onChange = onChange;
  }

  get value(): string {
    return this.#value;
  }

  set(value: string): void {
    if (value === this.#value) return;
    this.#value = value;
    this.#onChange(value);
  }
}
