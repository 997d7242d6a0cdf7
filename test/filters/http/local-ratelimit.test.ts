import { expect, test } from 'vitest';
import { ConfigError } from '../../../src/filters/config-type.ts';
import { localRateLimit } from '../../../src/filters/http/local-ratelimit.ts';
import type { ConnectionInfo } from '../../../src/filters/stream-info.ts';
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

test('what is not enforced is told to the upstream', async () => {
  const more = {
    filterEnforced: {},
    requestHeadersToAddWhenNotEnforced: [{ header: { key: 'X-Limited', value: 'yes' } }],
  };
  const t = await testFilter(localRateLimit, { config: { ...config, ...more } });
  expect((await t.request({ headers })).headers!.get('x-limited')).toBeUndefined();
  expect((await t.next().request({ headers })).headers!.get('x-limited')).toBe('yes');
});

test('requests under one descriptor leave the buckets of others alone', async () => {
  const bucket = (maxTokens: number) => ({ maxTokens, fillInterval: '10s' });
  const of = (value: string, maxTokens: number) => ({ entries: [{ key: 'k', value }], tokenBucket: bucket(maxTokens) });
  const t = await testFilter(localRateLimit, {
    config: { ...config, tokenBucket: bucket(9), descriptors: [of('a', 1), of('b', 1)] },
    route: { rateLimitDescriptors: [[{ key: 'k', value: 'a' }]] },
  });
  const replies: unknown[] = [];
  for (let i = 0; i < 2; i++) replies.push((await t.next().request({ headers })).reply?.status);
  expect(replies).toEqual([undefined, 429]);
  await t.clock.advance(10_000);
  expect((await t.next().request({ headers })).reply).toBeUndefined();
});

test('descriptors come of its own rate limits, if it has any', async () => {
  const t = await testFilter(localRateLimit, {
    config: {
      ...config,
      tokenBucket: { maxTokens: 9, fillInterval: '10s' },
      descriptors: [
        {
          entries: [
            { key: 'source_cluster', value: 'here' },
            { key: 'k', value: 'v' },
          ],
          tokenBucket: config.tokenBucket,
        },
      ],
      rateLimits: [{ actions: [{ sourceCluster: {} }, { requestHeaders: { headerName: 'X', descriptorKey: 'k' } }] }],
    },
    node: { cluster: 'here' },
    route: { rateLimitDescriptors: [[{ key: 'k', value: 'v' }]] },
  });
  const status = async (x: string) => (await t.next().request({ headers: { ...headers, x } })).reply?.status;
  expect([await status('v'), await status('v'), await status('w')]).toEqual([undefined, 429, undefined]);
});

test('entries cannot run into one another', async () => {
  const t = await testFilter(localRateLimit, {
    config: {
      ...config,
      tokenBucket: { maxTokens: 9, fillInterval: '10s' },
      descriptors: [
        {
          entries: [
            { key: 'k', value: 'a' },
            { key: 'k', value: 'b' },
          ],
          tokenBucket: config.tokenBucket,
        },
      ],
    },
    route: { rateLimitDescriptors: [[{ key: 'k', value: 'a1 1 kb' }], [{ key: 'k', value: 'ab' }]] },
  });
  for (let i = 0; i < 3; i++) expect((await t.next().request({ headers })).reply).toBeUndefined();
});

test('each connection has buckets of its own, if so configured', async () => {
  const t = await testFilter(localRateLimit, { config: { ...config, localRateLimitPerDownstreamConnection: true } });
  const on = async (connection: ConnectionInfo): Promise<number | undefined> => {
    const stream = t.next();
    Object.assign(stream.info, { connection });
    return (await stream.request({ headers })).reply?.status;
  };
  const [first, second] = [{ ...t.info.connection }, { ...t.info.connection }];
  expect([await on(first), await on(second), await on(first)]).toEqual([undefined, undefined, 429]);
});

const entry = (value: string) => ({ entries: [{ key: 'a', value }], tokenBucket: config.tokenBucket });
const fast = { maxTokens: 1, fillInterval: '0.01s' };

test.each([
  [{ descriptors: [entry('b'), entry('c'), entry('b')] }, 'descriptors[2]'],
  [{ descriptors: [{ ...entry('b'), tokenBucket: fast }] }, 'descriptors[0].token_bucket.fill_interval'],
  [{ localClusterRateLimit: {} }, 'local_cluster_rate_limit'],
  [{ rateLimits: [{ actions: [{ remoteAddress: {} }], stage: 1 }] }, 'rate_limits[0]'],
  [
    { rateLimits: [{ actions: [{ remoteAddress: {} }, { extension: { name: 'x' } }] }] },
    'rate_limits[0].actions[1].extension',
  ],
  [
    { requestHeadersToAddWhenNotEnforced: [{ header: { key: ':path', value: '/' } }] },
    'request_headers_to_add_when_not_enforced[0].header.key',
  ],
  [{ tokenBucket: fast }, 'token_bucket.fill_interval'],
])('what it cannot enforce is refused: %j', async (more, path) => {
  const error: unknown = await testFilter(localRateLimit, { config: { ...config, ...more } }).catch(
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ConfigError);
  expect(error).toMatchObject({ path });
});
