import type { JsonObject } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { HeaderMap } from '../../../src/proxy/http/headers.ts';
import {
  grpcTimeout,
  isGrpcRequest,
  parseUnsigned,
  setGrpcTimeout,
  streamDuration,
} from '../../../src/proxy/router/timeouts.ts';
import type { ForwardAction } from '../../../src/proxy/router/route.ts';
import { RouterWorld } from '../../support/fake-stream.ts';

const world = (route: JsonObject, rest: Partial<ConstructorParameters<typeof RouterWorld>[0]> = {}): RouterWorld =>
  new RouterWorld({ routes: [{ match: { prefix: '/' }, route: { cluster: 'a', ...route } }], ...rest });

describe('the global timeout', () => {
  test('504 UT; the attempt is given up and charged', () => {
    const at = world({ timeout: '0.5s' });
    const stream = at.start('/');
    at.advance(499);
    expect(stream.ended).toBe(false);
    at.advance(2);
    expect(stream.replied).toBe('504 upstream request timeout');
    expect([stream.flags, stream.reply?.details]).toEqual(['UT', 'response_timeout']);
    expect(at.a.fakePool.last.resetReason).toBe('local reset');
    expect(at.count('cluster.a.upstream_rq_timeout')).toBe(1);
    expect(at.count('cluster.a.upstream_rq_504')).toBe(1);
    expect([at.a.hosts[0]!.timeouts, at.a.hosts[0]!.errors]).toEqual([1, 1]);
  });

  test('it starts when the request is complete', () => {
    const at = world({ timeout: '0.5s' });
    const stream = at.start('/', { method: 'POST', endStream: false });
    at.advance(10_000);
    stream.data('x', true);
    at.advance(499);
    expect(stream.ended).toBe(false);
    at.advance(2);
    expect(stream.reply?.status).toBe(504);
  });

  test('it covers the whole response', () => {
    const at = world({ timeout: '0.5s' });
    const stream = at.start('/');
    at.a.fakePool.last.respondHeaders(200);
    at.advance(501);
    expect(stream.reply?.details).toBe('response_timeout');
    // The response has been charged already.
    expect([at.count('cluster.a.upstream_rq_504'), at.count('cluster.a.upstream_rq_timeout')]).toEqual([0, 1]);
  });

  test('it fires in a back-off as well', () => {
    const at = world({ timeout: '0.5s', retry_policy: { retry_on: '5xx', retry_back_off: { base_interval: '5s' } } });
    const stream = at.start('/');
    at.a.fakePool.last.respond(500);
    at.advance(501);
    expect(stream.reply?.status).toBe(504);
    expect(at.a.breakerOf.retries).toBe(0);
    at.advance(10_000);
    expect(at.a.fakePool.streams.length).toBe(1);
  });

  test('0 is none, a header overrides it, another asks for 204', () => {
    const at = world({ timeout: '0s' });
    const endless = at.start('/');
    expect(at.a.fakePool.last.headers.has('x-envoy-expected-rq-timeout-ms')).toBe(false);
    const stream = at.start('/', {
      headers: [
        ['x-envoy-upstream-rq-timeout-ms', '200'],
        ['x-envoy-upstream-rq-timeout-alt-response', '1'],
      ],
    });
    expect(at.a.fakePool.last.headers.get('x-envoy-expected-rq-timeout-ms')).toBe('200');
    at.advance(100_000);
    expect([stream.replied, stream.flags]).toEqual(['204 ', 'UT']);
    expect(at.a.hosts[0]!.errors).toBe(1);
    expect(endless.ended).toBe(false);
  });

  test('respect_expected_rq_timeout: what the peer expects counts', () => {
    const at = world({}, { options: { respectExpectedRqTimeout: true } });
    const stream = at.start('/', { headers: [['x-envoy-expected-rq-timeout-ms', '300']] });
    expect(at.a.fakePool.last.headers.get('x-envoy-expected-rq-timeout-ms')).toBe('300');
    at.advance(301);
    expect(stream.reply?.status).toBe(504);
  });
});

