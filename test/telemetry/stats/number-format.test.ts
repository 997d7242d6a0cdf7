import { expect, test } from 'vitest';
import {
  formatCount,
  formatGeneral,
  formatJsonNumber,
  formatShortest,
} from '../../../src/telemetry/stats/number-format.ts';

test.each([
  [0.5, '0.5'],
  [600_000, '600000'],
  [1_800_000, '1.8e+06'],
  [3_600_000, '3.6e+06'],
  [0, '0'],
  [99.5, '99.5'],
  [0.00001, '1e-05'],
  [NaN, 'nan'],
  [1 / 3, '0.333333'],
])('%%g of %d is %s', (value, text) => {
  expect(formatGeneral(value)).toBe(text);
});

test('32 digits are exact', () => {
  expect(formatGeneral(0.1, 32)).toBe('0.10000000000000000555111512312578');
  expect(formatGeneral(3_600_000, 32)).toBe('3600000');
  expect(formatGeneral(159.48211443297230971, 32)).toBe('159.4821144329723097143869381398');
});

test('shortest texts', () => {
  expect(formatShortest(3.033333333333333)).toBe('3.033333333333333');
  expect(formatShortest(1e16)).toBe('1e+16');
  expect(formatShortest(0.00001)).toBe('1e-05');
  expect(formatShortest(Infinity)).toBe('inf');
});

test('JSON takes the shorter notation', () => {
  expect([0.5, 10_000, 60_000, 300_000, 600_000, 1_800_000].map(formatJsonNumber)).toEqual([
    '0.5',
    '10000',
    '60000',
    '3e+05',
    '6e+05',
    '1800000',
  ]);
  expect(formatJsonNumber(NaN)).toBe('null');
});

test('counts are whole and at most 2^64 - 1', () => {
  expect(formatCount(-0)).toBe('0');
  expect(formatCount(12.7)).toBe('12');
  expect(formatCount(2 ** 64)).toBe('18446744073709551615');
  expect(formatCount(2 ** 53)).toBe('9007199254740992');
});
