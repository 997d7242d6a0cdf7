import type { JsonObject } from '@bufbuild/protobuf';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { HeaderMap } from '../../../src/proxy/http/headers.ts';
import type { RouteTable } from '../../../src/proxy/router/route.ts';
import { ThreadStats } from '../../../src/telemetry/stats/arena.ts';
import { fakeRuntime, request, routeTable, streamInfo, tableOf } from '../../support/route-table.ts';

const respond = { direct_response: { status: 200 } };

function routeName(table: RouteTable, headers: HeaderMap, randomValue = 0): string | undefined {
  return table.resolve(headers, streamInfo(), randomValue)?.name;
}

describe('the virtual host', () => {
  const table = routeTable({
    virtual_hosts: [
      ['exact', 'www.example.com', 'bare:8080'],
      ['long-suffix', '*.example.com', '*-bar.baz.com'],
      ['short-suffix', '*.com'],
      ['long-prefix', 'www.ex*'],
      ['short-prefix', 'www.*'],
      ['any', '*'],
    ].map(([name, ...domains]) => ({
      name: name!,
      domains,
      routes: [{ match: { prefix: '' }, ...respond }],
    })),
  });

  test.each([
    ['www.example.com', 'exact'],
    ['WWW.Example.COM', 'exact'],
    ['bare:8080', 'exact'],
    ['www.example.com:80', 'long-prefix'],
    ['api.example.com', 'long-suffix'],
    ['foo-bar.baz.com', 'long-suffix'],
    ['.example.com', 'short-suffix'],
    ['other.com', 'short-suffix'],
    ['www.ex.org', 'long-prefix'],
    ['www.ex', 'short-prefix'],
    ['www.', 'any'],
    ['nothing', 'any'],
    ['', 'any'],
  ])('of %j is %s', (authority, expected) => {
    expect(table.resolve(request('/', { authority }), streamInfo(), 0)?.virtualHost.name).toBe(expected);
  });

  test('is looked up without the port if the configuration says so', () => {
    const json = (ignore: boolean): JsonObject => ({
      ignore_port_in_host_matching: ignore,
      virtual_hosts: [{ name: 'v', domains: ['a.com', '[::1]'], routes: [{ match: { prefix: '/' }, ...respond }] }],
    });
    expect(routeTable(json(false)).resolve(request('/', { authority: 'a.com:81' }), streamInfo(), 0)).toBeUndefined();
    const ignoring = routeTable(json(true));
    for (const authority of ['a.com:81', 'a.com', '[::1]:81', '[::1]'])
      expect(ignoring.resolve(request('/', { authority }), streamInfo(), 0)?.virtualHost.name).toBe('v');
  });

  test('that is not there: no route', () => {
    const none = routeTable({ virtual_hosts: [{ name: 'v', domains: ['a.com'], routes: [] }] });
    expect(none.resolve(request('/', { authority: 'b.com' }), streamInfo(), 0)).toBeUndefined();
  });
});

