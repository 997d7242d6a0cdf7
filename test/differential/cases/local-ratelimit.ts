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

const LONG = '3600s';
/** A descriptor that lets so many through. */
const descriptor = (tokens: number, fillInterval: string, ...entries: readonly (readonly [string, string])[]) => ({
  entries: entries.map(([key, value]) => ({ key, value })),
  token_bucket: { max_tokens: tokens, fill_interval: fillInterval },
});
/** Plenty for all, so that only descriptors limit; headers tell which bucket decided. */
const described = (config: object, rateLimits: object[], more: object = {}, host: object[] = []): ListenerParts => ({
  filters: [
    {
      name: 'envoy.filters.http.local_ratelimit',
      typed_config: limit({
        token_bucket: { max_tokens: 100, fill_interval: LONG },
        enable_x_ratelimit_headers: 'DRAFT_VERSION_03',
        ...config,
      }),
    },
  ] as never,
  virtualHosts: [
    {
      name: 'all',
      domains: ['*'],
      rate_limits: host,
      routes: [
        {
          match: { prefix: '/' },
          route: { ...route, rate_limits: rateLimits, ...more },
          metadata: { filter_metadata: { own: { tier: 'gold', deep: { tier: 'silver' } } } },
        },
      ],
    },
  ] as never,
});
const generic = (value: string, more: object = {}): object => ({
  actions: [{ generic_key: { descriptor_value: value } }],
  ...more,
});
const ONE_GENERIC = [descriptor(1, LONG, ['generic_key', 'a'])];
const metadata = (source: string, path: readonly string[], more: object = {}): object => ({
  metadata: {
    descriptor_key: 'tier',
    metadata_key: { key: 'own', path: path.map((key) => ({ key })) },
    source,
    ...more,
  },
});

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
  'not-enforced-headers': listener({
    filter_enforced: NEVER,
    request_headers_to_add_when_not_enforced: [
      { header: { key: 'x-limited', value: 'at %REQ(:path)%' }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' },
      { header: { key: 'x-more', value: 'b' } },
    ],
  }),
  'per-connection': listener({ local_rate_limit_per_downstream_connection: true }),
  'by-generic': described({ descriptors: ONE_GENERIC }, [generic('a')]),
  'by-other': described({ descriptors: ONE_GENERIC }, [generic('b')]),
  'by-stage': described({ descriptors: ONE_GENERIC, stage: 1 }, [generic('a')]),
  'by-right-stage': described({ descriptors: ONE_GENERIC, stage: 1 }, [generic('a', { stage: 1 })]),
  'by-disabled': described({ descriptors: ONE_GENERIC }, [generic('a', { disable_key: 'x' })]),
  'by-header': described(
    { descriptors: [descriptor(1, LONG, ['user', 'ann']), descriptor(2, LONG, ['user', 'bob'], ['k', 'v'])] },
    [
      { actions: [{ request_headers: { header_name: 'X-User', descriptor_key: 'user' } }] },
      {
        actions: [
          { request_headers: { header_name: 'x-user', descriptor_key: 'user' } },
          { generic_key: { descriptor_key: 'k', descriptor_value: 'v' } },
        ],
      },
    ],
  ),
  'by-header-or-not': described({ descriptors: ONE_GENERIC }, [
    {
      actions: [
        { request_headers: { header_name: 'x-user', descriptor_key: 'user', skip_if_absent: true } },
        { generic_key: { descriptor_value: 'a' } },
      ],
    },
  ]),
  'by-host': described({ descriptors: [descriptor(1, LONG, ['host', 'a.test'])] }, [
    { actions: [{ request_headers: { header_name: ':authority', descriptor_key: 'host' } }] },
  ]),
  'by-address': described({ descriptors: [descriptor(1, LONG, ['remote_address', '127.0.0.1'])] }, [
    { actions: [{ remote_address: {} }] },
  ]),
  'by-network': described({ descriptors: [descriptor(1, LONG, ['masked_remote_address', '127.0.0.0/16'])] }, [
    { actions: [{ masked_remote_address: { v4_prefix_mask_len: 16 } }] },
  ]),
  'by-whole-address': described({ descriptors: [descriptor(1, LONG, ['masked_remote_address', '127.0.0.1/32'])] }, [
    { actions: [{ masked_remote_address: {} }] },
  ]),
  'by-cluster': described({ descriptors: [descriptor(1, LONG, ['destination_cluster', 'upstream'])] }, [
    { actions: [{ destination_cluster: {} }] },
  ]),
  'by-match': described(
    { descriptors: [descriptor(1, LONG, ['header_match', 'yes']), descriptor(1, LONG, ['not', 'no'])] },
    [
      {
        actions: [
          {
            header_value_match: { descriptor_value: 'yes', headers: [{ name: 'x-a', string_match: { prefix: 'v' } }] },
          },
        ],
      },
      {
        actions: [
          {
            header_value_match: {
              descriptor_key: 'not',
              descriptor_value: 'no',
              expect_match: false,
              headers: [{ name: 'x-a', present_match: true }],
            },
          },
        ],
      },
    ],
  ),
  'by-query': described(
    { descriptors: [descriptor(1, LONG, ['query_match', 'yes']), descriptor(1, LONG, ['q', 'no'])] },
    [
      {
        actions: [
          {
            query_parameter_value_match: {
              descriptor_value: 'yes',
              query_parameters: [{ name: 'a', string_match: { exact: 'x y' } }],
            },
          },
        ],
      },
      {
        actions: [
          {
            query_parameter_value_match: {
              descriptor_key: 'q',
              descriptor_value: 'no',
              expect_match: false,
              query_parameters: [{ name: 'a', present_match: true }],
            },
          },
        ],
      },
    ],
  ),
  'by-metadata': described(
    {
      descriptors: [
        descriptor(1, LONG, ['tier', 'gold']),
        descriptor(2, LONG, ['tier', 'silver']),
        descriptor(3, LONG, ['tier', 'none']),
      ],
    },
    [
      { actions: [metadata('ROUTE_ENTRY', ['tier'])] },
      { actions: [metadata('ROUTE_ENTRY', ['deep', 'tier'])] },
      { actions: [metadata('DYNAMIC', ['tier'], { default_value: 'none' })] },
    ],
  ),
  'by-lack': described({ descriptors: ONE_GENERIC }, [
    { actions: [metadata('DYNAMIC', ['tier'], { skip_if_absent: true }), { generic_key: { descriptor_value: 'a' } }] },
  ]),
  'slowest-first': described(
    { descriptors: [descriptor(3, '60s', ['generic_key', 'a']), descriptor(1, LONG, ['generic_key', 'b'])] },
    [generic('a'), generic('b')],
  ),
  'default-too': described({ descriptors: ONE_GENERIC, token_bucket: { max_tokens: 1, fill_interval: LONG } }, [
    generic('b'),
  ]),
  'default-not': described(
    {
      descriptors: [descriptor(2, LONG, ['generic_key', 'a'])],
      token_bucket: { max_tokens: 1, fill_interval: LONG },
      always_consume_default_token_bucket: false,
    },
    [generic('a')],
  ),
  'default-always': described(
    {
      descriptors: [descriptor(2, LONG, ['generic_key', 'a'])],
      token_bucket: { max_tokens: 1, fill_interval: LONG },
    },
    [generic('a')],
  ),
  'no-default': described({ descriptors: ONE_GENERIC, token_bucket: undefined }, [generic('a')]),
  'own-limits': described({ descriptors: ONE_GENERIC, rate_limits: [generic('a')] }, [generic('b')]),
  'own-limits-instead': described({ descriptors: ONE_GENERIC, rate_limits: [generic('b')] }, [generic('a')], {}, [
    generic('a'),
  ]),
  'own-limits-of-many': described(
    {
      descriptors: [
        descriptor(1, LONG, ['destination_cluster', 'upstream'], ['remote_address', '127.0.0.1'], ['tier', 'gold']),
        descriptor(2, LONG, ['header_match', 'yes'], ['query_match', 'yes']),
      ],
      rate_limits: [
        { actions: [{ destination_cluster: {} }, { remote_address: {} }, metadata('ROUTE_ENTRY', ['tier'])] },
        {
          actions: [
            {
              header_value_match: {
                descriptor_value: 'yes',
                headers: [{ name: ':path', string_match: { exact: '/' } }],
              },
            },
            {
              query_parameter_value_match: {
                descriptor_value: 'yes',
                expect_match: false,
                query_parameters: [{ name: 'a', string_match: { safe_regex: { regex: 'a+' } } }],
              },
            },
          ],
        },
      ],
    },
    [],
  ),
  'host-only': described({ descriptors: ONE_GENERIC }, [], {}, [generic('a')]),
  'host-overridden': described({ descriptors: ONE_GENERIC }, [generic('b')], {}, [generic('a')]),
  'host-overridden-elsewhere': described({ descriptors: ONE_GENERIC }, [generic('b', { stage: 3 })], {}, [
    generic('a'),
  ]),
  'host-included': described({ descriptors: ONE_GENERIC, vh_rate_limits: 'INCLUDE' }, [generic('b')], {}, [
    generic('a'),
  ]),
  'host-included-by-route': described(
    { descriptors: ONE_GENERIC, vh_rate_limits: 'IGNORE' },
    [generic('b')],
    { include_vh_rate_limits: true },
    [generic('a')],
  ),
  'host-ignored': described({ descriptors: ONE_GENERIC, vh_rate_limits: 'IGNORE' }, [], {}, [generic('a')]),
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
    .filter((name) => !['exhausted', 'routes', 'per-connection', 'by-match', 'by-query', 'by-header'].includes(name))
    .flatMap((name) => requests(name, 3)),
  ...requests('one', 1, '/', GRPC),
  ...requests('exhausted', 2, '/', GRPC),
  ...[1, 2].map((number): Case => ({
    name: `per-connection: connection ${number}`,
    listener: 'per-connection',
    send: 'GET /1 HTTP/1.1\nHost: a.test\n\nGET /2 HTTP/1.1\nHost: a.test\n\n',
    responses: 2,
  })),
  ...requests('by-header', 3, '/', 'X-User: ann\n'),
  ...requests('by-header', 3, '/', 'x-user: bob\n'),
  ...requests('by-header', 2),
  ...requests('by-header-or-not', 2, '/', 'x-user: bob\n'),
  ...requests('by-match', 2, '/', 'x-a: value\n'),
  ...requests('by-match', 2, '/', 'x-a: other\n'),
  ...requests('by-match', 2),
  ...requests('by-query', 2, '/?a=x%20y'),
  ...requests('by-query', 1, '/?b=c&a=x+y'),
  ...requests('by-query', 2, '/?b=c'),
  ...requests('exhausted', 1),
  ...requests('routes', 2, '/limited'),
  ...requests('routes', 2),
];
