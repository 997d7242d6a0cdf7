import type { ListenerParts } from '../config.ts';
import type { Case } from '../harness.ts';

const reply = (body: string) => ({ direct_response: { status: 200, body: { inline_string: body } } });
const route = { cluster: 'upstream' };
const vhost = (name: string, domains: string[]) => ({
  name,
  domains,
  routes: [{ match: { prefix: '/' }, ...reply(name) }],
});

/** Virtual hosts, matchers, actions and rewrites. Direct responses say which route was taken. */
export const listeners: Readonly<Record<string, ListenerParts>> = {
  hosts: {
    virtualHosts: [
      vhost('exact', ['www.example.com']),
      vhost('exact-port', ['www.example.com:8080']),
      vhost('suffix', ['*.example.com']),
      vhost('long-suffix', ['*.b.example.com', '*-x.b.example.com']),
      vhost('prefix', ['api.*']),
      vhost('long-prefix', ['api.foo.*']),
    ],
  },
  'hosts-any-port': {
    routeConfig: { ignore_port_in_host_matching: true },
    virtualHosts: [vhost('exact', ['www.example.com']), vhost('any', ['*'])],
  },
  matches: {
    routes: [
      { match: { path: '/exact' }, ...reply('path') },
      { match: { path: '/ExactCase', case_sensitive: false }, ...reply('path-nocase') },
      {
        match: { prefix: '/headers', headers: [{ name: 'x-a', string_match: { exact: 'one' } }] },
        ...reply('header-exact'),
      },
      {
        match: { prefix: '/headers', headers: [{ name: 'x-a', string_match: { prefix: 'pre' } }] },
        ...reply('header-prefix'),
      },
      {
        match: { prefix: '/headers', headers: [{ name: 'x-a', string_match: { suffix: 'fix' } }] },
        ...reply('header-suffix'),
      },
      {
        match: { prefix: '/headers', headers: [{ name: 'x-a', string_match: { contains: 'mid', ignore_case: true } }] },
        ...reply('header-contains'),
      },
      {
        match: { prefix: '/headers', headers: [{ name: 'x-a', string_match: { safe_regex: { regex: '[0-9]+' } } }] },
        ...reply('header-regex'),
      },
      {
        match: { prefix: '/headers', headers: [{ name: 'x-n', range_match: { start: 10, end: 20 } }] },
        ...reply('header-range'),
      },
      { match: { prefix: '/headers', headers: [{ name: 'x-p', present_match: true }] }, ...reply('header-present') },
      {
        match: {
          prefix: '/headers',
          headers: [
            { name: 'x-q', present_match: false },
            { name: 'x-r', present_match: true },
          ],
        },
        ...reply('header-absent'),
      },
      {
        match: {
          prefix: '/headers',
          headers: [
            { name: 'x-i', string_match: { exact: 'no' }, invert_match: true },
            { name: 'x-j', present_match: true },
          ],
        },
        ...reply('header-invert'),
      },
      {
        match: {
          prefix: '/headers',
          headers: [
            { name: 'x-e', string_match: { exact: '' }, treat_missing_header_as_empty: true },
            { name: 'x-f', present_match: true },
          ],
        },
        ...reply('header-empty'),
      },
      {
        match: { prefix: '/headers', headers: [{ name: ':method', string_match: { exact: 'POST' } }] },
        ...reply('header-method'),
      },
      { match: { prefix: '/headers' }, ...reply('header-none') },
      {
        match: { prefix: '/query', query_parameters: [{ name: 'a', string_match: { exact: '1' } }] },
        ...reply('query-exact'),
      },
      {
        match: { prefix: '/query', query_parameters: [{ name: 'b', present_match: true }] },
        ...reply('query-present'),
      },
      { match: { prefix: '/query' }, ...reply('query-none') },
      { match: { safe_regex: { regex: '/re/[a-z]+/[0-9]{2}' } }, ...reply('regex') },
      { match: { path_separated_prefix: '/sep' }, ...reply('separated') },
      {
        match: {
          path_match_policy: {
            name: 't',
            typed_config: {
              '@type': 'type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig',
              path_template: '/t/{id}/**',
            },
          },
        },
        ...reply('template'),
      },
      { match: { prefix: '/grpc', grpc: {} }, ...reply('grpc') },
      { match: { prefix: '/half', runtime_fraction: { default_value: { numerator: 0 } } }, ...reply('never') },
      { match: { prefix: '/half', runtime_fraction: { default_value: { numerator: 100 } } }, ...reply('always') },
      { match: { prefix: '/case', case_sensitive: false }, ...reply('prefix-nocase') },
      { match: { prefix: '/nonforwarding' }, non_forwarding_action: {} },
      { match: { prefix: '/no-cluster' }, route: { cluster_header: 'x-cluster' } },
      { match: { prefix: '/direct-204' }, direct_response: { status: 204 } },
      {
        match: { prefix: '/direct-302' },
        direct_response: { status: 302 },
        response_headers_to_add: [{ header: { key: 'location', value: '/else' } }],
      },
      { match: { prefix: '/direct-503' }, direct_response: { status: 503, body: { inline_string: 'busy' } } },
    ],
  },
  redirects: {
    routes: [
      { match: { prefix: '/host' }, redirect: { host_redirect: 'new.example' } },
      { match: { prefix: '/path' }, redirect: { path_redirect: '/new?x=1' } },
      { match: { prefix: '/prefix' }, redirect: { prefix_rewrite: '/replaced' } },
      {
        match: { prefix: '/regex' },
        redirect: { regex_rewrite: { pattern: { regex: '^/regex/([^/]+)/(.*)$' }, substitution: '/\\2/\\1' } },
      },
      { match: { prefix: '/https' }, redirect: { https_redirect: true } },
      { match: { prefix: '/scheme' }, redirect: { scheme_redirect: 'ftp' } },
      { match: { prefix: '/port' }, redirect: { port_redirect: 8443 } },
      {
        match: { prefix: '/all' },
        redirect: {
          https_redirect: true,
          host_redirect: 'h.example',
          port_redirect: 444,
          path_redirect: '/p',
          strip_query: true,
        },
      },
      ...['MOVED_PERMANENTLY', 'FOUND', 'SEE_OTHER', 'TEMPORARY_REDIRECT', 'PERMANENT_REDIRECT'].map((code, i) => ({
        match: { prefix: `/code-${i}` },
        redirect: { host_redirect: 'c.example', response_code: code },
      })),
    ],
  },
  'tls-only': {
    virtualHosts: [
      { name: 'tls', domains: ['*'], require_tls: 'ALL', routes: [{ match: { prefix: '/' }, ...reply('never') }] },
    ],
  },
  rewrites: {
    routes: [
      { match: { prefix: '/prefix/' }, route: { ...route, prefix_rewrite: '/' } },
      { match: { prefix: '/longer' }, route: { ...route, prefix_rewrite: '/much/longer' } },
      { match: { path: '/exact' }, route: { ...route, prefix_rewrite: '/other' } },
      {
        match: { prefix: '/regex' },
        route: { ...route, regex_rewrite: { pattern: { regex: '/regex/(\\w+)' }, substitution: '/r/\\1' } },
      },
      { match: { path_separated_prefix: '/sep' }, route: { ...route, prefix_rewrite: '/s' } },
      { match: { prefix: '/host-literal' }, route: { ...route, host_rewrite_literal: 'lit.example' } },
      { match: { prefix: '/host-header' }, route: { ...route, host_rewrite_header: 'x-host' } },
      {
        match: { prefix: '/host-regex' },
        route: { ...route, host_rewrite_path_regex: { pattern: { regex: '^/host-regex/(.+)$' }, substitution: '\\1' } },
      },
      { match: { prefix: '/host-auto' }, route: { ...route, auto_host_rewrite: true, append_x_forwarded_host: true } },
      {
        match: { prefix: '/host-appended' },
        route: { ...route, host_rewrite_literal: 'lit.example', append_x_forwarded_host: true },
      },
      {
        match: {
          path_match_policy: {
            name: 't',
            typed_config: {
              '@type': 'type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig',
              path_template: '/template/{one}/{two=**}',
            },
          },
        },
        route: {
          ...route,
          path_rewrite_policy: {
            name: 'r',
            typed_config: {
              '@type': 'type.googleapis.com/envoy.extensions.path.rewrite.uri_template.v3.UriTemplateRewriteConfig',
              path_template_rewrite: '/{two}/x/{one}',
            },
          },
        },
      },
    ],
  },
  weights: {
    routes: [
      {
        match: { prefix: '/zero' },
        route: {
          weighted_clusters: {
            clusters: [
              { name: 'upstream', weight: 0 },
              {
                name: 'second',
                weight: 100,
                response_headers_to_add: [{ header: { key: 'x-which', value: 'second' } }],
              },
            ],
          },
        },
      },
      {
        match: { prefix: '/header' },
        route: {
          weighted_clusters: {
            header_name: 'x-pick',
            clusters: [
              { name: 'upstream', weight: 50 },
              { name: 'second', weight: 50, host_rewrite_literal: 'second.example' },
            ],
          },
        },
      },
    ],
  },
  clusters: {
    routes: [
      { match: { prefix: '/header' }, route: { cluster_header: 'x-cluster' } },
      {
        match: { prefix: '/not-found-404' },
        route: { cluster_header: 'x-cluster', cluster_not_found_response_code: 'NOT_FOUND' },
      },
      {
        match: { prefix: '/not-found-500' },
        route: { cluster_header: 'x-cluster', cluster_not_found_response_code: 'INTERNAL_SERVER_ERROR' },
      },
      { match: { prefix: '/empty' }, route: { cluster: 'empty' } },
      { match: { prefix: '/closed' }, route: { cluster: 'closed' } },
    ],
  },
  vclusters: {
    virtualHosts: [
      {
        name: 'vc',
        domains: ['*'],
        virtual_clusters: [{ name: 'users', headers: [{ name: ':path', string_match: { prefix: '/users' } }] }],
        routes: [{ match: { prefix: '/' }, route, name: 'the-route', stat_prefix: 'stats-of-route' }],
      },
    ],
  },
};

