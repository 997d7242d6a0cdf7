import type { JsonObject } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import type { HeaderList } from '../../../src/filters/headers.ts';
import { request, streamInfo, tableOf } from '../../support/route-table.ts';

function matches(matcher: JsonObject, headers: HeaderList): boolean {
  const table = tableOf([
    { match: { prefix: '/', headers: [{ name: 'X', ...matcher }] }, direct_response: { status: 200 } },
  ]);
  return table.resolve(request('/', { headers }), streamInfo(), 0) !== undefined;
}

describe('a header matcher', () => {
  test.each([
    [{ string_match: { exact: 'a' } }, ['a'], ['A', 'ab', '']],
    [{ string_match: { exact: 'a', ignore_case: true } }, ['a', 'A'], ['ab']],
    [{ string_match: { exact: '' } }, [''], ['a']],
    [{ string_match: { prefix: 'ab' } }, ['ab', 'abc'], ['a', 'cab']],
    [{ string_match: { prefix: 'AB', ignore_case: true } }, ['abc'], ['ba']],
    [{ string_match: { suffix: 'ab' } }, ['ab', 'cab'], ['abc']],
    [{ string_match: { suffix: 'AB', ignore_case: true } }, ['cab'], ['abc']],
    [{ string_match: { contains: 'ab' } }, ['ab', 'cabd'], ['acb']],
    [{ string_match: { contains: 'AB', ignore_case: true } }, ['cabd'], ['acb']],
    [{ string_match: { safe_regex: { regex: '[a-c]+' } } }, ['abc'], ['abcd', '']],
    [{ exact_match: 'a' }, ['a'], ['b']],
    [{ exact_match: '' }, ['', 'anything'], []],
    [{ prefix_match: 'a' }, ['ab'], ['ba']],
    [{ suffix_match: 'a' }, ['ba'], ['ab']],
    [{ contains_match: 'a' }, ['bab'], ['b']],
    [{ safe_regex_match: { regex: 'a+' } }, ['aa'], ['ab']],
    [{ range_match: { start: -10, end: 0 } }, ['-1', '-10', ' -3 ', '-0000002'], ['0', '-11', 'x', '', '-1.5', '-1x']],
    [{ present_match: true }, ['', 'a'], []],
    [{ present_match: false }, [], ['', 'a']],
    [{}, ['', 'a'], []],
    [{ string_match: { exact: 'caf\u00e9' } }, ['caf\xc3\xa9'], ['caf\xe9']],
  ] as [JsonObject, string[], string[]][])('%j', (matcher, matching, others) => {
    for (const value of matching) {
      expect([value, matches(matcher, [['x', value]])]).toEqual([value, true]);
      expect([value, matches({ ...matcher, invert_match: true }, [['x', value]])]).toEqual([value, false]);
    }
    for (const value of others) {
      expect([value, matches(matcher, [['x', value]])]).toEqual([value, false]);
      expect([value, matches({ ...matcher, invert_match: true }, [['x', value]])]).toEqual([value, true]);
    }
  });

  test('on an absent header', () => {
    const exact = { string_match: { exact: '' } };
    expect(matches(exact, [])).toBe(false);
    expect(matches({ ...exact, invert_match: true }, [])).toBe(false);
    expect(matches({ ...exact, treat_missing_header_as_empty: true }, [])).toBe(true);
    expect(matches({ ...exact, treat_missing_header_as_empty: true, invert_match: true }, [])).toBe(false);
    expect(matches({ present_match: true }, [])).toBe(false);
    expect(matches({ present_match: true, invert_match: true }, [])).toBe(true);
    expect(matches({ present_match: false }, [])).toBe(true);
    expect(matches({ present_match: false, invert_match: true }, [])).toBe(false);
    const asEmpty = { treat_missing_header_as_empty: true };
    expect(matches({ present_match: true, ...asEmpty }, [])).toBe(true);
    expect(matches({ present_match: false, ...asEmpty }, [])).toBe(false);
    expect(matches({ present_match: true, invert_match: true, ...asEmpty }, [])).toBe(false);
  });

  test('tests each of several fields by itself', () => {
    const both: HeaderList = [
      ['x', 'a'],
      ['x', 'b'],
    ];
    expect(matches({ string_match: { exact: 'b' } }, both)).toBe(true);
    expect(matches({ string_match: { exact: 'b' }, invert_match: true }, both)).toBe(false);
    expect(matches({ string_match: { exact: 'c' }, invert_match: true }, both)).toBe(true);
    expect(matches({ string_match: { contains: ',' } }, both)).toBe(false);
  });

  test('sees the pseudo-headers', () => {
    expect(matches({ name: ':method', string_match: { exact: 'GET' } }, [])).toBe(true);
    expect(matches({ name: ':authority', string_match: { exact: 'example.com' } }, [])).toBe(true);
    expect(matches({ name: 'Host', string_match: { exact: 'example.com' } }, [])).toBe(true);
  });
});
