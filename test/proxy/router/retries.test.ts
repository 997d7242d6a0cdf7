import type { JsonObject } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { FakeHost } from '../../support/fake-cluster.ts';
import { RouterWorld, type FakeStream } from '../../support/fake-stream.ts';

const world = (retry: JsonObject, route: JsonObject = {}, virtualHost: JsonObject = {}): RouterWorld =>
  new RouterWorld({
    routes: [{ match: { prefix: '/' }, route: { cluster: 'a', retry_policy: retry, ...route } }],
    virtualHost: { include_attempt_count_in_response: true, ...virtualHost },
  });

/** Answers every attempt with `status` until the client has an answer; the number of attempts. */
function exhaust(at: RouterWorld, stream: FakeStream, status: number, fields: Record<string, string> = {}): number {
  for (let i = 1; i < 20; i++) {
    at.a.fakePool.last.respond(status, fields);
    if (stream.ended) return at.a.fakePool.streams.length;
    at.advance(1_000);
  }
  throw new Error('no end');
}

describe('retry conditions', () => {
  test.each([
    ['5xx', 500, {}, true],
    ['5xx', 404, {}, false],
    ['gateway-error', 502, {}, true],
    ['gateway-error', 500, {}, false],
    ['retriable-4xx', 409, {}, true],
    ['retriable-4xx', 404, {}, false],
    ['retriable-status-codes', 418, {}, true],
    ['retriable-status-codes', 419, {}, false],
    ['retriable-headers', 200, { 'x-again': 'yes' }, true],
    ['retriable-headers', 200, { 'x-again': 'no' }, false],
    ['envoy-ratelimited', 429, { 'x-envoy-ratelimited': 'true' }, true],
    ['5xx', 503, { 'x-envoy-ratelimited': 'true' }, false],
    // Unlike its documentation says, Envoy retries these.
    ['5xx', 503, { 'x-envoy-overloaded': 'true' }, true],
    ['cancelled', 200, { 'grpc-status': '1' }, true],
    ['deadline-exceeded', 200, { 'grpc-status': '4' }, true],
    ['resource-exhausted', 200, { 'grpc-status': '8' }, true],
    ['internal', 200, { 'grpc-status': '13' }, true],
    ['unavailable', 200, { 'grpc-status': '14' }, true],
    ['unavailable', 200, { 'grpc-status': '13' }, false],
    ['bogus,gateway-error', 504, {}, true],
  ])('%s on %i %j: %j', (retryOn, status, fields, retried) => {
    const at = world({
      retry_on: retryOn,
      retriable_status_codes: [418],
      retriable_headers: [{ name: 'x-again', string_match: { exact: 'yes' } }],
    });
    const stream = at.start('/');
    expect(exhaust(at, stream, status, fields)).toBe(retried ? 2 : 1);
    expect(stream.flags).toBe(retried ? 'URX' : '-');
    expect(at.count(`cluster.a.retry.upstream_rq_${status}`)).toBe(retried ? 1 : 0);
    expect(at.a.breakerOf.retries).toBe(0);
  });

  test.each([
    ['5xx', 'connection termination', true, true],
    ['gateway-error', 'remote reset', true, true],
    ['reset', 'protocol error', true, true],
    ['reset-before-request', 'remote reset', true, false],
    ['reset-before-request', 'remote connection failure', false, true],
    ['connect-failure', 'connection timeout', false, true],
    ['connect-failure', 'remote reset', true, false],
    ['refused-stream', 'remote refused stream reset', true, true],
    ['refused-stream', 'remote reset', true, false],
    ['reset', 'overflow', false, false],
    ['retriable-4xx', 'remote reset', true, false],
  ] as const)('%s on a reset by %s: %j %j', (retryOn, reason, connected, retried) => {
    const at = world({ retry_on: retryOn });
    at.a.fakePool.immediate = connected;
    const stream = at.start('/');
    if (connected) at.a.fakePool.last.break(reason);
    else at.a.fakePool.fail(reason as 'overflow');
    expect(stream.ended).toBe(!retried);
    at.a.fakePool.immediate = true;
    at.advance(1_000);
    if (retried) at.a.fakePool.last.respond(200);
    expect(stream.response?.status).toBe(retried ? 200 : undefined);
    expect(at.count('cluster.a.upstream_rq_retry_success')).toBe(retried ? 1 : 0);
  });

  test('the request can ask by its own headers', () => {
    const at = new RouterWorld();
    const headers = [
      ['x-envoy-retry-on', 'retriable-status-codes,retriable-headers'],
      ['x-envoy-retry-grpc-on', 'cancelled'],
      ['x-envoy-max-retries', '4'],
      ['x-envoy-retriable-status-codes', '200 , 500'],
      ['x-envoy-retriable-header-names', 'X-Again, x-other'],
    ] as const;
    expect(exhaust(at, at.start('/', { headers }), 500)).toBe(5);
    at.a.fakePool.streams.length = 0;
    expect(exhaust(at, at.start('/', { headers }), 204, { 'x-again': '' })).toBe(5);
    at.a.fakePool.streams.length = 0;
    expect(exhaust(at, at.start('/', { headers }), 204, { 'grpc-status': '1' })).toBe(5);
    at.a.fakePool.streams.length = 0;
    // Without a policy the default is one retry.
    expect(exhaust(at, at.start('/', { headers: [['x-envoy-retry-on', '5xx']] }), 500)).toBe(2);
  });

  test('retriable_request_headers limit the policy to requests that match', () => {
    const at = world({
      retry_on: '5xx',
      retriable_request_headers: [{ name: ':method', string_match: { exact: 'GET' } }],
    });
    expect(exhaust(at, at.start('/', { method: 'PUT' }), 500)).toBe(1);
    at.a.fakePool.streams.length = 0;
    expect(exhaust(at, at.start('/'), 500)).toBe(2);
  });
});

