import type { UpstreamHost } from '../host.ts';
import type { HashTable, WeightedHost } from './hash-table.ts';

/**
 * Consistent hashing with bounded loads (`hash_balance_factor`): a host that has its share of the requests in flight
 * hands over to another one, found in an order that depends on the hash alone, as in Envoy.
 */
export class BoundedLoadTable implements HashTable {
  readonly fewest: number;
  readonly most: number;
  readonly size: number;
  readonly #table: HashTable;
  readonly #entries: readonly WeightedHost[];
  readonly #weights: ReadonlyMap<UpstreamHost, number>;
  readonly #factor: number;
  readonly #activeRequests: () => number;

  /** `activeRequests`: of the whole cluster. `factor`: percent of the average that a host may have. */
  constructor(table: HashTable, entries: readonly WeightedHost[], factor: number, activeRequests: () => number) {
    this.fewest = table.fewest;
    this.most = table.most;
    this.size = table.size;
    this.#table = table;
    this.#entries = entries;
    this.#weights = new Map(entries.map(({ host, weight }) => [host, weight]));
    this.#factor = factor;
    this.#activeRequests = activeRequests;
  }

  pick(hash: bigint, attempt: number): UpstreamHost {
    const first = this.#table.pick(hash, attempt);
    const slots = Math.floor(((this.#activeRequests() + 1) * this.#factor + 99) / 100);
    let best = first;
    let least = overload(first, this.#weights.get(first)!, slots);
    if (least <= 1) return first;
    const entries = this.#entries;
    const order = entries.map((_, index) => index);
    const random = new MersenneTwister(Number(BigInt.asUintN(32, hash)));
    for (let i = 0; i < entries.length; i++) {
      const j = i + below(random, entries.length - i);
      [order[i], order[j]] = [order[j]!, order[i]!];
      const { host, weight } = entries[order[i]!]!;
      if (host === first) continue;
      const load = overload(host, weight, slots);
      if (load <= 1) return host;
      if (load < least) {
        best = host;
        least = load;
      }
    }
    return best;
  }
}

const overload = (host: UpstreamHost, weight: number, slots: number): number =>
  host.activeRequests / Math.max(Math.ceil(slots * weight), 1);

/** Uniform in [0, limit). */
function below(random: MersenneTwister, limit: number): number {
  const bucket = Math.floor(2 ** 32 / limit);
  for (;;) {
    const value = Math.floor(random.next() / bucket);
    if (value < limit) return value;
  }
}

const STATE = 624;
const SHIFT = 397;

/** MT19937: the same numbers for the same seed as any other implementation. */
export class MersenneTwister {
  readonly #state = new Uint32Array(STATE);
  #index = STATE;

  constructor(seed: number) {
    const state = this.#state;
    state[0] = seed;
    for (let i = 1; i < STATE; i++) {
      const previous = state[i - 1]! ^ (state[i - 1]! >>> 30);
      state[i] = Math.imul(1_812_433_253, previous) + i;
    }
  }

  /** 32 bits. */
  next(): number {
    if (this.#index === STATE) this.#refill();
    let value = this.#state[this.#index++]!;
    value ^= value >>> 11;
    value ^= (value << 7) & 0x9d2c5680;
    value ^= (value << 15) & 0xefc60000;
    return (value ^ (value >>> 18)) >>> 0;
  }

  #refill(): void {
    const state = this.#state;
    for (let i = 0; i < STATE; i++) {
      const mixed = (state[i]! & 0x80000000) | (state[(i + 1) % STATE]! & 0x7fffffff);
      state[i] = state[(i + SHIFT) % STATE]! ^ (mixed >>> 1) ^ ((mixed & 1) === 0 ? 0 : 0x9908b0df);
    }
    this.#index = 0;
  }
}
