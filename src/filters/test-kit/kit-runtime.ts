import type { FractionalPercent, RuntimeReader } from '../http/filter.ts';

/** Random values of a test are drawn below this, so that 0.5 is the middle of every denominator. */
export const MAX_RANDOM = 1_000_000;

/** Runtime keys of a test. */
export class KitRuntime implements RuntimeReader {
  readonly #values: Readonly<Record<string, number | boolean | string>>;

  constructor(values: Readonly<Record<string, number | boolean | string>>) {
    this.#values = values;
  }

  getNumber(key: string, defaultValue: number): number {
    const value = this.#values[key];
    return typeof value === 'number' ? value : defaultValue;
  }

  getBoolean(key: string, defaultValue: boolean): boolean {
    const value = this.#values[key];
    return typeof value === 'boolean' ? value : defaultValue;
  }

  getString(key: string): string | undefined {
    const value = this.#values[key];
    return value === undefined ? undefined : String(value);
  }

  featureEnabled(key: string, { numerator, denominator }: FractionalPercent, randomValue: number): boolean {
    const value = this.#values[key];
    const fraction = typeof value === 'number' ? value / 100 : numerator / denominator;
    return (randomValue % MAX_RANDOM) / MAX_RANDOM < fraction;
  }
}
