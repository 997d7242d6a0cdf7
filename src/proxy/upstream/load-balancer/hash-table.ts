import type { MaglevModel, RingHashModel } from '../../../config/cluster-model.ts';
import { hash64, murmurHash64 } from '../../../lib/hash64.ts';
import type { UpstreamHost } from '../host.ts';

/** A host with its share of the traffic; all shares of a table add up to 1. */
export interface WeightedHost {
  readonly host: UpstreamHost;
  readonly weight: number;
}

/** Where a hash leads to. `attempt` > 0: elsewhere, as the host that came before won't do. */
export interface HashTable {
  pick(hash: bigint, attempt: number): UpstreamHost;
  /** The fewest and the most places that a host has. */
  readonly fewest: number;
  readonly most: number;
  /** Places in all. */
  readonly size: number;
}

/** What a host is hashed by: its metadata's `envoy.lb: { hash_key }`, its name if so configured, or its address. */
function keyOf(host: UpstreamHost, useHostname: boolean): string {
  const labels = host.metadata?.['envoy.lb'] as Readonly<Record<string, unknown>> | undefined;
  const key = labels?.['hash_key'];
  if (typeof key === 'string' && key !== '') return bytesOf(key);
  return useHostname ? bytesOf(host.hostname) : host.address;
}

/** UTF-8 as hash64 takes it, one character a byte. */
const bytesOf = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

/** RING_HASH: Envoy's, which is Ketama with one hash a point. Not for an empty list. */
export class HashRing implements HashTable {
  readonly fewest: number;
  readonly most: number;
  readonly size: number;
  readonly #points: BigUint64Array;
  readonly #hosts: readonly UpstreamHost[];

  constructor(model: RingHashModel, entries: readonly WeightedHost[]) {
    const hashOf = model.hashFunction === 'xx-hash' ? hash64 : murmurHash64;
    const least = Math.min(...entries.map(({ weight }) => weight));
    // The host with the least weight gets a whole number of points, within the largest ring that is allowed.
    const scale = Math.min(Math.ceil(least * model.minimumRingSize) / least, model.maximumRingSize);
    this.size = Math.ceil(scale);
    const points: bigint[] = [];
    const owners = new Map<bigint, UpstreamHost>();
    let target = 0;
    let fewest = this.size;
    let most = 0;
    for (const { host, weight } of entries) {
      const key = keyOf(host, model.useHostname);
      target += scale * weight;
      let count = 0;
      for (; points.length < target; count++) {
        const point = hashOf(`${key}_${count}`);
        points.push(point);
        owners.set(point, host);
      }
      fewest = Math.min(fewest, count);
      most = Math.max(most, count);
    }
    this.fewest = fewest;
    this.most = most;
    this.#points = BigUint64Array.from(points).sort();
    this.#hosts = Array.from(this.#points, (point) => owners.get(point)!);
  }

  pick(hash: bigint, attempt: number): UpstreamHost {
    const points = this.#points;
    let low = 0;
    let high = points.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (points[middle]! < hash) low = middle + 1;
      else high = middle;
    }
    return this.#hosts[(low + attempt) % points.length]!;
  }
}

/** Places that a host has not got yet, in the order in which it asks for them. */
interface Candidate {
  readonly host: UpstreamHost;
  readonly weight: number;
  readonly skip: number;
  next: number;
  target: number;
  count: number;
}

/** MAGLEV: the lookup table of the paper's section 3.4, with weights as in Envoy. Not for an empty list. */
export class MaglevTable implements HashTable {
  readonly fewest: number;
  readonly most: number;
  readonly size: number;
  readonly #size: bigint;
  readonly #hosts: readonly UpstreamHost[];
  readonly #table: Uint32Array;

  constructor(model: MaglevModel, entries: readonly WeightedHost[]) {
    const size = model.tableSize;
    this.size = size;
    this.#size = BigInt(size);
    const most = Math.max(...entries.map(({ weight }) => weight));
    const keyed = entries
      .map(({ host, weight }) => ({ key: keyOf(host, model.useHostname), host, weight }))
      // The order of places depends on that of hosts, which must not depend on where they came from.
      .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
    const candidates = keyed.map(({ key, host, weight }): Candidate => ({
      host,
      weight,
      skip: Number(hash64(key, 1n) % (this.#size - 1n)) + 1,
      next: Number(hash64(key) % this.#size),
      target: 0,
      count: 0,
    }));
    this.#hosts = keyed.map(({ host }) => host);
    // 0: free; else the host's index + 1.
    const table = new Uint32Array(size);
    let taken = 0;
    for (let round = 1; taken < size; round++) {
      for (let i = 0; i < candidates.length && taken < size; i++) {
        const candidate = candidates[i]!;
        // One with a third of the greatest weight takes a place in every third round.
        if (round * candidate.weight < candidate.target) continue;
        candidate.target += most;
        while (table[candidate.next] !== 0) candidate.next = (candidate.next + candidate.skip) % size;
        table[candidate.next] = i + 1;
        candidate.next = (candidate.next + candidate.skip) % size;
        candidate.count++;
        taken++;
      }
    }
    this.#table = table;
    this.fewest = Math.min(...candidates.map(({ count }) => count));
    this.most = Math.max(...candidates.map(({ count }) => count));
  }

  pick(hash: bigint, attempt: number): UpstreamHost {
    // Most bits change, so that not all who are turned away by one host go to the same other one.
    const place = attempt === 0 ? hash : hash ^ BigInt.asUintN(64, -BigInt(attempt));
    return this.#hosts[this.#table[Number(place % this.#size)]! - 1]!;
  }
}
