import type { JsonObject } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { RouterWorld, type FakeStream } from '../../support/fake-stream.ts';

const world = (route: JsonObject = {}, rest: JsonObject = {}): RouterWorld =>
  new RouterWorld({ routes: [{ match: { prefix: '/' }, route: { cluster: 'a', ...route }, ...rest }] });
const RETRY = { retry_policy: { retry_on: '5xx', num_retries: 2 } };
const post = (at: RouterWorld): FakeStream => at.start('/', { method: 'POST', endStream: false });

describe('a body that nobody may need again', () => {
  test('is streamed as it comes', () => {
    const at = world();
    const stream = post(at);
    stream.data('one');
    expect([at.a.fakePool.last.body, at.a.fakePool.last.requestEnded]).toEqual(['one', false]);
    stream.data('two', true);
    expect([at.a.fakePool.last.body, at.a.fakePool.last.requestEnded]).toEqual(['onetwo', true]);
  });

  test('with trailers', () => {
    const at = world();
    const stream = post(at);
    stream.data('one');
    stream.sendRequestTrailers([['x-sum', '1']]);
    expect([at.a.fakePool.last.trailers?.get('x-sum'), at.a.fakePool.last.requestEnded]).toEqual(['1', true]);
  });

  test('waits, unharmed, for a connection', () => {
    const at = world();
    at.a.fakePool.immediate = false;
    const stream = post(at);
    const long = 'x'.repeat(20_000);
    stream.data('one');
    stream.data(long);
    stream.sendRequestTrailers([['x-sum', '1']]);
    const upstream = at.a.fakePool.ready();
    expect([upstream.body, upstream.trailers?.get('x-sum')]).toEqual([`one${long}`, '1']);
    upstream.respond(200);
    expect(stream.response?.status).toBe(200);
  });

  test('an end without data is an end', () => {
    const at = world();
    at.a.fakePool.immediate = false;
    const stream = post(at);
    stream.data('', true);
    const upstream = at.a.fakePool.ready();
    expect([upstream.body, upstream.requestEnded]).toEqual(['', true]);
  });

  test('stops its source when it outgrows the limit while it waits', () => {
    const at = world({}, { per_request_buffer_limit_bytes: 10 });
    at.a.fakePool.immediate = false;
    const stream = post(at);
    stream.data('0123456789');
    expect(stream.requestPauses).toBe(0);
    stream.data('x');
    stream.data('y');
    expect(stream.requestPauses).toBe(1);
    at.a.fakePool.ready();
    expect(stream.requestPauses).toBe(0);
    expect(at.a.fakePool.last.body).toBe('0123456789xy');
  });
});

test('a source that was stopped is let go when the connection fails', () => {
  const at = world({}, { per_request_buffer_limit_bytes: 10 });
  at.a.fakePool.immediate = false;
  const stream = post(at);
  stream.data('0123456789x');
  expect(stream.requestPauses).toBe(1);
  at.a.fakePool.fail('remote connection failure');
  expect([stream.reply?.status, stream.requestPauses]).toEqual([503, 0]);
});

describe('a body that may be sent again', () => {
  test('is sent again, whole', () => {
    const at = world(RETRY);
    const stream = post(at);
    stream.data('one');
    stream.data('two', true);
    at.a.fakePool.last.respond(503);
    at.advance(1_000);
    const again = at.a.fakePool.last;
    expect([at.a.fakePool.streams.length, again.body, again.requestEnded]).toEqual([2, 'onetwo', true]);
  });

  test('while it is still coming', () => {
    const at = world(RETRY);
    const stream = post(at);
    stream.data('one');
    at.a.fakePool.last.break('connection termination');
    stream.data('two');
    at.advance(1_000);
    expect(at.a.fakePool.last.body).toBe('onetwo');
    stream.data('three', true);
    expect([at.a.fakePool.last.body, at.a.fakePool.last.requestEnded]).toEqual(['onetwothree', true]);
  });

  test('is not kept beyond the limit: no retry then', () => {
    const at = world(RETRY, { per_request_buffer_limit_bytes: 5 });
    const stream = post(at);
    stream.data('12345');
    stream.data('6', true);
    expect(at.count('cluster.a.retry_or_shadow_abandoned')).toBe(1);
    at.a.fakePool.last.respond(503);
    expect([stream.response?.status, at.a.fakePool.last.body]).toEqual([503, '123456']);
    expect(at.count('cluster.a.upstream_rq_retry')).toBe(0);
  });

  test('507 when it outgrows the limit during a back-off', () => {
    const at = world(RETRY, { per_request_buffer_limit_bytes: 5 });
    const stream = post(at);
    stream.data('12345');
    at.a.fakePool.last.break('remote reset');
    stream.data('6');
    expect(stream.replied).toBe('507 exceeded request buffer limit while retrying upstream');
    expect(stream.reply?.details).toBe('request_payload_exceeded_retry_buffer_limit');
    expect(at.a.breakerOf.retries).toBe(0);
    at.advance(1_000);
    expect(at.a.fakePool.streams.length).toBe(1);
  });

  test('a retry without a body has no body', () => {
    const at = world(RETRY);
    at.start('/');
    at.a.fakePool.last.respond(500);
    at.advance(1_000);
    expect(at.a.fakePool.last.requestEnded).toBe(true);
  });
});

