import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../../src/filters/config-type.ts';
import { headerMutation } from '../../../src/filters/http/header-mutation.ts';
import { testFilter } from '../../../src/filters/test-kit.ts';

const append = (key: string, value: string, appendAction = 'APPEND_IF_EXISTS_OR_ADD', extra: object = {}) => ({
  append: { header: { key, value }, appendAction, ...extra },
});
const level = (name: string) => ({
  mutations: {
    requestMutations: [append('x-lvl', name), append('x-set', name, 'OVERWRITE_IF_EXISTS_OR_ADD')],
    responseMutations: [append('x-lvl', name)],
  },
});

describe('header mutation', () => {
  /** As Envoy 1.40 sent it upstream. */
  test('every action, in order', async () => {
    const requestMutations = [
      append('x-a', 'r1'),
      append('X-B', '%REQ(x-q)%|%REQ(nope)%|%START_TIME(%Y)%'),
      append('x-new', 'new', 'ADD_IF_ABSENT'),
      append('x-a', 'not this', 'ADD_IF_ABSENT'),
      append('x-ow', 'o2', 'OVERWRITE_IF_EXISTS_OR_ADD'),
      append('x-owe', 'o3', 'OVERWRITE_IF_EXISTS'),
      append('x-none', 'not this', 'OVERWRITE_IF_EXISTS'),
      { remove: 'X-RM' },
      append('x-empty', '%REQ(nope)%'),
      append('x-keep', '%REQ(nope)%', undefined, { keepEmptyValue: true }),
    ];
    using t = await testFilter(headerMutation, { config: { mutations: { requestMutations } } });
    const { headers } = await t.request({
      headers: { ':path': '/', 'x-q': 'q', 'x-rm': '1', 'x-a': 'a0', 'x-ow': 'o', 'x-owe': 'o' },
    });
    expect([...headers!.entries()]).toEqual([
      ['x-q', 'q'],
      ['x-a', 'a0'],
      ['x-a', 'r1'],
      ['x-b', 'q||2026'],
      ['x-new', 'new'],
      ['x-ow', 'o2'],
      ['x-owe', 'o3'],
      ['x-keep', ''],
    ]);
  });

  test('responses see both messages', async () => {
    const responseMutations = [append('x-resp', '%RESP(x-r)%-%REQ(x-q)%-%RESPONSE_CODE%'), { remove: 'x-r' }];
    using t = await testFilter(headerMutation, { config: { mutations: { responseMutations } } });
    await t.request({ headers: { 'x-q': 'q' } });
    t.info.responseCode = 200;
    const { headers } = await t.response({ headers: { ':status': '200', 'x-r': 'h\xc3\xa9' } });
    expect([...headers!.entries()]).toEqual([['x-resp', 'h\xc3\xa9-q-200']]);
  });

  test.each([
    [false, ['filter', 'route', 'vhost', 'config'], 'config'],
    [true, ['filter', 'config', 'vhost', 'route'], 'route'],
  ])('all levels apply; mostSpecificHeaderMutationsWins: %s', async (mostSpecificHeaderMutationsWins, order, last) => {
    using t = await testFilter(headerMutation, {
      config: { ...level('filter'), mostSpecificHeaderMutationsWins },
      routeConfigs: [level('config'), level('vhost'), level('route')],
    });
    const request = await t.request({ headers: {} });
    expect(request.headers?.getAll('x-lvl')).toEqual(order);
    expect(request.headers?.getAll('x-set')).toEqual([last]);
    expect((await t.response({ headers: {} })).headers?.getAll('x-lvl')).toEqual(order);
  });

  test('keeps off streams that it has nothing to do on', async () => {
    using t = await testFilter(headerMutation);
    expect(t.filter).toBeUndefined();
  });

  test.each([
    [append(':path', '/x'), 'mutations.request_mutations[0].append.header.key'],
    [append('Host', 'x'), 'mutations.request_mutations[0].append.header.key'],
    [{ remove: ':path' }, 'mutations.request_mutations[0].remove'],
    [append('x', '%FOO%'), 'mutations.request_mutations[0].append.header.value'],
  ])('refuses %j', async (mutation, path) => {
    const config = { mutations: { requestMutations: [mutation] } };
    const error = await testFilter(headerMutation, { config }).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as ConfigError).path).toBe(path);
  });
});
