import type { SharedCells } from '../lib/shared-cells.ts';
import type { FilterChainModel, ListenerModel } from './listener-model.ts';

/**
 * Main thread: the shared cells that network filters count in over all workers (`sharedSlot`). A filter keeps its cells
 * as long as its listener has one with the same config.
 */
export class FilterSlots {
  readonly #shared: SharedCells;
  readonly #cellCount: number;
  readonly #counts: (typeName: string) => boolean;
  readonly #slots = new Map<string, Map<string, number>>();

  /** `counts`: whether filters with a config of this type count. */
  constructor(shared: SharedCells, cellCount: number, counts: (typeName: string) => boolean) {
    this.#shared = shared;
    this.#cellCount = cellCount;
    this.#counts = counts;
  }

  /** Every slot that is in use. */
  *[Symbol.iterator](): Iterator<number> {
    for (const slots of this.#slots.values()) yield* slots.values();
  }

  /** The listener with the slots of its filters filled in. */
  assign(listener: ListenerModel): ListenerModel {
    const before = this.#slots.get(listener.name) ?? new Map<string, number>();
    const after = new Map<string, number>();
    const assign = (chain: FilterChainModel): FilterChainModel => ({
      ...chain,
      networkFilters: chain.networkFilters.map((filter) => {
        if (filter.kind !== 'extension' || !this.#counts(filter.config.typeName)) return filter;
        const base = `${filter.config.typeName} ${Buffer.from(filter.config.value).toString('latin1')}`;
        // Filters that are alike have a count each.
        let key = base;
        for (let i = 1; after.has(key); i++) key = `${base} ${i}`;
        const sharedSlot = before.get(key) ?? this.#shared.allocate(this.#cellCount);
        after.set(key, sharedSlot);
        return { ...filter, sharedSlot };
      }),
    });
    const filterChains = listener.filterChains.map(assign);
    const ofDefault = listener.defaultFilterChain;
    const defaultFilterChain = ofDefault === undefined ? undefined : assign(ofDefault);
    // What a former version counted in isn't given back: its connections may still be there.
    if (after.size > 0) this.#slots.set(listener.name, after);
    return { ...listener, filterChains, defaultFilterChain };
  }
}
