import type { JsonObject } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { RouterWorld } from '../../support/fake-stream.ts';

const world = (policy: JsonObject = {}, runtime: Record<string, number> = {}): RouterWorld =>
  new RouterWorld({
    routes: [
      { match: { prefix: '/' }, route: { cluster: 'a', request_mirror_policies: [{ cluster: 'b', ...policy }] } },
    ],
    runtime,
  });

describe('request mirroring', () => {
  test('a copy goes to the mirror, marked as such; its response goes nowhere', () => {
    const at = world();
    const stream = at.start('/', { authority: 'foo.com:99', headers: [['x-a', '1']] });
    const original = at.a.fakePool.last.headers;
    const copy = at.b.fakePool.last.headers;
    expect([original.authority, copy.authority]).toEqual(['foo.com:99', 'foo.com-shadow:99']);
    expect([...copy.entries()].slice(0, -2)).toEqual([...original.entries()]);
    expect([...copy.entries()].slice(-2)).toEqual([
      ['x-envoy-internal', 'true'],
      ['x-forwarded-for', at.config.localAddress],
    ]);
    at.b.fakePool.last.respond(500, {}, 'ignored');
    expect(stream.ended).toBe(false);
    at.a.fakePool.last.respond(200, {}, 'ok');
    expect([stream.response?.status, stream.body]).toEqual([200, 'ok']);
    expect(at.count('cluster.b.internal.upstream_rq_500')).toBe(1);
    expect([at.count('http.async-client.rq_total'), at.count('http.p.rq_total')]).toEqual([1, 1]);
  });

  test('the body is streamed to both; a mirror that is done sending outlives its original', () => {
    const at = world();
    const stream = at.start('/', { method: 'POST', endStream: false });
    stream.data('one');
    stream.sendRequestTrailers([['x-sum', '1']]);
    const mirror = at.b.fakePool.last;
    expect([mirror.body, mirror.trailers?.get('x-sum'), mirror.requestEnded]).toEqual(['one', '1', true]);
    at.a.fakePool.last.respond(200);
    expect(stream.ended).toBe(true);
    expect(mirror.isOpen).toBe(true);
    mirror.respond(200);
    expect(mirror.isOpen).toBe(false);
  });

  test('it has the timeout of its original', () => {
    const at = world();
    at.start('/');
    at.a.fakePool.last.respond(200);
    at.advance(15_001);
    expect(at.b.fakePool.last.resetReason).toBe('local reset');
    expect(at.count('cluster.b.upstream_rq_timeout')).toBe(1);
  });

  test('a copy whose original stops midway is given up', () => {
    const at = world();
    const stream = at.start('/', { method: 'POST', endStream: false });
    stream.data('one');
    stream.abort();
    expect(at.b.fakePool.last.resetReason).toBe('local reset');
  });

  test('a slow mirror slows the request, and lets it go when it ends', () => {
    const at = world();
    const stream = at.start('/', { method: 'POST', endStream: false });
    at.b.fakePool.last.writable = false;
    stream.data('one');
    expect(stream.requestPauses).toBe(1);
    at.b.fakePool.last.break('remote reset');
    expect(stream.requestPauses).toBe(0);
    stream.data('two', true);
    expect([at.a.fakePool.last.body, at.b.fakePool.last.body]).toEqual(['onetwo', 'one']);
  });

  test.each([
    ['by fraction', { runtime_fraction: { default_value: { numerator: 40 } } }, {}, 0],
    ['by fraction', { runtime_fraction: { default_value: { numerator: 60 } } }, {}, 1],
    ['by runtime', { runtime_fraction: { runtime_key: 'm', default_value: { numerator: 100 } } }, { m: 0 }, 0],
    ['to a cluster that is not there', { cluster: 'gone' }, {}, 0],
    ['without a suffix', { disable_shadow_host_suffix_append: true }, {}, 1],
  ] as const)('%s', (_name, policy, runtime, copies) => {
    const at = world(policy, runtime);
    // 2^31 + 50: 50 modulo 100 is 98 of it, so a draw is picked that is 50 modulo 100.
    at.chance = 2_000_000_050 / 2 ** 32;
    at.start('/');
    expect(at.b.fakePool.streams.length).toBe(copies);
    if ('disable_shadow_host_suffix_append' in policy) expect(at.b.fakePool.last.headers.authority).toBe('example.com');
  });

  test('a header names the mirror; an IPv6 authority keeps its brackets', () => {
    const at = world({ cluster: '', cluster_header: 'x-mirror' });
    at.start('/');
    expect(at.b.fakePool.streams.length).toBe(0);
    at.start('/', {
      authority: '[::1]',
      headers: [
        ['x-mirror', 'b'],
        ['x-forwarded-for', '1.2.3.4'],
      ],
    });
    expect(at.b.fakePool.last.headers.authority).toBe('[::1]-shadow');
    expect(at.b.fakePool.last.headers.get('x-forwarded-for')).toBe(`1.2.3.4,${at.config.localAddress}`);
  });
});