describe('the path of a route', () => {
  const template = {
    path_match_policy: {
      name: 'envoy.path.match.uri_template.uri_template_matcher',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig',
        path_template: '/t/{id}/*',
      },
    },
  };
  test.each([
    [{ path: '/a' }, ['/a', '/a?q=/a', '/a#f'], ['/A', '/a/', '/ab', '/', '']],
    [{ path: '/a', case_sensitive: false }, ['/a', '/A'], ['/b']],
    [{ prefix: '/ab' }, ['/ab', '/abc', '/ab/c', '/ab?x'], ['/a', '/Ab', '/a?b', '/']],
    [{ prefix: '/Ab', case_sensitive: false }, ['/aB', '/ABc'], ['/a']],
    [{ prefix: '' }, ['/', '/x', '*'], ['']],
    [{ prefix: '/a?' }, [], ['/a?', '/a?b']],
    [{ path_separated_prefix: '/ab' }, ['/ab', '/ab/', '/ab/c', '/ab?x', '/ab#x'], ['/abc', '/a', '/AB']],
    [{ path_separated_prefix: '/ab', case_sensitive: false }, ['/AB/c', '/aB'], ['/abc']],
    [{ safe_regex: { regex: '/b[io]t' } }, ['/bit', '/bot', '/bit?x=1'], ['/bite', '/a/bit', '/bt']],
    [{ safe_regex: { regex: '/foo/.*' } }, ['/foo/', '/foo/a/b?c'], ['/foo', '/x/foo/']],
    [template, ['/t/1/2', '/t/1/2?x'], ['/t/1', '/t/1/2/3', '/t//2']],
  ] as [JsonObject, string[], string[]][])('%j', (match, matching, others) => {
    const table = tableOf([{ name: 'r', match, ...respond }]);
    for (const path of matching) expect([path, routeName(table, request(path))]).toEqual([path, 'r']);
    for (const path of others) expect([path, routeName(table, request(path))]).toEqual([path, undefined]);
  });

  test('is compared without path parameters if the configuration says so', () => {
    const routes: JsonObject[] = [
      { name: 'exact', match: { path: '/a' }, ...respond },
      { name: 'regex', match: { safe_regex: { regex: '/[b]' } }, ...respond },
    ];
    const table = tableOf(routes, {}, { ignore_path_parameters_in_path_matching: true });
    expect(routeName(table, request('/a;v=1'))).toBe('exact');
    expect(routeName(table, request('/a;v=1?q'))).toBe('exact');
    expect(routeName(table, request('/b;v=1'))).toBe('regex');
    expect(routeName(tableOf(routes), request('/a;v=1'))).toBeUndefined();
  });

  test('connect_matcher takes CONNECT requests, which no other path does', () => {
    const table = tableOf([
      { name: 'any', match: { prefix: '' }, ...respond },
      { name: 'connect', match: { connect_matcher: {} }, ...respond },
    ]);
    expect(routeName(table, request('', { method: 'CONNECT' }))).toBe('connect');
    expect(routeName(table, request('/x'))).toBe('any');
    const first = tableOf([
      { name: 'connect', match: { connect_matcher: {} }, ...respond },
      { name: 'any', match: { prefix: '' }, ...respond },
    ]);
    expect(routeName(first, request('/u', { method: 'CONNECT', protocol: 'connect-udp' }))).toBe('connect');
    expect(routeName(first, request('/u', { method: 'CONNECT', protocol: 'websocket' }))).toBe('any');
  });
});

