import { expect, test } from 'vitest';
import { SeededRandom, SystemRandom } from '../../../src/lib/random.ts';
import { traceReason, UuidSource, withTraceReason } from '../../../src/proxy/http/request-id.ts';

test('makes distinct UUIDs of version 4, over more than one batch', () => {
  const source = new UuidSource(new SystemRandom());
  const ids = new Set<string>();
  for (let i = 0; i < 1000; i++) {
    const id = source.next();
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    ids.add(id);
  }
  expect(ids.size).toBe(1000);
});

test('every random digit varies', () => {
  const source = new UuidSource(new SeededRandom(7));
  const seen = Array.from({ length: 36 }, () => new Set<string>());
  for (let i = 0; i < 500; i++) Array.from(source.next()).forEach((digit, at) => seen[at]!.add(digit));
  const sizes = seen.map(({ size }) => size);
  expect(sizes.filter((_, at) => ![8, 13, 14, 18, 19, 23].includes(at)).every((size) => size === 16)).toBe(true);
  expect([sizes[14], sizes[19]]).toEqual([1, 4]);
});

test.each([
  ['9', 'sampling'],
  ['a', 'service-forced'],
  ['b', 'client-forced'],
  ['4', 'not-traceable'],
] as const)('digit %s tells the reason %s', (digit, reason) => {
  const id = `12345678-1234-${digit}234-9234-123456789012`;
  expect(traceReason(id)).toBe(reason);
  expect(withTraceReason('12345678-1234-4234-9234-123456789012', reason)).toBe(id);
});

test('an id that is no UUID carries no reason', () => {
  expect(traceReason('123456789012349')).toBe('not-traceable');
  expect(withTraceReason('abc', 'sampling')).toBe('abc');
});
