import { expect, test } from 'vitest';
import { ConfigError } from '../../../src/filters/config-type.ts';
import { localRateLimit } from '../../../src/filters/http/local-ratelimit.ts';
import { testFilter } from '../../../src/filters/test-kit.ts';

const always = { defaultValue: { numerator: 100 } };
const config = {
  statPrefix: 'p',
  tokenBucket: { maxTokens: 1, fillInterval: '10s' },
  filterEnabled: always,
  filterEnforced: always,
};
const headers = { ':path': '/' };

test('what comes too fast is answered until the bucket has filled, and counted', async () => {
  const first = await testFilter(localRateLimit, {
    config: { ...config, enableXRatelimitHeaders: 'DRAFT_VERSION_03' },
  });
  expect((await first.request({ headers })).reply).toBeUndefined();
  const second = first.next();
  expect((await second.request({ headers })).reply).toMatchObject({ status: 429, body: 'local_rate_limited' });
  await first.clock.advance(4_000);
  const told = await second.response({ headers: { ':status': '429' } });
  expect([...told.headers!.entries()]).toEqual([
    ['x-ratelimit-limit', '1'],
    ['x-ratelimit-remaining', '0'],
    ['x-ratelimit-reset', '6'],
  ]);
  await first.clock.advance(6_000);
  expect((await first.next().request({ headers })).reply).toBeUndefined();
  const counted = ['enabled', 'ok', 'rate_limited', 'enforced'].map((name) =>
    first.stat(`p.http_local_rate_limit.${name}`),
  );
  expect(counted).toEqual([3, 2, 1, 1]);
});

test('what is not enforced, or not enabled, answers nothing', async () => {
  for (const off of [{ filterEnforced: {} }, { filterEnabled: {} }]) {
    const t = await testFilter(localRateLimit, { config: { ...config, ...off } });
    await t.request({ headers });
    expect((await t.next().request({ headers })).reply).toBeUndefined();
  }
});

test.each([
  [{ descriptors: [{ entries: [{ key: 'a', value: 'b' }], tokenBucket: config.tokenBucket }] }, 'descriptors'],
  [{ localRateLimitPerDownstreamConnection: true }, 'local_rate_limit_per_downstream_connection'],
  [{ tokenBucket: { maxTokens: 1, fillInterval: '0.01s' } }, 'token_bucket.fill_interval'],
])('what it cannot enforce is refused: %j', async (more, path) => {
  const error: unknown = await testFilter(localRateLimit, { config: { ...config, ...more } }).catch(
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ConfigError);
  expect(error).toMatchObject({ path });
});