export const clusters = { second: {} };

const get = (listener: string, path: string, fields = '', more: Partial<Case> = {}): Case => ({
  name: `${listener}: ${path} ${fields.replaceAll('\n', ' ')}`.trim(),
  listener,
  send: `GET ${path} HTTP/1.1\n${/^host:/im.test(fields) ? '' : 'Host: example.com\n'}${fields}\n`,
  responses: 1,
  ...more,
});
const host = (listener: string, name: string): Case => get(listener, '/', `Host: ${name}\n`);

export const cases: readonly Case[] = [
  ...[
    'www.example.com',
    'WWW.Example.COM',
    'www.example.com:8080',
    'www.example.com:9',
    'a.example.com',
    'a.b.example.com',
    'q-x.b.example.com',
    '.example.com',
    'example.com',
    'api.com',
    'api.foo.com',
    'api.',
    'nothing',
  ].map((name) => host('hosts', name)),
  ...['www.example.com:9', 'www.example.com', 'other:80'].map((name) => host('hosts-any-port', name)),
  ...[
    '/exact',
    '/exact?q',
    '/exact/',
    '/Exact',
    '/exactcase',
    '/EXACTCASE?x',
    '/re/abc/12',
    '/re/abc/123',
    '/re/abc/12?x=1',
    '/sep',
    '/sep/',
    '/sep/x',
    '/separate',
    '/sep?x',
    '/t/1/',
    '/t/1/2/3',
    '/t/1',
    '/t',
    '/half',
    '/CASE/x',
    '/nonforwarding',
    '/no-cluster',
    '/direct-204',
    '/direct-302',
    '/direct-503',
    '/no/route/at/all',
  ].map((path) => get('matches', path)),
  ...[
    'x-a: one',
    'x-a: prefixed',
    'x-a: suffix',
    'x-a: aMIDb',
    'x-a: 123',
    'x-a: 12x',
    'x-a: one\nx-a: two',
    'x-n: 10',
    'x-n: 19',
    'x-n: 20',
    'x-n: -3',
    'x-n: 1x',
    'x-p:',
    'x-p: 1',
    'x-r: 1',
    'x-q: 1\nx-r: 1',
    'x-i: no\nx-j: 1',
    'x-i: yes\nx-j: 1',
    'x-j: 1',
    'x-f: 1',
    'x-e: 1\nx-f: 1',
    'x-none: 1',
  ].map((fields) => get('matches', '/headers', `${fields}\n`)),
  {
    ...get('matches', '/headers'),
    name: 'matches: POST /headers',
    send: 'POST /headers HTTP/1.1\nHost: a\nContent-Length: 0\n\n',
  },
  ...[
    '/query?a=1',
    '/query?a=2',
    '/query?x=1&a=1',
    '/query?b',
    '/query?b=',
    '/query?ab=1',
    '/query?a=1#f',
    '/query',
  ].map((path) => get('matches', path, '', path.includes('#') ? { responses: undefined } : {})),
  get('matches', '/grpc/x', 'content-type: application/grpc\n'),
  get('matches', '/grpc/x', 'content-type: application/grpc+proto\n'),
  get('matches', '/grpc/x', 'content-type: application/json\n'),
  ...[
    '/host/a?b=c',
    '/path/a?b=c',
    '/prefix/a?b=c',
    '/prefix',
    '/regex/one/two?q=1',
    '/https/x?y',
    '/scheme/x',
    '/port/x',
    '/all/x?y=z',
    '/code-0',
    '/code-1',
    '/code-2',
    '/code-3',
    '/code-4',
  ].map((path) => get('redirects', path)),
  get('redirects', '/https/x', 'Host: example.com:80\n'),
  get('redirects', '/https/x', 'Host: example.com:8080\n'),
  get('redirects', '/host/x', 'Host: example.com:8080\n'),
  get('redirects', '/port/x', 'Host: example.com:8080\n'),
  get('redirects', '/host/x', 'Host: [::1]:80\n'),
  get('tls-only', '/x?y'),
  get('tls-only', '/x', 'x-forwarded-proto: https\n'),
  ...[
    '/prefix/a/b?c',
    '/prefix/',
    '/longer/x',
    '/exact?q=1',
    '/regex/abc/def?x',
    '/regex/abc?x=/regex/y',
    '/sep/x',
    '/sep',
    '/host-literal/x',
    '/host-header/x',
    '/host-regex/from.path',
    '/host-auto/x',
    '/host-appended/x',
    '/template/a/b/c?q',
  ].map((path) => get('rewrites', path)),
  get('rewrites', '/host-header/x', 'x-host: from-header.example\n'),
  get('rewrites', '/host-appended/x', 'x-forwarded-host: before.example\n'),
  get('weights', '/zero'),
  get('weights', '/header', 'x-pick: 10\n'),
  get('weights', '/header', 'x-pick: 90\n'),
  get('clusters', '/header', 'x-cluster: upstream\n'),
  get('clusters', '/header', 'x-cluster: nowhere\n'),
  get('clusters', '/header'),
  get('clusters', '/not-found-404', 'x-cluster: nowhere\n'),
  get('clusters', '/not-found-500', 'x-cluster: nowhere\n'),
  get('clusters', '/empty'),
  get('clusters', '/closed'),
  {
    ...get('clusters', '/empty'),
    name: 'clusters: HEAD /empty',
    send: 'HEAD /empty HTTP/1.1\nHost: a\n\n',
    methods: ['HEAD'],
  },
  get('clusters', '/empty', 'content-type: application/grpc\n'),
  get('clusters', '/closed', 'content-type: application/grpc\n'),
  get('vclusters', '/users/1'),
  get('vclusters', '/other'),
];
