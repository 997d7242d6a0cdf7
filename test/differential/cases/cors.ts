import type { ListenerParts } from '../config.ts';
import type { Case } from '../harness.ts';

const TYPE = 'type.googleapis.com/envoy.extensions.filters.http.cors.v3';
const filter = { name: 'envoy.filters.http.cors', typed_config: { '@type': `${TYPE}.Cors` } };
const policy = (config: object) => ({ 'envoy.filters.http.cors': { '@type': `${TYPE}.CorsPolicy`, ...config } });
const origins = (...matchers: object[]) => ({ allow_origin_string_match: matchers });
const fraction = (numerator: number) => ({ default_value: { numerator }, runtime_key: 'k' });
const FULL = {
  ...origins({ exact: 'http://a.test' }, { suffix: '.b.test' }),
  allow_methods: 'GET, POST',
  allow_headers: 'x-a, x-b',
  expose_headers: 'x-c',
  max_age: '60',
  allow_credentials: true,
};
/** Name of the route -> its policy. */
const policies: Readonly<Record<string, object>> = {
  full: FULL,
  empty: {},
  star: { ...origins({ exact: '*' }), allow_methods: '*', allow_headers: '*' },
  regex: { ...origins({ safe_regex: { regex: 'https?://[a-z]+\\.test' } }), expose_headers: '*' },
  strict: { ...FULL, forward_not_matching_preflights: false },
  private: { ...FULL, allow_private_network_access: true },
  off: { ...FULL, filter_enabled: fraction(0) },
  shadow: { ...FULL, filter_enabled: fraction(0), shadow_enabled: fraction(100) },
  on: { ...FULL, filter_enabled: fraction(100), shadow_enabled: fraction(100) },
};
const route = { cluster: 'upstream' };

export const listeners: Readonly<Record<string, ListenerParts>> = {
  cors: {
    filters: [filter] as never,
    routes: [
      ...Object.entries(policies).map(([name, config]) => ({
        match: { path: `/${name}` },
        route,
        typed_per_filter_config: policy(config),
      })),
      { match: { path: '/direct' }, direct_response: { status: 200 }, typed_per_filter_config: policy(FULL) },
      {
        match: { path: '/lost' },
        route: { cluster: 'empty' },
        typed_per_filter_config: policy(FULL),
      },
      { match: { prefix: '/none' }, route },
    ] as never,
  },
  'cors-host': {
    filters: [filter] as never,
    virtualHosts: [
      {
        name: 'all',
        domains: ['*'],
        typed_per_filter_config: policy(FULL),
        routes: [
          { match: { path: '/inherits' }, route },
          {
            match: { path: '/merges' },
            route,
            typed_per_filter_config: policy({ allow_methods: 'PUT', allow_credentials: false }),
          },
          {
            match: { path: '/replaces' },
            route,
            typed_per_filter_config: policy({ ...origins({ prefix: 'http://c' }), expose_headers: 'x-d' }),
          },
        ],
      },
    ] as never,
  },
};

const send = (method: string, path: string, fields: readonly string[]): string =>
  `${method} ${path} HTTP/1.1\nHost: proxy.test\n${fields.map((field) => `${field}\n`).join('')}\n`;
const simple = (listener: string, path: string, origin: string): Case => ({
  name: `${path} from ${origin}`,
  listener,
  send: send('GET', path, [`Origin: ${origin}`]),
});
const preflight = (listener: string, path: string, origin: string, ...fields: string[]): Case => ({
  name: ['preflight', path, 'from', origin, ...fields].join(' '),
  listener,
  send: send('OPTIONS', path, [`Origin: ${origin}`, 'Access-Control-Request-Method: PUT', ...fields]),
});
const A = 'http://a.test';
const EVIL = 'http://evil.test:80';

const all: readonly Case[] = [
  ...Object.keys(policies).flatMap((name) => [
    simple('cors', `/${name}`, A),
    simple('cors', `/${name}`, EVIL),
    preflight('cors', `/${name}`, A, 'Access-Control-Request-Headers: x-q, x-r'),
    preflight('cors', `/${name}`, EVIL),
  ]),
  simple('cors', '/full', 'https://x.b.test'),
  simple('cors', '/full', 'http://A.test'),
  simple('cors', '/full', ''),
  preflight('cors', '/full', ''),
  preflight('cors', '/private', A, 'Access-Control-Request-Private-Network: true'),
  preflight('cors', '/private', A, 'Access-Control-Request-Private-Network: false'),
  preflight('cors', '/full', A, 'Access-Control-Request-Private-Network: true'),
  preflight('cors', '/star', A),
  { name: 'no origin', listener: 'cors', send: send('GET', '/full', []) },
  { name: 'OPTIONS without a method', listener: 'cors', send: send('OPTIONS', '/full', [`Origin: ${A}`]) },
  {
    name: 'OPTIONS with an empty method',
    listener: 'cors',
    send: send('OPTIONS', '/full', [`Origin: ${A}`, 'Access-Control-Request-Method:']),
  },
  {
    name: 'a method, not OPTIONS',
    listener: 'cors',
    send: send('GET', '/full', [`Origin: ${A}`, 'Access-Control-Request-Method: PUT']),
  },
  simple('cors', '/direct', A),
  preflight('cors', '/direct', A),
  simple('cors', '/lost', A),
  preflight('cors', '/lost', A),
  simple('cors', '/none', A),
  preflight('cors', '/none', A),
  simple('cors', '/nowhere', A),
  ...['/inherits', '/merges', '/replaces'].flatMap((path) => [
    simple('cors-host', path, A),
    simple('cors-host', path, 'http://c.test'),
    preflight('cors-host', path, A),
    preflight('cors-host', path, 'http://c.test'),
  ]),
];
export const cases: readonly Case[] = all.map((each) => ({ responses: 1, ...each }));
