import fc from 'fast-check';
import { expect, test } from 'vitest';
import { StreamTable } from '../../../../src/proxy/codec/h2/stream-table.ts';

test('whatever comes and goes, it holds what a Map holds', () => {
  // Few enough identifiers, of both sides and far apart, that they meet.
  const id = fc.oneof(
    fc.nat({ max: 40 }),
    fc.nat({ max: 40 }).map((n) => 2 ** 31 - 1 - n * 16),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), id), { maxLength: 200 }), (steps) => {
      const table = new StreamTable<{ id: number }>();
      const map = new Map<number, { id: number }>();
      for (const [adds, id] of steps) {
        if (!adds) expect(table.delete(id)).toBe(map.delete(id));
        else if (!map.has(id)) {
          const stream = { id };
          table.add(stream);
          map.set(id, stream);
        }
        expect(table.size).toBe(map.size);
        expect(table.get(id)).toBe(map.get(id));
      }
      expect(table.list()).toEqual([...map.values()].sort((a, b) => a.id - b.id));
      for (const [id, stream] of map) expect(table.get(id)).toBe(stream);
    }),
  );
});