describe('the other conditions of a route', () => {
  const table = (match: JsonObject): RouteTable =>
    tableOf([{ name: 'r', match: { prefix: '/', ...match }, ...respond }]);

  test.each([['runtime_fraction', { runtime_fraction: { default_value: { numerator: 30 }, runtime_key: 'k' } }]] as [
    string,
    JsonObject,
  ][])('%s goes by the random value', (_, match) => {
    expect(routeName(table(match), request('/'), 29)).toBe('r');
    expect(routeName(table(match), request('/'), 30)).toBeUndefined();
    const raised = routeTable(
      {
        virtual_hosts: [
          { name: 'v', domains: ['*'], routes: [{ name: 'r', match: { prefix: '/', ...match }, ...respond }] },
        ],
      },
      { runtime: fakeRuntime({ k: 50 }) },
    );
    expect(routeName(raised, request('/'), 49)).toBe('r');
  });

  test.each([
    ['application/grpc', 'r'],
    ['application/grpc+proto', 'r'],
    ['application/grpc-web', undefined],
    ['text/plain', undefined],
    [undefined, undefined],
  ])('grpc on content-type %s', (type, expected) => {
    const headers = request('/', { headers: type === undefined ? [] : [['content-type', type]] });
    expect(routeName(table({ grpc: {} }), headers)).toBe(expected);
  });

  test.each([
    [{ string_match: { exact: '1' } }, '/?a=1', 'r'],
    [{ string_match: { exact: '1' } }, '/?b=1', undefined],
    [{ string_match: { exact: '1' } }, '/?a=2&a=1', undefined],
    [{ string_match: { exact: '' } }, '/?a', 'r'],
    [{ string_match: { exact: '' } }, '/?a=', 'r'],
    [{ string_match: { prefix: 'x%2' } }, '/?ab=&a=x%20', 'r'],
    [{ string_match: { safe_regex: { regex: '[0-9]+' } } }, '/?z&a=12', 'r'],
    [{ present_match: true }, '/?x=1&a', 'r'],
    [{ present_match: true }, '/?ab=1', undefined],
    [{ present_match: true }, '/', undefined],
    [{}, '/?a=1', 'r'],
    [{ present_match: false }, '/?b=1', 'r'],
    [{ present_match: false }, '/?a=1', undefined],
  ] as [JsonObject, string, string | undefined][])('query parameter %j on %s: %s', (match, path, expected) => {
    expect(routeName(table({ query_parameters: [{ name: 'a', ...match }] }), request(path))).toBe(expected);
  });

  test('tls_context', () => {
    const presented = table({ tls_context: { presented: true, validated: false } });
    const resolve = (tls?: Parameters<typeof streamInfo>[0]): string | undefined =>
      presented.resolve(request('/'), streamInfo(tls), 0)?.name;
    expect(resolve()).toBeUndefined();
    expect(resolve({ peerPresented: true, peerValidated: false })).toBe('r');
    expect(resolve({ peerPresented: true, peerValidated: true })).toBeUndefined();
    expect(table({ tls_context: { presented: false } }).resolve(request('/'), streamInfo(), 0)?.name).toBe('r');
  });

  test.each([
    [{ string_match: { exact: 'v' } }, { a: { b: 'v' } }, true],
    [{ string_match: { exact: 'v' } }, { a: { b: 1 } }, false],
    [{ double_match: { exact: 1 } }, { a: { b: 1 } }, true],
    [{ double_match: { range: { start: 1, end: 2 } } }, { a: { b: 2 } }, false],
    [{ bool_match: true }, { a: { b: true } }, true],
    [{ null_match: {} }, { a: { b: null } }, true],
    [{ null_match: {} }, { a: {} }, false],
    [{ present_match: true }, { a: { b: {} } }, true],
    [{ present_match: true }, { a: {} }, false],
    [{ list_match: { one_of: { string_match: { exact: 'v' } } } }, { a: { b: ['u', 'v'] } }, true],
    [{ or_match: { value_matchers: [{ bool_match: true }, { double_match: { exact: 3 } }] } }, { a: { b: 3 } }, true],
  ] as [JsonObject, JsonObject, boolean][])('dynamic metadata %j on %j: %s', (value, metadata, expected) => {
    for (const invert of [false, true]) {
      const matcher = { filter: 'f', path: [{ key: 'a' }, { key: 'b' }], value, invert };
      const info = streamInfo();
      info.dynamicMetadata.set('f', metadata);
      const found = table({ dynamic_metadata: [matcher] }).resolve(request('/'), info, 0);
      expect(found !== undefined).toBe(expected !== invert);
    }
  });
});

