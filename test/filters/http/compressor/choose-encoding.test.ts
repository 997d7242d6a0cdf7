import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { chooseEncoding } from '../../../../src/filters/http/compressor/choose-encoding.ts';

const offer = (encoding: string, chooseFirst = false) => ({ encoding, chooseFirst });
const all = [offer('br'), offer('zstd'), offer('gzip')];

describe('chooseEncoding', () => {
  test.each([
    ['gzip', 'gzip', 'compressor'],
    ['gzip, br', 'gzip', 'compressor'],
    ['gzip;q=0.5, br;q=0.8', 'br', 'compressor'],
    ['gzip ; Q=0.5,br ; q= 0.8', 'br', 'compressor'],
    ['gzip;q=x, br;q=0.1', 'br', 'compressor'],
    ['gzip;level=9', 'gzip', 'compressor'],
    ['deflate, gzip;q=0.1', 'gzip', 'compressor'],
    ['identity', 'identity', 'identity'],
    ['identity;q=0.5, gzip;q=0.4', 'identity', 'identity'],
    ['*', 'br', 'wildcard'],
    ['br;q=0, *', 'zstd', 'wildcard'],
    ['br;q=0, zstd;q=0, gzip;q=0, *', 'identity', 'not-valid'],
    ['gzip;q=0', 'identity', 'not-valid'],
    ['GZIP', 'identity', 'not-valid'],
    ['deflate', 'identity', 'not-valid'],
    [', ,', 'identity', 'not-valid'],
    ['', 'identity', 'not-valid'],
  ])('%j -> %s (%s)', (accept, encoding, reason) => {
    expect(chooseEncoding(accept, all)).toEqual({ encoding, reason });
  });

  test('chooseFirst wins a draw', () => {
    expect(chooseEncoding('gzip, br', [offer('gzip'), offer('br', true)]).encoding).toBe('br');
    expect(chooseEncoding('gzip, br;q=0.9', [offer('gzip'), offer('br', true)]).encoding).toBe('gzip');
  });

  test('nothing is offered: nothing is chosen', () => {
    expect(chooseEncoding('gzip, *', [])).toEqual({ encoding: 'identity', reason: 'not-valid' });
  });

  test('never chooses what is not offered or was refused', () => {
    const item = fc.tuple(
      fc.constantFrom('gzip', 'br', 'zstd', 'deflate', 'identity', '*', ''),
      fc.constantFrom('', ';q=0', ';q=0.5', ';q=1', ';q='),
    );
    fc.assert(
      fc.property(fc.array(item), (items) => {
        const { encoding } = chooseEncoding(items.map((parts) => parts.join('')).join(','), all);
        if (encoding === 'identity') return;
        expect(all.map((each) => each.encoding)).toContain(encoding);
        expect(items.some(([name, q]) => name === encoding && q === ';q=0')).toBe(false);
        expect(items.some(([name]) => name === encoding || name === '*')).toBe(true);
      }),
    );
  });
});
