import { expect, test, vi } from 'vitest';
import { ClaimLatch } from '../../src/xds/claim-latch.ts';

test('everybody who waits is told once', () => {
  const latch = new ClaimLatch(() => {});
  const onReady = vi.fn<() => void>();
  const claim = latch.claim(onReady);
  latch.claim(onReady);
  expect(claim.isReady).toBe(false);
  latch.setReady();
  latch.setReady();
  expect(claim.isReady).toBe(true);
  expect(onReady).toHaveBeenCalledTimes(2);
  const late = vi.fn<() => void>();
  expect(latch.claim(late).isReady).toBe(true);
  latch.setReady();
  expect(late).not.toHaveBeenCalled();
});

test('a claim that was closed is not told, and the last one ends it', () => {
  const onUnused = vi.fn<() => void>();
  const latch = new ClaimLatch(onUnused);
  const onReady = vi.fn<() => void>();
  const first = latch.claim(onReady);
  const second = latch.claim(() => first.close());
  const third = latch.claim(() => {});
  third.close();
  third.close();
  first.close();
  expect(onUnused).not.toHaveBeenCalled();
  latch.setReady();
  expect(onReady).not.toHaveBeenCalled();
  second.close();
  expect(onUnused).toHaveBeenCalledTimes(1);
});

test('who lets go while others are told is told no more', () => {
  const latch = new ClaimLatch(() => {});
  const onReady = vi.fn<() => void>();
  latch.claim(() => second.close());
  const second = latch.claim(onReady);
  latch.setReady();
  expect(onReady).not.toHaveBeenCalled();
});
