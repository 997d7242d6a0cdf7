import { describe, expect, test } from 'vitest';
import { SharedCells } from '../../src/lib/shared-cells.ts';

describe('SharedCells', () => {
  test('another thread sees the same cells and the number of lanes', () => {
    const main = new SharedCells([], 3);
    const slot = main.allocate(2);
    const worker = new SharedCells(main.chunks);
    worker.add(slot + 1, 5);
    expect(main.load(slot + 1)).toBe(5);
    expect(worker.lanes).toBe(3);
  });

  test('a run of cells never crosses a chunk, and further chunks are added', () => {
    const cells = new SharedCells();
    const slots = Array.from({ length: 60 }, () => cells.allocate(1000));
    expect(new Set(slots.map((slot) => slot >> 14)).size).toBe(cells.chunks.length);
    for (const slot of slots) expect(slot >> 14).toBe((slot + 999) >> 14);
    expect(new Set(slots).size).toBe(60);
  });

  test('cells that were given back are handed out again, zeroed', () => {
    const cells = new SharedCells();
    const slot = cells.allocate(4);
    cells.store(slot + 3, 9);
    cells.free(slot, 4);
    expect(cells.allocate(4)).toBe(slot);
    expect(cells.load(slot + 3)).toBe(0);
  });

  test('acquire admits up to the limit and takes back what was too much', () => {
    const cells = new SharedCells();
    const slot = cells.allocate(1);
    expect([cells.acquire(slot, 2), cells.acquire(slot, 2), cells.acquire(slot, 2)]).toEqual([true, true, false]);
    cells.release(slot);
    expect(cells.acquire(slot, 2)).toBe(true);
    expect(cells.acquire(slot, 0)).toBe(false);
    expect(cells.load(slot)).toBe(2);
  });

  test('a counter carries into its second cell', () => {
    const cells = new SharedCells();
    const slot = cells.allocate(2);
    cells.store(slot, -1);
    expect(cells.counted(slot)).toBe(2 ** 32 - 1);
    cells.count(slot);
    cells.count(slot);
    expect(cells.counted(slot)).toBe(2 ** 32 + 1);
  });

  test('what a dead lane held is taken out of the common count, once', () => {
    const cells = new SharedCells([], 2);
    const slot = cells.allocate(3);
    cells.add(slot, 7);
    cells.bump(slot + 1, 3);
    cells.bump(slot + 2, 4);
    cells.settle(slot, slot + 1);
    cells.settle(slot, slot + 1);
    expect(cells.load(slot)).toBe(4);
  });
});
