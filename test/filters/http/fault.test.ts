import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../../src/filters/config-type.ts';
import { fault } from '../../../src/filters/http/fault.ts';
import { ResponseFlag } from '../../../src/filters/response-flags.ts';
import { settled } from '../../../src/filters/test-kit/kit-clock.ts';
import { testFilter, type FilterTestOptions } from '../../../src/filters/test-kit.ts';

const always = { numerator: 100 };
const get = { headers: { ':method': 'GET', ':path': '/' } };
const withHeaders = (headers: Record<string, string>) => ({ headers: { ...get.headers, ...headers } });
const faultTest = (config: unknown, options: FilterTestOptions = {}) => testFilter(fault, { config, ...options });
const aborting = { status: 418, body: 'fault filter abort', details: 'fault_filter_abort' };
const abort418 = { abort: { httpStatus: 418, percentage: always } };

describe('abort', () => {
  test('an HTTP status', async () => {
    using t = await faultTest({ abort: { httpStatus: 503, percentage: always } });
    expect((await t.request(get)).reply).toEqual({ ...aborting, status: 503 });
    expect(t.info.flags).toBe(ResponseFlag.FI);
    expect(t.info.dynamicMetadata.get('envoy.filters.http.fault')).toEqual({});
    expect(t.stat('http.test.fault.aborts_injected')).toBe(1);
  });

  test('a gRPC status goes out with 200', async () => {
    using t = await faultTest({ abort: { grpcStatus: 5, percentage: always } });
    expect((await t.request(get)).reply).toEqual({ ...aborting, status: 200, grpcStatus: 5 });
  });

  test.each([
    [{ 'x-envoy-fault-abort-request': '429' }, { ...aborting, status: 429 }],
    [{ 'x-envoy-fault-abort-grpc-request': '7' }, { ...aborting, status: 200, grpcStatus: 7 }],
    [
      { 'x-envoy-fault-abort-request': '429', 'x-envoy-fault-abort-grpc-request': '7' },
      { ...aborting, status: 429 },
    ],
    [{ 'x-envoy-fault-abort-request': '199' }, undefined],
    [{ 'x-envoy-fault-abort-request': '600' }, undefined],
    [{ 'x-envoy-fault-abort-request': 'x' }, undefined],
    [{}, undefined],
    [{ 'x-envoy-fault-abort-request': '429', 'x-envoy-fault-abort-request-percentage': '0' }, undefined],
  ])('by request header: %j', async (headers, reply) => {
    using t = await faultTest({ abort: { headerAbort: {}, percentage: always } });
    expect((await t.request(withHeaders(headers))).reply).toEqual(reply);
  });

  test('the percentage decides; the header can only lower it', async () => {
    const config = { abort: { headerAbort: {}, percentage: { numerator: 5000, denominator: 'TEN_THOUSAND' } } };
    const reply = async (random: number, percentage: string): Promise<unknown> => {
      using t = await faultTest(config, { random });
      const headers = { 'x-envoy-fault-abort-request': '418', 'x-envoy-fault-abort-request-percentage': percentage };
      return (await t.request(withHeaders(headers))).reply;
    };
    expect(await reply(0.49, '9000')).toEqual(aborting);
    expect(await reply(0.5, '9000')).toBeUndefined();
    expect(await reply(0.1, '1000')).toBeUndefined();
    expect(await reply(0.099, '1000')).toEqual(aborting);
  });

  test('0 % by default', async () => {
    using t = await faultTest({ abort: { httpStatus: 418 } });
    expect((await t.request(get)).reply).toBeUndefined();
  });
});

describe('delay', () => {
  test('holds the request for its time', async () => {
    using t = await faultTest({ delay: { fixedDelay: '0.2s', percentage: always } });
    let done = false;
    const request = t.request(get).finally(() => (done = true));
    await t.clock.advance(199);
    expect(done).toBe(false);
    await t.clock.advance(1);
    expect((await request).reply).toBeUndefined();
    expect(t.info.flags).toBe(ResponseFlag.DI);
    expect(t.stat('http.test.fault.delays_injected')).toBe(1);
  });

  test('by request header', async () => {
    using t = await faultTest({ delay: { headerDelay: {}, percentage: always } });
    const request = t.request(withHeaders({ 'x-envoy-fault-delay-request': '300' }));
    await t.clock.advance(300);
    await request;
    expect(t.info.flags).toBe(ResponseFlag.DI);
    using other = t.next();
    await other.request(withHeaders({ 'x-envoy-fault-delay-request': '0' }));
    await other.request(get);
    expect(other.info.flags).toBe(0);
  });

  test('then aborts', async () => {
    using t = await faultTest({
      delay: { fixedDelay: '0.1s', percentage: always },
      ...abort418,
      filterMetadata: { k: 'v' },
    });
    const request = t.request(get);
    await t.clock.advance(100);
    expect((await request).reply).toEqual(aborting);
    expect(t.info.flags).toBe(ResponseFlag.DI | ResponseFlag.FI);
    expect(t.info.dynamicMetadata.get('envoy.filters.http.fault')).toEqual({ k: 'v' });
    // Both faults count as one active fault.
    expect(t.stat('http.test.fault.active_faults')).toBe(1);
    t.end();
    expect(t.stat('http.test.fault.active_faults')).toBe(0);
  });

  test('is given up when the stream ends', async () => {
    using t = await faultTest({ delay: { fixedDelay: '5s', percentage: always }, ...abort418 });
    const request = t.request(get);
    await settled();
    t.end();
    expect((await request).reply).toBeUndefined();
    expect(t.stat('http.test.fault.aborts_injected')).toBe(0);
    expect(t.stat('http.test.fault.active_faults')).toBe(0);
  });
});