describe('per-try timeouts', () => {
  test('each try has its own, from its connection on', () => {
    const at = world({ timeout: '2s', retry_policy: { retry_on: '5xx', per_try_timeout: '0.3s' } });
    at.a.fakePool.immediate = false;
    const stream = at.start('/');
    expect(at.a.fakePool.waiting.length).toBe(1);
    at.advance(1_000);
    const first = at.a.fakePool.ready();
    expect(first.headers.get('x-envoy-expected-rq-timeout-ms')).toBe('300');
    at.advance(301);
    expect(first.resetReason).toBe('local reset');
    at.advance(13);
    at.a.fakePool.ready();
    at.advance(301);
    expect(stream.replied).toBe('504 upstream request timeout');
    expect([stream.flags, stream.reply?.details]).toEqual(['URX,UT', 'upstream_per_try_timeout']);
    expect(at.count('cluster.a.upstream_rq_per_try_timeout')).toBe(2);
    expect(at.count('cluster.a.upstream_rq_timeout')).toBe(0);
  });

  test('one that is no shorter than the global timeout is ignored', () => {
    const at = world({ timeout: '0.3s', retry_policy: { retry_on: '5xx', per_try_timeout: '0.3s' } });
    const stream = at.start('/');
    at.advance(301);
    expect(stream.reply?.details).toBe('response_timeout');
  });

  test('it has no effect once the response has begun', () => {
    const at = world({ timeout: '0s', retry_policy: { retry_on: '5xx', per_try_timeout: '0.3s' } });
    const stream = at.start('/');
    at.a.fakePool.last.respondHeaders(200);
    at.advance(301);
    at.a.fakePool.last.respondData('ok', true);
    expect([stream.body, stream.reply]).toEqual(['ok', undefined]);
  });

  test('the idle one counts from the last byte, and ends a response that has begun', () => {
    const at = world({ retry_policy: { retry_on: 'reset', num_retries: 0, per_try_idle_timeout: '0.3s' } });
    const stream = at.start('/');
    at.advance(200);
    at.a.fakePool.last.respondHeaders(200);
    at.advance(200);
    at.a.fakePool.last.respondData('x', false);
    at.advance(299);
    expect(stream.ended).toBe(false);
    at.advance(2);
    expect([stream.flags, stream.reply?.details]).toEqual(['UT', 'upstream_per_try_idle_timeout']);
    expect(at.count('cluster.a.upstream_rq_per_try_idle_timeout')).toBe(1);
  });
});

describe('hedging', () => {
  const hedged = {
    timeout: '1s',
    hedge_policy: { hedge_on_per_try_timeout: true },
    retry_policy: { retry_on: '5xx', num_retries: 1, per_try_timeout: '0.3s' },
  };

  test('a late first attempt may still win', () => {
    const at = world(hedged);
    const stream = at.start('/');
    expect(at.a.fakePool.last.headers.get('x-envoy-expected-rq-timeout-ms')).toBe('1000');
    at.advance(301);
    at.advance(13);
    const [first, second] = at.a.fakePool.streams;
    expect([first?.isOpen, second?.isOpen]).toEqual([true, true]);
    first!.respond(200, {}, 'first');
    expect([stream.body, second!.resetReason]).toEqual(['first', 'local reset']);
    expect(at.a.breakerOf.retries).toBe(0);
  });

  test('a bad answer waits for the other attempt', () => {
    const at = world(hedged);
    const stream = at.start('/');
    at.advance(320);
    const [first, second] = at.a.fakePool.streams;
    first!.respond(503);
    expect(stream.ended).toBe(false);
    second!.respond(200, {}, 'second');
    expect(stream.body).toBe('second');
  });

  test('both late: the global timeout ends them', () => {
    const at = world(hedged);
    const stream = at.start('/');
    at.advance(1_001);
    expect([stream.reply?.status, stream.flags]).toEqual([504, 'URX,UT']);
    expect(at.count('cluster.a.upstream_rq_timeout')).toBe(2);
    expect(at.a.fakePool.open).toBe(0);
  });

  test('both reset: the last one answers', () => {
    const at = world(hedged);
    const stream = at.start('/');
    at.advance(320);
    at.a.fakePool.streams[0]!.break('remote reset');
    expect(stream.ended).toBe(false);
    at.a.fakePool.streams[1]!.break('connection termination');
    expect(stream.reply?.details).toContain('connection_termination');
  });

  test('the request can turn it off', () => {
    const at = world(hedged);
    at.start('/', { headers: [['x-envoy-hedge-on-per-try-timeout', 'false']] });
    at.advance(301);
    expect(at.a.fakePool.last.resetReason).toBe('local reset');
  });
});

