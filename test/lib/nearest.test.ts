import { expect, test } from 'vitest';
import { nearest, suggestion } from '../../src/lib/nearest.ts';

test.each([
  ['lb_polcy', 'lb_policy'],
  ['lbPolicy', 'lb_policy'],
  ['LB-POLICY', 'lb_policy'],
  ['nmae', 'name'],
  ['connecttimeout', 'connect_timeout'],
  ['conect_timeot', 'connect_timeout'],
  ['idd', 'id'],
  ['x', undefined],
  ['something', undefined],
  ['', undefined],
])('%s -> %s', (word, found) => {
  expect(nearest(word, ['lb_policy', 'name', 'connect_timeout', 'id'])).toBe(found);
});

test('the closest wins, the first of equals', () => {
  expect(nearest('abcdef', ['abcxyf', 'abcdex', 'abcdey'])).toBe('abcdex');
});

test('suggestion', () => {
  expect(suggestion('nmae', ['name'])).toBe(" (did you mean 'name'?)");
  expect(suggestion('zzz', ['name'])).toBe('');
});