describe('the course of a retry', () => {
  test('full jitter over an interval that doubles up to its maximum', () => {
    const at = world({
      retry_on: '5xx',
      num_retries: 5,
      retry_back_off: { base_interval: '0.1s', max_interval: '0.3s' },
    });
    const stream = at.start('/');
    for (const waitMs of [50, 100, 150, 150]) {
      const before = at.a.fakePool.streams.length;
      at.a.fakePool.last.respond(500);
      at.advance(waitMs - 1);
      expect(at.a.fakePool.streams.length).toBe(before);
      at.advance(2);
      expect(at.a.fakePool.streams.length).toBe(before + 1);
    }
    at.a.fakePool.last.respond(200);
    expect(stream.response?.get('x-envoy-attempt-count')).toBe('5');
    expect(at.count('cluster.a.upstream_rq_retry_backoff_exponential')).toBe(4);
  });

  test('runtime sets the base interval of a policy that sets none', () => {
    const at = new RouterWorld({
      routes: [{ match: { prefix: '/' }, route: { cluster: 'a', retry_policy: { retry_on: '5xx' } } }],
      runtime: { 'upstream.base_retry_backoff_ms': 1000 },
    });
    at.start('/');
    at.a.fakePool.last.respond(500);
    at.advance(499);
    expect(at.a.fakePool.streams.length).toBe(1);
    at.advance(2);
    expect(at.a.fakePool.streams.length).toBe(2);
  });

  test('a rate-limited response says how long to wait', () => {
    const policy = {
      retry_on: '5xx',
      num_retries: 3,
      rate_limited_retry_back_off: {
        max_interval: '10s',
        reset_headers: [
          { name: 'x-reset-at', format: 'UNIX_TIMESTAMP' },
          { name: 'retry-after', format: 'SECONDS' },
        ],
      },
    };
    const at = world(policy);
    at.start('/');
    at.a.fakePool.last.respond(503, { 'retry-after': '2' });
    // 1 to 1.5 times; half of the jitter.
    at.advance(2_499);
    expect(at.a.fakePool.streams.length).toBe(1);
    at.advance(2);
    expect(at.a.fakePool.streams.length).toBe(2);
    at.a.fakePool.last.respond(503, { 'retry-after': '11' });
    at.advance(50);
    expect(at.a.fakePool.streams.length).toBe(3);
    at.a.fakePool.last.respond(503, { 'x-reset-at': String(Math.trunc(at.clock.epoch() / 1000) + 4) });
    at.advance(4_999);
    expect(at.a.fakePool.streams.length).toBe(3);
    at.advance(1_002);
    expect(at.a.fakePool.streams.length).toBe(4);
    expect(at.count('cluster.a.upstream_rq_retry_backoff_ratelimited')).toBe(2);
    expect(at.count('cluster.a.upstream_rq_retry_backoff_exponential')).toBe(1);
  });

  test('the headers of a retry tell of it, and of the time that is left', () => {
    const at = world(
      { retry_on: '5xx', per_try_timeout: '10s' },
      {},
      {
        include_request_attempt_count: true,
        include_is_timeout_retry_header: true,
      },
    );
    at.start('/', { headers: [['x-first', '1']] });
    at.advance(6_000);
    at.a.fakePool.last.respond(500);
    at.advance(13);
    expect([...at.a.fakePool.last.headers.entries()].slice(2)).toEqual([
      ['x-envoy-expected-rq-timeout-ms', '8988'],
      ['x-envoy-attempt-count', '2'],
      ['x-envoy-is-timeout-retry', 'false'],
    ]);
  });

  test('wire bytes of all attempts add up', () => {
    const at = world({ retry_on: '5xx' });
    const stream = at.start('/');
    exhaust(at, stream, 500);
    expect([stream.info.upstreamWireBytesSent, stream.info.upstreamWireBytesReceived]).toEqual([200, 100]);
  });

  test('an earlier response is dropped unread', () => {
    const at = world({ retry_on: '5xx' });
    const stream = at.start('/');
    at.a.fakePool.last.respondHeaders(500);
    expect(at.a.fakePool.last.resetReason).toBe('local reset');
    at.a.fakePool.last.respondData('late', true);
    at.advance(100);
    at.a.fakePool.last.respond(200, {}, 'ok');
    expect([stream.response?.status, stream.body]).toEqual([200, 'ok']);
  });

  test('no room for a retry: the response goes out, with UO', () => {
    const at = world(
      { retry_on: '5xx' },
      {},
      { virtual_clusters: [{ name: 'vc', headers: [{ name: ':path', present_match: true }] }] },
    );
    at.a.breakerOf.retryLimit = 0;
    const stream = at.start('/');
    at.a.fakePool.last.respond(503);
    expect([stream.response?.status, stream.flags]).toEqual([503, 'UO']);
    expect(at.count('cluster.a.upstream_rq_retry_overflow')).toBe(1);
    expect(at.count('vhost.v.vcluster.vc.upstream_rq_retry_overflow')).toBe(1);
  });

  test('the last of several failed connections is named in the body', () => {
    const at = world({ retry_on: 'connect-failure', num_retries: 1 });
    at.a.fakePool.immediate = false;
    const stream = at.start('/');
    at.a.fakePool.fail('connection timeout');
    at.advance(100);
    at.a.fakePool.fail('remote connection failure');
    expect(stream.reply?.body).toBe(
      'upstream connect error or disconnect/reset before headers. retried and the latest reset reason: remote connection failure',
    );
    expect(stream.reply?.headers).toEqual([['x-envoy-attempt-count', '2']]);
    expect(stream.flags).toBe('UF,URX');
    expect(at.count('cluster.a.upstream_rq_retry_limit_exceeded')).toBe(1);
    expect(at.a.hosts[0]!.errors).toBe(2);
  });

  test('the cluster may have gone, or lost its hosts, by the time of the retry', () => {
    const at = world({ retry_on: '5xx' });
    const stream = at.start('/');
    at.a.fakePool.last.respond(500);
    at.a.hosts = [];
    at.advance(100);
    expect(stream.replied).toBe('503 no healthy upstream');
    expect(at.a.breakerOf.retries).toBe(0);
  });
});

