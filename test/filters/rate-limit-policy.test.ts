import { describe, expect, test } from 'vitest';
import type { RateLimitDescriptor } from '../../src/filters/http/filter.ts';
import { HeaderMap } from '../../src/proxy/http/headers.ts';
import { RateLimitPolicy, type RateLimitSubject } from '../../src/filters/rate-limit-policy.ts';
import { buildRoutes, streamInfo } from '../support/route-table.ts';

/** Reads `rate_limits` as a virtual host has them. */
function policy(rateLimits: readonly object[]): RateLimitPolicy | undefined {
  const { model, errors, unsupported } = buildRoutes({
    virtual_hosts: [{ name: 'v', domains: ['*'], rate_limits: rateLimits as never }],
  });
  expect([errors, unsupported]).toEqual([[], []]);
  return RateLimitPolicy.of(model.virtualHosts[0]!.rateLimits);
}

function describeRequest(
  actions: readonly object[],
  headers: Readonly<Record<string, string>> = {},
  subject: Partial<RateLimitSubject> = {},
): readonly RateLimitDescriptor[] {
  const fields = new HeaderMap();
  for (const [name, value] of Object.entries(headers)) fields.append(name, value);
  const descriptors: RateLimitDescriptor[] = [];
  policy([{ actions }])!.describe(
    0,
    {
      headers: fields,
      info: streamInfo(),
      sourceCluster: 'here',
      destinationCluster: 'there',
      routeMetadata: undefined,
      ...subject,
    },
    descriptors,
  );
  return descriptors;
}

const withIp = (ip: string) => ({ info: Object.assign(streamInfo(), { downstreamRemoteIp: ip }) });

describe('an action', () => {
  test.each<[string, object, Record<string, string>, Partial<RateLimitSubject>, object | undefined]>([
    ['source_cluster', { source_cluster: {} }, {}, {}, { key: 'source_cluster', value: 'here' }],
    ['destination_cluster', { destination_cluster: {} }, {}, {}, { key: 'destination_cluster', value: 'there' }],
    ['generic_key', { generic_key: { descriptor_value: 'ä' } }, {}, {}, { key: 'generic_key', value: 'Ã¤' }],
    [
      'remote_address',
      { remote_address: {} },
      {},
      withIp('2001:db8::1'),
      { key: 'remote_address', value: '2001:db8::1' },
    ],
    ['remote_address of a socket file', { remote_address: {} }, {}, withIp(''), undefined],
    [
      'masked_remote_address',
      { masked_remote_address: { v6_prefix_mask_len: 64 } },
      {},
      withIp('2001:abcd:ef01:2345:6789:abcd:ef01:234'),
      { key: 'masked_remote_address', value: '2001:abcd:ef01:2345::/64' },
    ],
    ['masked_remote_address of a socket file', { masked_remote_address: {} }, {}, withIp(''), undefined],
    [
      'request_headers',
      { request_headers: { header_name: 'Host', descriptor_key: 'k' } },
      { ':authority': 'a.test' },
      {},
      { key: 'k', value: 'a.test' },
    ],
    ['request_headers, absent', { request_headers: { header_name: 'x', descriptor_key: 'k' } }, {}, {}, undefined],
  ])('%s', (_name, action, headers, subject, entry) => {
    expect(describeRequest([action], headers, subject)).toEqual(entry === undefined ? [] : [[entry]]);
  });

  test('that may be left out leaves the others', () => {
    const skipped = { request_headers: { header_name: 'x', descriptor_key: 'k', skip_if_absent: true } };
    expect(describeRequest([skipped, { source_cluster: {} }])).toEqual([[{ key: 'source_cluster', value: 'here' }]]);
  });

  test('metadata takes texts only, of the stream or of the route', () => {
    const info = streamInfo();
    info.dynamicMetadata.set('f', { a: { b: 'text', n: 1 } });
    const routeMetadata = { f: { a: { b: 'route' } } };
    const action = (path: readonly string[], more: object = {}): object => ({
      metadata: { descriptor_key: 'k', metadata_key: { key: 'f', path: path.map((key) => ({ key })) }, ...more },
    });
    const value = (each: object) => describeRequest([each], {}, { info, routeMetadata })[0]?.[0]?.value;
    expect(value(action(['a', 'b']))).toBe('text');
    expect(value(action(['a', 'b'], { source: 'ROUTE_ENTRY' }))).toBe('route');
    expect(value(action(['a', 'n']))).toBeUndefined();
    expect(value(action(['a', 'n'], { default_value: 'd' }))).toBe('d');
    expect(value(action(['b', 'toString', 'name']))).toBeUndefined();
  });
});

test('limits of another stage, and those that can be disabled, describe nothing', () => {
  const actions = [{ source_cluster: {} }];
  const limits = policy([{ actions }, { actions, stage: 2 }, { actions, stage: 2 }, { actions, disable_key: 'x' }]);
  const count = (stage: number): number => {
    const descriptors: RateLimitDescriptor[] = [];
    const subject = { headers: new HeaderMap(), info: streamInfo(), sourceCluster: '', destinationCluster: '' };
    limits!.describe(stage, { ...subject, routeMetadata: undefined }, descriptors);
    return descriptors.length;
  };
  expect([count(0), count(1), count(2)]).toEqual([1, 0, 2]);
});

test('none is no policy', () => {
  expect(policy([])).toBeUndefined();
});

test('a descriptor extension is refused, and an override is named', () => {
  const { errors, unsupported } = buildRoutes({
    virtual_hosts: [
      {
        name: 'v',
        domains: ['*'],
        rate_limits: [
          {
            actions: [{ extension: { name: 'x' } }],
            limit: { dynamic_metadata: { metadata_key: { key: 'k' } } },
          },
        ],
      },
    ],
  });
  expect(errors).toEqual([
    'virtual_hosts[0].rate_limits[0].actions[0].extension: unsupported: rate limit descriptor extensions are not implemented',
  ]);
  expect(unsupported).toEqual(['virtual_hosts[0].rate_limits[0].limit']);
});