describe('backpressure', () => {
  test('a slow upstream stops the request, once it drains it goes on', () => {
    const at = world();
    const stream = post(at);
    at.a.fakePool.last.writable = false;
    stream.data('one');
    expect(stream.requestPauses).toBe(1);
    expect(at.count('cluster.a.upstream_flow_control_backed_up_total')).toBe(1);
    at.a.fakePool.last.drain();
    expect(stream.requestPauses).toBe(0);
    expect(at.count('cluster.a.upstream_flow_control_drained_total')).toBe(1);
  });

  test('an attempt that ends lets the request go', () => {
    const at = world();
    const stream = post(at);
    at.a.fakePool.last.writable = false;
    stream.data('one');
    at.a.fakePool.last.break('remote reset');
    expect(stream.requestPauses).toBe(0);
  });

  test('a slow client stops the upstream, also if it was slow before the response', () => {
    const at = world();
    const stream = at.start('/');
    stream.router.pauseResponse();
    stream.router.pauseResponse();
    stream.router.resumeResponse();
    expect(at.a.fakePool.last.pauses).toBe(0);
    at.a.fakePool.last.respondHeaders(200);
    expect(at.a.fakePool.last.pauses).toBe(1);
    stream.router.resumeResponse();
    stream.router.pauseResponse();
    expect(at.a.fakePool.last.pauses).toBe(1);
    expect(at.count('cluster.a.upstream_flow_control_paused_reading_total')).toBe(2);
    expect(at.count('cluster.a.upstream_flow_control_resumed_reading_total')).toBe(1);
  });
});

describe('upgrades', () => {
  const upgrade = (at: RouterWorld, protocol: string): FakeStream => at.start('/', { protocol, endStream: false });

  test('the payload waits until the upstream has agreed; then there is no timeout', () => {
    const at = world({ timeout: '1s', retry_policy: { per_try_timeout: '0.5s', per_try_idle_timeout: '0.4s' } });
    const stream = upgrade(at, 'websocket');
    stream.data('early');
    expect(at.a.fakePool.last.body).toBe('');
    at.a.fakePool.last.respondHeaders(101);
    expect([stream.response?.status, at.a.fakePool.last.body]).toEqual([101, 'early']);
    stream.data('later');
    at.advance(10_000);
    at.a.fakePool.last.respondData('pong', false);
    expect([at.a.fakePool.last.body, stream.body, stream.ended]).toEqual(['earlylater', 'pong', false]);
  });

  test('a handshake that takes too long times out', () => {
    const at = world({ timeout: '1s' });
    const stream = upgrade(at, 'websocket');
    at.advance(1_001);
    expect(stream.reply?.status).toBe(504);
  });

  test('an error is passed on, anything else is no handshake', () => {
    const at = world();
    const refused = upgrade(at, 'websocket');
    at.a.fakePool.last.respond(403, {}, 'no');
    expect([refused.response?.status, refused.body]).toEqual([403, 'no']);
    const odd = upgrade(at, 'websocket');
    at.a.fakePool.last.respond(200, { 'x-a': '1' }, 'what?');
    expect([odd.replied, odd.reply?.details]).toEqual(['200 ', 'websocket_handshake_unsuccessful']);
    expect(odd.reply?.headers).toContainEqual(['x-a', '1']);
    const other = upgrade(at, 'foo');
    at.a.fakePool.last.respond(200, {}, 'fine');
    expect([other.response?.status, other.body]).toEqual([200, 'fine']);
  });
});
