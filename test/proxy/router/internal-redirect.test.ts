import type { JsonObject } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { RouterWorld, type FakeStream } from '../../support/fake-stream.ts';

const world = (policy: JsonObject = {}, rest: JsonObject = {}): RouterWorld =>
  new RouterWorld({
    routes: [
      { name: 'target', match: { prefix: '/to' }, route: { cluster: 'b' } },
      { name: 'from', match: { prefix: '/from' }, route: { cluster: 'a', internal_redirect_policy: policy }, ...rest },
    ],
  });
const predicate = (name: string, message: string, config: JsonObject = {}): JsonObject => ({
  predicates: [
    {
      name: `envoy.internal_redirect_predicates.${name}`,
      typed_config: {
        '@type': `type.googleapis.com/envoy.extensions.internal_redirect.${name}.v3.${message}`,
        ...config,
      },
    },
  ],
});
const redirect = (at: RouterWorld, location: string | undefined, status = 302): FakeStream => {
  const stream = at.start('/from', { headers: [['x-a', '1']] });
  at.a.fakePool.last.respond(status, location === undefined ? {} : { location, 'x-copy': 'new' }, 'moved');
  return stream;
};

describe('internal redirects', () => {
  test('the request starts over at the location', () => {
    const at = world({ response_headers_to_copy: ['x-copy', 'x-a'] });
    const stream = redirect(at, 'http://foo.com:81/to?q=1#frag');
    const { headers } = stream.recreated!;
    expect([headers.scheme, headers.authority, headers.path]).toEqual(['http', 'foo.com:81', '/to?q=1']);
    expect(headers.get('x-envoy-original-url')).toBe('http://example.com/from');
    expect([headers.get('x-copy'), headers.get('x-a')]).toEqual(['new', undefined]);
    expect(stream.response).toBeUndefined();
    expect(at.count('cluster.a.upstream_internal_redirect_succeeded_total')).toBe(1);
    // The response isn't one for the client.
    expect(at.count('cluster.a.upstream_rq_302')).toBe(0);
    expect(stream.info.filterState.get('num_internal_redirects')).toBe(1);
  });

  test('the body comes along; after 303 it stays behind', () => {
    for (const [status, method, body] of [
      [302, 'POST', 'onetwo'],
      [303, 'GET', ''],
    ] as const) {
      const at = world({ redirect_response_codes: [302, 303] });
      const stream = at.start('/from', { method: 'POST', endStream: false, headers: [['content-length', '6']] });
      stream.data('one');
      stream.data('two', true);
      at.a.fakePool.last.respond(status, { location: 'http://foo.com/to' });
      expect([stream.recreated?.headers.method, stream.recreated?.body]).toEqual([method, body]);
      expect(stream.recreated?.headers.has('content-length')).toBe(method === 'POST');
    }
  });

  test.each([
    ['a location that is no URL', {}, '/to', 'bad_location'],
    ['no location', {}, undefined, undefined],
    ['another scheme', {}, 'https://foo.com/to', 'unsafe_scheme'],
    ['no route', {}, 'http://foo.com/nowhere', 'no_route'],
    ['too many', { max_internal_redirects: 0 }, 'http://foo.com/to', 'too_many_redirects'],
    [
      'a route that is not listed',
      predicate('allow_listed_routes', 'AllowListedRoutesConfig', { allowed_route_names: ['x'] }),
      'http://foo.com/to',
      'predicate',
    ],
  ] as const)('%s: the response goes to the client', (_name, policy, location, counter) => {
    const at = world(policy);
    const stream = redirect(at, location);
    expect([stream.response?.status, stream.body, stream.recreated]).toEqual([302, 'moved', undefined]);
    expect(stream.requestHeaders.authority).toBe('example.com');
    expect(at.count('cluster.a.upstream_internal_redirect_failed_total')).toBe(1);
    if (counter !== undefined) expect(at.count(`http.p.passthrough_internal_redirect_${counter}`)).toBe(1);
  });

  test('predicates that accept', () => {
    const at = world(predicate('allow_listed_routes', 'AllowListedRoutesConfig', { allowed_route_names: ['target'] }));
    expect(redirect(at, 'http://foo.com/to').recreated).toBeDefined();
  });

  test('another code, an incomplete request, a body too long to keep: not redirected', () => {
    expect(redirect(world(), 'http://foo.com/to', 301).response?.status).toBe(301);
    const at = world({}, { per_request_buffer_limit_bytes: 2 });
    const incomplete = at.start('/from', { method: 'POST', endStream: false });
    at.a.fakePool.last.respond(302, { location: 'http://foo.com/to' });
    expect(incomplete.response?.status).toBe(302);
    const long = at.start('/from', { method: 'POST', endStream: false });
    long.data('long', true);
    at.a.fakePool.last.respond(302, { location: 'http://foo.com/to' });
    expect(long.response?.status).toBe(302);
    expect(at.count('cluster.a.retry_or_shadow_abandoned')).toBe(1);
  });

  test('a stream that cannot start over forwards the response', () => {
    const at = world();
    const stream = at.start('/from');
    stream.acceptsRecreate = false;
    at.a.fakePool.last.respond(302, { location: 'http://foo.com/to' });
    expect(stream.response?.status).toBe(302);
  });
});
