import { expect, test } from 'vitest';
import { ConfigError } from '../../../src/filters/config-type.ts';
import { cors } from '../../../src/filters/http/cors.ts';
import { testFilter } from '../../../src/filters/test-kit.ts';

const A = 'http://a.test';
const policy = { allowOriginStringMatch: [{ exact: A }], allowMethods: 'GET', exposeHeaders: 'x-c', maxAge: '60' };
const route = { clusterName: 'c' };
const preflight = { ':method': 'OPTIONS', ':path': '/', origin: A, 'access-control-request-method': 'PUT' };

test('a preflight request is answered, each field by the most specific policy that has it', async () => {
  const routeConfigs = [policy, { allowMethods: '*', allowCredentials: true }];
  using t = await testFilter(cors, { routeConfigs, route });
  const { reply } = await t.request({ headers: preflight });
  expect(reply).toEqual({
    status: 200,
    details: 'cors_response',
    headers: [
      ['access-control-allow-origin', A],
      ['access-control-allow-credentials', 'true'],
      ['access-control-allow-methods', 'PUT'],
      ['access-control-max-age', '60'],
    ],
  });
  expect(t.stat('http.test.cors.origin_valid')).toBe(1);
});

test('a response names the origin that may see it, and nothing for others', async () => {
  const answer = async (origin: string) => {
    using t = await testFilter(cors, { routeConfig: policy, route });
    await t.request({ headers: { ':method': 'GET', ':path': '/', origin } });
    const { headers } = await t.response({ headers: { ':status': '200', 'access-control-allow-origin': 'upstream' } });
    return [...headers!.entries()];
  };
  expect(await answer(A)).toEqual([
    ['access-control-allow-origin', A],
    ['access-control-expose-headers', 'x-c'],
  ]);
  expect(await answer('http://b.test')).toEqual([['access-control-allow-origin', 'upstream']]);
});

test.each([
  ['off', { ...policy, filterEnabled: { defaultValue: {} } }, 0],
  [
    'shadowed',
    { ...policy, filterEnabled: { defaultValue: {} }, shadowEnabled: { defaultValue: { numerator: 100 } } },
    1,
  ],
])('a policy that is %s answers nothing', async (_, routeConfig, counted) => {
  using t = await testFilter(cors, { routeConfig, route });
  expect((await t.request({ headers: preflight })).reply).toBeUndefined();
  expect(t.stat('http.test.cors.origin_valid')).toBe(counted);
});

test('without a policy, or where the route leads to no cluster, it keeps off', async () => {
  expect((await testFilter(cors, { route })).filter).toBeUndefined();
  expect((await testFilter(cors, { routeConfig: policy })).filter).toBeUndefined();
});

test('a bad regex is refused with its path', async () => {
  const routeConfig = { allowOriginStringMatch: [{ safeRegex: { regex: '(' } }] };
  const error: unknown = await testFilter(cors, { routeConfig, route }).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ConfigError);
  expect(error).toMatchObject({ path: 'allow_origin_string_match[0]' });
});