describe('the choice among routes', () => {
  test('is the first that matches, whatever kind of path each has', () => {
    const kinds: JsonObject[] = [
      { prefix: '/a' },
      { path: '/a/b' },
      { safe_regex: { regex: '/a/[b]' } },
      { path_separated_prefix: '/a' },
      { prefix: '/A', case_sensitive: false },
    ];
    for (let first = 0; first < kinds.length; first++) {
      const order = [...kinds.slice(first), ...kinds.slice(0, first)];
      const table = tableOf(order.map((match, index) => ({ name: `${index}`, match, ...respond })));
      expect(routeName(table, request('/a/b'))).toBe('0');
    }
  });

  const segment = fc.constantFrom('/', '/a', '/b', '/aB', '/a/', '/a/b', '/ab', '/ab/c', '/A', '/a/b/c', '/b/a', '');
  const match = fc.oneof(
    segment.map((prefix): JsonObject => ({ prefix })),
    segment.map((path): JsonObject => ({ path })),
    segment.map((prefix): JsonObject => ({ prefix, case_sensitive: false })),
    segment.map((path): JsonObject => ({ path, case_sensitive: false })),
    segment.map((path_separated_prefix): JsonObject => ({ path_separated_prefix })),
    fc
      .constantFrom('/a.*', '/[ab]/.*', '.*b', '/a|/b', '(?i)/A.*', '/a/b')
      .map((regex): JsonObject => ({ safe_regex: { regex } })),
  );
  const withHeader = fc
    .tuple(match, fc.boolean())
    .map(([path, conditional]): JsonObject =>
      conditional ? { ...path, headers: [{ name: 'x', present_match: true }] } : path,
    );
  const path = fc.constantFrom(
    '/',
    '/a',
    '/A',
    '/a/b',
    '/ab',
    '/aB/c',
    '/a/b/c/d',
    '/b',
    '/b/a?x=/a',
    '/a#b',
    '/c',
    '*',
  );

  test('by the index is the one that a scan of all routes makes', () => {
    fc.assert(
      fc.property(fc.array(withHeader, { maxLength: 12 }), path, fc.boolean(), (matches, text, marked) => {
        const routes = matches.map((route, index) => ({ name: `${index}`, match: route, ...respond }));
        const headers = request(text, { headers: marked ? [['x', '1']] : [] });
        // The scan: each route alone in a table of its own.
        const expected = routes.find((route) => routeName(tableOf([route]), headers) !== undefined)?.name;
        expect(routeName(tableOf(routes), headers)).toBe(expected);
      }),
      { numRuns: 300 },
    );
  });

  test('prefixes and paths mean what startsWith and === mean', () => {
    fc.assert(
      fc.property(fc.array(segment, { minLength: 1, maxLength: 10 }), path, (prefixes, text) => {
        const bare = text.replace(/[?#].*/, '');
        const byPrefix = tableOf(prefixes.map((prefix, i) => ({ name: `${i}`, match: { prefix }, ...respond })));
        const first = prefixes.findIndex((prefix) => bare.startsWith(prefix));
        expect(routeName(byPrefix, request(text))).toBe(first === -1 ? undefined : `${first}`);
        const byPath = tableOf(prefixes.map((exact, i) => ({ name: `${i}`, match: { path: exact }, ...respond })));
        const same = (prefixes as string[]).indexOf(bare);
        expect(routeName(byPath, request(text))).toBe(same === -1 ? undefined : `${same}`);
      }),
    );
  });
});

describe('require_tls', () => {
  const table = (require_tls: string): RouteTable =>
    tableOf([{ name: 'r', match: { prefix: '/' }, ...respond }], { require_tls });
  const outcome = (require: string, headers: HeaderMap): string => {
    const route = table(require).resolve(headers, streamInfo(), 0);
    return route?.action.kind === 'redirect' ? route.action.location(headers) : (route?.name ?? 'none');
  };

  test('ALL sends every plain request to https', () => {
    expect(outcome('ALL', request('/a?b=c', { authority: 'x.com:80' }))).toBe('https://x.com:80/a?b=c');
    expect(outcome('ALL', request('/', { scheme: 'https' }))).toBe('r');
  });

  test('EXTERNAL_ONLY leaves internal requests alone', () => {
    expect(outcome('EXTERNAL_ONLY', request('/'))).toBe('https://example.com/');
    expect(outcome('EXTERNAL_ONLY', request('/', { headers: [['x-envoy-internal', 'true']] }))).toBe('r');
  });

  test('x-forwarded-proto decides, not the scheme', () => {
    expect(outcome('ALL', request('/', { scheme: 'http', headers: [['x-forwarded-proto', 'https']] }))).toBe('r');
  });
});

describe('stats', () => {
  test('of virtual clusters and of routes with a prefix are named as in Envoy', () => {
    const stats = new ThreadStats();
    const table = routeTable(
      {
        virtual_hosts: [
          {
            name: 'v',
            domains: ['*'],
            virtual_clusters: [{ name: 'posts', headers: [{ name: ':method', string_match: { exact: 'POST' } }] }],
            routes: [{ match: { prefix: '/' }, stat_prefix: 'p', ...respond }],
          },
        ],
      },
      { stats },
    );
    const route = table.resolve(request('/'), streamInfo(), 0)!;
    expect(route.stats?.prefix).toBe('vhost.v.route.p.');
    const posts = route.virtualHost.virtualCluster(request('/', { method: 'POST' }))!;
    const other = route.virtualHost.virtualCluster(request('/'))!;
    expect([posts.name, posts.stats.prefix]).toEqual(['posts', 'vhost.v.vcluster.posts.']);
    expect([other.name, other.stats.prefix]).toEqual(['', 'vhost.v.vcluster.other.']);
    expect(stats.value('vhost.v.vcluster.posts.upstream_rq_total')).toBe(0);
    table.close();
    expect(stats.value('vhost.v.vcluster.posts.upstream_rq_total')).toBeUndefined();
  });

  test('are absent where nothing asks for them', () => {
    const route = tableOf([{ match: { prefix: '/' }, ...respond }]).resolve(request('/'), streamInfo(), 0)!;
    expect(route.stats).toBeUndefined();
    expect(route.virtualHost.virtualCluster(request('/'))).toBeUndefined();
  });
});
