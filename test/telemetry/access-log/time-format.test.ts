import { describe, expect, test } from 'vitest';
import { compileTime } from '../../../src/telemetry/access-log/time-format.ts';

const time = Date.UTC(2026, 10, 21, 3, 46, 4) + 341.748;

describe('time formats', () => {
  /** With what Envoy 1.40 printed for this time. */
  test.each([
    ['', '2026-11-21T03:46:04.341Z'],
    ['%Y/%m/%d %H:%M:%S %s', '2026/11/21 03:46:04 1795232764'],
    ['%f %3f %6f %9f %1f %5f', '341748000 341 341748 341748000 3 34174'],
    ['%E3S %E*S %E3f %E*f', '04.341 04.341748 341 341748'],
    ['%j %a %A %b %B %h %U %W %V', '325 Sat Saturday Nov November Nov 46 46 47'],
    ['%e|%k|%l|%I %p %P', '21| 3| 3|03 AM am'],
    ['%Z %z %Ez %:z', 'UTC +0000 +00:00 +00:00'],
    ['%D %F %T %R %r', '11/21/26 2026-11-21 03:46:04 03:46 03:46:04 AM'],
    ['%c %x %X', 'Sat Nov 21 03:46:04 2026 11/21/26 03:46:04'],
    ['%y %C %G %g %u %w %E4Y %ET', '26 20 2026 26 6 6 2026 T'],
    ['%+ %L %N %i %q %Q %% 5', '%+ %L %N %i %q %Q % 5'],
  ])('%s', (format, text) => {
    expect(compileTime(format)(time)).toBe(text);
  });

  test('the cached second is not carried into the next one, nor back', () => {
    const format = compileTime('%S.%3f');
    expect([0, 999.9, 1000, 999].map(format)).toEqual(['00.000', '00.999', '01.000', '00.999']);
  });

  test.each([
    [Date.UTC(2026, 0, 1), '1 2026 01 00 00'],
    [Date.UTC(2024, 11, 30), '365 2025 01 52 53'],
    [Date.UTC(2027, 0, 3, 23), '3 2026 53 01 00'],
  ])('weeks around new year: %d', (at, text) => {
    expect(compileTime('%j %G %V %U %W')(at).replace(/^0+/, '')).toBe(text);
  });

  test('local time says its offset', () => {
    expect(compileTime('', true)(time)).toMatch(/^2026-11-2[012]T\d\d:\d\d:04\.341[+-]\d{4}$/);
  });
});