describe('which requests', () => {
  const aborts = async (config: object, options: FilterTestOptions, headers: Record<string, string> = {}) => {
    using t = await faultTest({ ...abort418, ...config }, options);
    return (await t.request(withHeaders(headers))).reply !== undefined;
  };

  test('upstream_cluster', async () => {
    expect(await aborts({ upstreamCluster: 'c' }, { route: { clusterName: 'c' } })).toBe(true);
    expect(await aborts({ upstreamCluster: 'c' }, { route: { clusterName: 'd' } })).toBe(false);
    expect(await aborts({ upstreamCluster: 'c' }, { route: false })).toBe(false);
  });

  test('downstream_nodes', async () => {
    const config = { downstreamNodes: ['n1', 'n2'] };
    expect(await aborts(config, {}, { 'x-envoy-downstream-service-node': 'n2' })).toBe(true);
    expect(await aborts(config, {}, { 'x-envoy-downstream-service-node': 'n3' })).toBe(false);
    expect(await aborts(config, {})).toBe(false);
  });

  test('headers', async () => {
    const config = {
      headers: [
        { name: 'X-F', stringMatch: { exact: '1' } },
        { name: 'x-g', presentMatch: false },
      ],
    };
    expect(await aborts(config, {}, { 'x-f': '1' })).toBe(true);
    expect(await aborts(config, {}, { 'x-f': '1', 'x-g': '' })).toBe(false);
    expect(await aborts(config, {}, { 'x-f': '2' })).toBe(false);
  });

  test('max_active_faults', async () => {
    using first = await faultTest({ ...abort418, maxActiveFaults: 1 });
    expect((await first.request(get)).reply).toBeDefined();
    using second = first.next();
    expect((await second.request(get)).reply).toBeUndefined();
    expect(first.stat('http.test.fault.faults_overflow')).toBe(1);
    first.end();
    using third = first.next();
    expect((await third.request(get)).reply).toBeDefined();
  });

  test('runtime keys override percentages, statuses, durations and bounds', async () => {
    const reply = async (runtime: Record<string, number>, headers: Record<string, string> = {}) => {
      using t = await faultTest(abort418, { runtime, random: 0.5 });
      return (await t.request(withHeaders(headers))).reply?.status;
    };
    const cluster = { 'x-envoy-downstream-service-cluster': 'web' };
    expect(await reply({ 'fault.http.abort.abort_percent': 50 })).toBeUndefined();
    expect(await reply({ 'fault.http.abort.abort_percent': 51 })).toBe(418);
    expect(await reply({ 'fault.http.abort.http_status': 500 })).toBe(500);
    expect(await reply({ 'fault.http.max_active_faults': 0 })).toBeUndefined();
    expect(
      await reply({ 'fault.http.abort.abort_percent': 0, 'fault.http.web.abort.abort_percent': 100 }, cluster),
    ).toBe(418);
    expect(await reply({ 'fault.http.web.abort.http_status': 501 }, cluster)).toBe(501);
  });

  test('the delay of a downstream cluster', async () => {
    using t = await faultTest(
      { delay: { fixedDelay: '10s', percentage: always } },
      { runtime: { 'fault.http.web.delay.fixed_duration_ms': 7 } },
    );
    const request = t.request(withHeaders({ 'x-envoy-downstream-service-cluster': 'web' }));
    await t.clock.advance(7);
    await request;
    expect(t.stat('http.test.fault.web.delays_injected')).toBe(1);
  });

  test('disable_downstream_cluster_stats', async () => {
    using t = await faultTest({ ...abort418, disableDownstreamClusterStats: true });
    await t.request(withHeaders({ 'x-envoy-downstream-service-cluster': 'web' }));
    expect(t.stat('http.test.fault.web.aborts_injected')).toBe(0);
    expect(t.stat('http.test.fault.aborts_injected')).toBe(1);
  });

  test("the most specific route config replaces the filter's", async () => {
    using t = await faultTest(abort418, { routeConfigs: [{}, { abort: { httpStatus: 404, percentage: always } }] });
    expect((await t.request(get)).reply?.status).toBe(404);
    using off = await faultTest(abort418, { routeConfig: {} });
    expect(off.filter).toBeUndefined();
  });
});

describe('response rate limit', () => {
  const response = (bytes: number) => ({
    headers: { ':status': '200' },
    body: [Buffer.alloc(bytes), Buffer.alloc(bytes)],
  });

  test('a body takes the time that its rate allows, less a first slice of 50 ms', async () => {
    using t = await faultTest({ responseRateLimit: { fixedLimit: { limitKbps: 100 }, percentage: always } });
    await t.request(get);
    let done = false;
    const sent = t.response(response(51_200)).finally(() => (done = true));
    await t.clock.advance(949);
    expect(done).toBe(false);
    await t.clock.advance(2);
    expect((await sent).chunks).toHaveLength(2);
    expect(t.stat('http.test.fault.response_rl_injected')).toBe(1);
    expect(t.stat('http.test.fault.active_faults')).toBe(1);
  });

  test('by request header, and not without it', async () => {
    using t = await faultTest({ responseRateLimit: { headerLimit: {}, percentage: always } });
    await t.request(withHeaders({ 'x-envoy-fault-throughput-response': '1' }));
    let done = false;
    void t.response(response(100)).finally(() => (done = true));
    await settled();
    expect(done).toBe(false);
    using free = t.next();
    await free.request(get);
    expect((await free.response(response(1_000_000))).chunks).toHaveLength(2);
  });
});

test('a bad header matcher is a config error that says where', async () => {
  const config = { headers: [{ name: 'a' }, { name: 'b', safeRegexMatch: { regex: '(' } }] };
  const error = await faultTest(config).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(ConfigError);
  expect((error as ConfigError).path).toBe('headers[1]');
});