describe('which host a retry goes to', () => {
  const hostsOf = (at: RouterWorld): string[] => at.a.fakePool.streams.map(({ host }) => host.address);
  const predicate = (name: string, message: string, config: JsonObject = {}): JsonObject => ({
    retry_on: '5xx',
    num_retries: 2,
    host_selection_retry_max_attempts: 5,
    retry_host_predicate: [
      {
        name: `envoy.retry_host_predicates.${name}`,
        typed_config: { '@type': `type.googleapis.com/envoy.extensions.retry.host.${name}.v3.${message}`, ...config },
      },
    ],
  });

  test('previous_hosts: none that was tried before', () => {
    const at = world(predicate('previous_hosts', 'PreviousHostsPredicate'));
    const [h1, h2, h3] = [1, 2, 3].map((n) => new FakeHost(`10.1.0.${n}:80`));
    // Round robin alone would come back to the first.
    at.a.hosts = [h1!, h1!, h2!, h1!, h2!, h3!];
    exhaust(at, at.start('/'), 500);
    expect(hostsOf(at)).toEqual(['10.1.0.1:80', '10.1.0.2:80', '10.1.0.3:80']);
  });

  test('omit_host_metadata: none with these labels', () => {
    const config = { metadata_match: { filter_metadata: { 'envoy.lb': { slow: true } } } };
    const at = world(predicate('omit_host_metadata', 'OmitHostMetadataConfig', config));
    const [h1, h2, h3] = [1, 2, 3].map((n) => new FakeHost(`10.1.0.${n}:80`));
    h1!.metadata = { 'envoy.lb': { slow: true } };
    h2!.metadata = { 'envoy.lb': { slow: true, more: 1 } };
    at.a.hosts = [h1!, h2!, h3!];
    exhaust(at, at.start('/'), 500);
    // The first attempt may go anywhere.
    expect(hostsOf(at)).toEqual(['10.1.0.1:80', '10.1.0.3:80', '10.1.0.3:80']);
  });

  test('when every host is rejected, one of them has to do', () => {
    const at = world(predicate('previous_hosts', 'PreviousHostsPredicate'));
    exhaust(at, at.start('/'), 500);
    expect(hostsOf(at)).toEqual(['10.1.0.1:80', '10.1.0.1:80', '10.1.0.1:80']);
  });
});
