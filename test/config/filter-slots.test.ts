import { beforeEach, describe, expect, test } from 'vitest';
import { FilterSlots } from '../../src/config/filter-slots.ts';
import type { FilterChainModel, ListenerModel } from '../../src/config/listener-model.ts';
import type { NetworkFilterModel } from '../../src/config/network-filter-model.ts';
import { SharedCells } from '../../src/lib/shared-cells.ts';

const COUNTS = 'counts';

const filter = (value: string, typeName = COUNTS): NetworkFilterModel => ({
  kind: 'extension',
  name: 'f',
  config: { name: 'f', typeName, value: Buffer.from(value) },
});
const listener = (...chains: readonly (readonly NetworkFilterModel[])[]): ListenerModel =>
  ({
    name: 'l',
    filterChains: chains.map((networkFilters) => ({ networkFilters }) as unknown as FilterChainModel),
    defaultFilterChain: undefined,
  }) as unknown as ListenerModel;

let slots: FilterSlots;
beforeEach(() => (slots = new FilterSlots(new SharedCells([], 2), 3, (typeName) => typeName === COUNTS)));

const assigned = (model: ListenerModel): (number | undefined)[] =>
  slots
    .assign(model)
    .filterChains.flatMap(({ networkFilters }) =>
      networkFilters.map((each) => (each.kind === 'extension' ? each.sharedSlot : undefined)),
    );

describe('FilterSlots', () => {
  test('only filters that count get cells, and each its own, even where two are alike', () => {
    const [first, other, second] = assigned(listener([filter('a'), filter('x', 'other')], [filter('a')]));
    expect(other).toBeUndefined();
    expect(first).not.toBe(second);
    expect([...slots]).toEqual([first, second]);
  });

  test('a filter keeps its cells over updates of its listener; one whose config changed gets others', () => {
    const [a, b] = assigned(listener([filter('a')], [filter('b')]));
    expect(assigned(listener([filter('b')], [filter('a')]))).toEqual([b, a]);
    const [again, changed] = assigned(listener([filter('a')], [filter('c')]));
    expect(again).toBe(a);
    expect([a, b]).not.toContain(changed);
  });
});
