import type { WeightedClustersModel } from '../../config/route-model.ts';
import type { RuntimeReader } from '../../filters/http/filter.ts';
import type { HeaderMap } from '../http/headers.ts';

const unsigned = /^\s*\+?\d+\s*$/;
const MAX_UINT64 = 2n ** 64n - 1n;

/** Chooses one of several clusters by weight. */
export class WeightedClusters {
  readonly #weights: readonly number[];
  /** Runtime keys that override weights; undefined where no prefix is configured. */
  readonly #runtimeKeys: readonly string[] | undefined;
  readonly #total: number;
  readonly #headerName: string;
  readonly #runtime: RuntimeReader;

  constructor(model: WeightedClustersModel, runtime: RuntimeReader) {
    this.#weights = model.clusters.map(({ weight }) => weight);
    this.#runtimeKeys =
      model.runtimeKeyPrefix === '' ? undefined : model.clusters.map(({ name }) => `${model.runtimeKeyPrefix}.${name}`);
    this.#total = model.totalWeight;
    this.#headerName = model.headerName;
    this.#runtime = runtime;
  }

  /** The index of the chosen cluster; -1 where runtime has set every weight to 0. */
  pick(headers: HeaderMap, randomValue: number): number {
    let total = this.#total;
    if (this.#runtimeKeys !== undefined) {
      total = 0;
      for (let i = 0; i < this.#weights.length; i++) total += this.#weight(i);
      if (total === 0) return -1;
    }
    const selected = this.#fromHeader(headers, total) ?? randomValue % total;
    let end = 0;
    for (let i = 0; i < this.#weights.length; i++) {
      end += this.#weight(i);
      if (selected < end) return i;
    }
    return this.#weights.length - 1;
  }

  #weight(index: number): number {
    const weight = this.#weights[index]!;
    if (this.#runtimeKeys === undefined) return weight;
    return this.#runtime.getNumber(this.#runtimeKeys[index]!, weight);
  }

  /** The random value that a header carries, if there is exactly one such header and it holds an unsigned integer. */
  #fromHeader(headers: HeaderMap, total: number): number | undefined {
    const name = this.#headerName;
    if (name === '') return undefined;
    const value = headers.get(name);
    if (value === undefined || !unsigned.test(value)) return undefined;
    if (headers.names.indexOf(name) !== headers.names.lastIndexOf(name)) return undefined;
    const number = BigInt(value.trim().replace('+', ''));
    return number > MAX_UINT64 ? undefined : Number(number % BigInt(total));
  }
}