describe('the longest life of an upstream stream', () => {
  test('of the cluster: 504 UMSDR, not charged', () => {
    const at = world({}, { cluster: { maxStreamDurationMs: 300 } });
    const stream = at.start('/');
    at.advance(301);
    expect(stream.replied).toBe('504 upstream max stream duration reached');
    expect([stream.flags, stream.reply?.details]).toEqual(['UMSDR', 'upstream_max_stream_duration_reached']);
    expect(at.count('cluster.a.upstream_rq_max_duration_reached')).toBe(1);
    expect(at.count('cluster.a.upstream_rq_504')).toBe(0);
  });

  test('of the request itself, 408 while it is still coming', () => {
    const at = world({});
    const stream = at.start('/', { endStream: false, headers: [['x-envoy-upstream-stream-duration-ms', '200']] });
    at.advance(201);
    expect(stream.reply?.status).toBe(408);
  });
});

describe('gRPC timeouts', () => {
  test.each([
    ['5S', 5_000],
    ['1H', 3_600_000],
    ['2M', 120_000],
    ['7m', 7],
    ['1500u', 2],
    ['1n', 1],
    ['123456789S', undefined],
    ['5', undefined],
    ['S', undefined],
  ])('%s is %j ms', (text, ms) => {
    expect(grpcTimeout(HeaderMap.of([['grpc-timeout', text]]))).toBe(ms);
  });

  test.each([
    [0, '0m'],
    [99_999_999, '99999999m'],
    [100_000_000, '100000S'],
    [100_000_000_000, '1666666M'],
    [6_000_000_000_000_000, '99999999H'],
  ])('%i ms is written %s', (ms, text) => {
    const headers = new HeaderMap();
    setGrpcTimeout(headers, ms);
    expect(headers.get('grpc-timeout')).toBe(text);
  });

  test('content types', () => {
    const is = (type: string): boolean => isGrpcRequest(HeaderMap.of([['content-type', type]]));
    expect([
      is('application/grpc'),
      is('application/grpc+proto'),
      is('application/grpc-web'),
      is('text/plain'),
    ]).toEqual([true, true, false, false]);
  });

  const action = (fields: Partial<ForwardAction>): ForwardAction => fields as ForwardAction;

  test('a stream lasts as long as grpc-timeout asks, within the route and less its offset', () => {
    const headers = HeaderMap.of([['grpc-timeout', '20S']]);
    const of = (fields: Partial<ForwardAction>): number => streamDuration(action(fields), headers.clone(), 7);
    expect(of({ grpcTimeoutHeaderMaxMs: 10_000 })).toBe(10_000);
    expect(of({ grpcTimeoutHeaderMaxMs: 0 })).toBe(20_000);
    expect(of({ grpcTimeoutHeaderMaxMs: 0, grpcTimeoutHeaderOffsetMs: 500 })).toBe(19_500);
    expect(of({ grpcTimeoutHeaderMaxMs: 300, grpcTimeoutHeaderOffsetMs: 500 })).toBe(1);
    expect(of({ maxStreamDurationMs: 40 })).toBe(40);
    expect(of({ maxStreamDurationMs: 0 })).toBe(0);
    expect(of({})).toBe(7);
    streamDuration(action({ grpcTimeoutHeaderMaxMs: 10_000 }), headers, 0);
    expect(headers.get('grpc-timeout')).toBe('10000m');
  });

  test('a route that limits the stream has no timeout of its own', () => {
    const at = world({ timeout: '0.1s', max_stream_duration: { max_stream_duration: '9s' } });
    const stream = at.start('/');
    at.advance(200);
    expect(stream.ended).toBe(false);
    expect(at.a.fakePool.last.headers.has('x-envoy-expected-rq-timeout-ms')).toBe(false);
  });
});

test.each([
  ['17', 17],
  [' 17 ', 17],
  ['+5', 5],
  ['-5', undefined],
  ['', undefined],
  ['1e3', undefined],
  ['18446744073709551616', undefined],
])('parseUnsigned(%j) is %j', (text, value) => {
  expect(parseUnsigned(text)).toBe(value);
});
