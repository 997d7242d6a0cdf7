import type { ListenerParts } from '../config.ts';
import type { Case } from '../harness.ts';

/** The HTTP filter local_ratelimit; its buckets hold one token or two, and never fill while a test runs. */
const TYPE = 'type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit';
const ALWAYS = { default_value: { numerator: 100 }, runtime_key: 'k' };
const NEVER = { default_value: { numerator: 0 }, runtime_key: 'k' };
const limit = (config: object) => ({
  '@type': TYPE,
  stat_prefix: 'http.limit',
  token_bucket: { max_tokens: 1, fill_interval: '3600s' },
  filter_enabled: ALWAYS,
  filter_enforced: ALWAYS,
  ...config,
});
const listener = (config: object, routes?: object[]): ListenerParts => ({
  filters: [{ name: 'envoy.filters.http.local_ratelimit', typed_config: limit(config) }] as never,
  ...(routes !== undefined && { routes: routes as never }),
});
const route = { cluster: 'upstream' };

export const listeners: Readonly<Record<string, ListenerParts>> = {
  one: listener({}),
  two: listener({ token_bucket: { max_tokens: 2, tokens_per_fill: 2, fill_interval: '3600s' } }),
  off: listener({ filter_enabled: NEVER }),
  'not-enforced': listener({ filter_enforced: NEVER }),
  default: listener({ filter_enabled: undefined, filter_enforced: undefined }),
  none: listener({ token_bucket: undefined }),
  status: listener({ status: { code: 503 } }),
  'status-low': listener({ status: { code: 200 } }),
  headers: listener({
    response_headers_to_add: [
      { header: { key: 'x-limited', value: 'yes %REQ(:path)%' }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' },
    ],
  }),
  told: listener({ enable_x_ratelimit_headers: 'DRAFT_VERSION_03' }),
  'told-two': listener({
    enable_x_ratelimit_headers: 'DRAFT_VERSION_03',
    token_bucket: { max_tokens: 2, tokens_per_fill: 2, fill_interval: '7200s' },
    filter_enforced: NEVER,
  }),
  exhausted: listener({ rate_limited_as_resource_exhausted: true }),
  routes: listener({ filter_enabled: NEVER }, [
    {
      match: { prefix: '/limited' },
      route,
      typed_per_filter_config: { 'envoy.filters.http.local_ratelimit': limit({ stat_prefix: 'http.route' }) },
    },
    { match: { prefix: '/' }, route },
  ]),
};

const requests = (name: string, count: number, path = '/', field = ''): Case[] =>
  Array.from({ length: count }, (_, i) => ({
    name: `${name} ${path} ${field}: request ${i + 1}`,
    listener: name,
    send: `GET ${path} HTTP/1.1\nHost: a.test\n${field}\n`,
    responses: 1,
  }));
const GRPC = 'content-type: application/grpc\n';

export const cases: readonly Case[] = [
  ...Object.keys(listeners)
    .filter((name) => name !== 'exhausted' && name !== 'routes')
    .flatMap((name) => requests(name, 3)),
  ...requests('one', 1, '/', GRPC),
  ...requests('exhausted', 2, '/', GRPC),
  ...requests('exhausted', 1),
  ...requests('routes', 2, '/limited'),
  ...requests('routes', 2),
];
