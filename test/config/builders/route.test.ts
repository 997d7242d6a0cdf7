import { fromBinary, type JsonObject } from '@bufbuild/protobuf';
import { writeFileSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { HTTPFaultSchema } from '../../../src/api/generated/envoy/extensions/filters/http/fault/v3/fault_pb.js';
import { TypeRegistry } from '../../../src/api/type-registry.ts';
import type { RouteActionModel } from '../../../src/config/route-model.ts';
import { buildRoutes, type BuiltRoutes } from '../../support/route-table.ts';

const respond: JsonObject = { direct_response: { status: 200 } };
const withRoute = (route: JsonObject): JsonObject => ({
  name: 'r',
  virtual_hosts: [{ name: 'v', domains: ['*'], routes: [{ match: { prefix: '/' }, ...respond, ...route }] }],
});
const withAction = (route: JsonObject): JsonObject => ({
  name: 'r',
  virtual_hosts: [
    { name: 'v', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'c', ...route } }] },
  ],
});
const AT = 'virtual_hosts[0].routes[0]';
const uriTemplate = (path_template: string): JsonObject => ({
  path_match_policy: {
    name: 'm',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig',
      path_template,
    },
  },
});
const uriTemplateRewrite = (path_template_rewrite: string): JsonObject => ({
  path_rewrite_policy: {
    name: 'w',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.path.rewrite.uri_template.v3.UriTemplateRewriteConfig',
      path_template_rewrite,
    },
  },
});
const fault: JsonObject = { '@type': 'type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault' };

describe('buildRouteConfig refuses', () => {
  test.each([
    [
      'domains of two virtual hosts that differ only in case',
      {
        name: 'r',
        virtual_hosts: [
          { name: 'a', domains: ['a.com'] },
          { name: 'b', domains: ['b.com', 'A.com'] },
        ],
      },
      'virtual_hosts[1].domains[1]: Only unique values for domains are permitted. Duplicate entry of domain a.com in route r',
    ],
    [
      'a second wildcard',
      {
        name: 'r',
        virtual_hosts: [
          { name: 'a', domains: ['*'] },
          { name: 'b', domains: ['*'] },
        ],
      },
      'virtual_hosts[1].domains[0]: Only a single wildcard domain is permitted in route r',
    ],
    [
      'header mutations that touch pseudo-headers or host',
      withRoute({
        response_headers_to_add: [{ header: { key: ':path', value: 'x' } }],
        request_headers_to_remove: ['Host'],
      }),
      `${AT}.request_headers_to_remove[0]: :-prefixed or host headers may not be removed`,
      `${AT}.response_headers_to_add[0].header.key: :-prefixed or host headers may not be modified`,
    ],
    [
      'a bad format string',
      withRoute({ request_headers_to_add: [{ header: { key: 'a', value: '%FOO%' } }] }),
      `${AT}.request_headers_to_add[0].header.value: Not supported field in StreamInfo: FOO`,
    ],
    [
      'a direct response body over the limit',
      {
        ...withRoute({ direct_response: { status: 200, body: { inline_string: 'xxx' } } }),
        max_direct_response_body_size_bytes: 2,
      },
      `${AT}.direct_response.body: response body size is 3 bytes; maximum is 2`,
    ],
    [
      'weights that sum up to nothing, and clusters named twice or not at all',
      withAction({
        cluster: undefined!,
        weighted_clusters: { clusters: [{ name: 'a', cluster_header: 'b', weight: 0 }, { weight: 0 }, { name: 'c' }] },
      }),
      `${AT}.route.weighted_clusters.clusters[0]: Only one of name or cluster_header can be specified`,
      `${AT}.route.weighted_clusters.clusters[1]: At least one of name or cluster_header need to be specified`,
      `${AT}.route.weighted_clusters.clusters[2].weight: value is required`,
      `${AT}.route.weighted_clusters: Sum of weights in the weighted_cluster must be greater than 0.`,
    ],
    [
      'two path rewrites',
      withAction({ prefix_rewrite: '/x', regex_rewrite: { pattern: { regex: 'a' }, substitution: '' } }),
      `${AT}.route: Specify only one of prefix_rewrite, regex_rewrite or path_rewrite_policy`,
    ],
    [
      'a back-off that shrinks',
      withAction({ retry_policy: { retry_back_off: { base_interval: '1s', max_interval: '0.5s' } } }),
      `${AT}.route.retry_policy.retry_back_off.max_interval: retry_policy.max_interval must greater than or equal to the base_interval`,
    ],
    [
      'an upgrade named twice, and a connect_config for another upgrade',
      withAction({ upgrade_configs: [{ upgrade_type: 'a' }, { upgrade_type: 'A', connect_config: {} }] }),
      `${AT}.route.upgrade_configs[1].upgrade_type: Duplicate upgrade A`,
      `${AT}.route.upgrade_configs[1].connect_config: Non-CONNECT upgrade type A has ConnectConfig`,
    ],
    [
      'a mirror without a cluster or with two',
      withAction({ request_mirror_policies: [{}, { cluster: 'a', cluster_header: 'b' }] }),
      `${AT}.route.request_mirror_policies[0]: Exactly one of cluster or cluster_header in request mirror policy need to be specified`,
      `${AT}.route.request_mirror_policies[1]: Only one of cluster 'a' or cluster_header 'b' in request mirror policy can be specified`,
    ],
    [
      'unknown extensions where the route depends on them',
      withAction({
        retry_policy: {
          retry_host_predicate: [{ name: 'x', typed_config: fault }],
        },
        internal_redirect_policy: {
          predicates: [{ name: 'y', typed_config: fault }],
          response_headers_to_copy: ['Host'],
        },
      }),
      `${AT}.route.retry_policy.retry_host_predicate[0]: Didn't find a registered implementation for 'x' with type URL: 'type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault'`,
      `${AT}.route.internal_redirect_policy.predicates[0]: Didn't find a registered implementation for 'y' with type URL: 'type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault'`,
      `${AT}.route.internal_redirect_policy.response_headers_to_copy[0]: :-prefixed headers or Hosts may not be specified here.`,
    ],
    [
      'virtual clusters without headers',
      { virtual_hosts: [{ name: 'v', domains: ['*'], virtual_clusters: [{ name: 'x' }] }] },
      "virtual_hosts[0].virtual_clusters[0].headers: virtual clusters must define 'headers'",
    ],
    [
      'a bad URI template',
      withRoute({ match: uriTemplate('/a}') }),
      `${AT}.match.path_match_policy.typed_config.path_template: path_match_policy.path_template /a} is invalid: Invalid literal: "a}"`,
    ],
    [
      'a URI template rewrite that does not fit',
      {
        virtual_hosts: [
          {
            name: 'v',
            domains: ['*'],
            routes: [{ match: uriTemplate('/{a}'), route: { cluster: 'c', ...uriTemplateRewrite('/{b}') } }],
          },
        ],
      },
      `${AT}.route.path_rewrite_policy.typed_config.path_template_rewrite: mismatch between variables in path_match_policy /{a} and path_rewrite_policy: Nonexisting variable name`,
    ],
    [
      'a URI template rewrite without a URI template',
      withAction(uriTemplateRewrite('/x')),
      `${AT}.route.path_rewrite_policy: unable to use w extension without a uri_template path_match_policy`,
    ],
    [
      'prefix_rewrite with a URI template',
      {
        virtual_hosts: [
          {
            name: 'v',
            domains: ['*'],
            routes: [{ match: uriTemplate('/a'), route: { cluster: 'c', prefix_rewrite: '/b' } }],
          },
        ],
      },
      `${AT}.route.prefix_rewrite: Cannot use prefix_rewrite with matcher extension`,
    ],
    [
      'an empty FilterConfig',
      withRoute({
        typed_per_filter_config: { f: { '@type': 'type.googleapis.com/envoy.config.route.v3.FilterConfig' } },
      }),
      `${AT}.typed_per_filter_config.f: Empty route/virtual host per filter configuration for f filter`,
    ],
    [
      'what a route cannot do without',
      {
        vhds: { config_source: { ads: {} } },
        virtual_hosts: [
          {
            name: 'v',
            domains: ['*'],
            matcher: {},
            routes: [
              { match: { prefix: '/' }, route: { cluster_specifier_plugin: 'p' } },
              { match: { prefix: '/' }, filter_action: {} },
            ],
          },
        ],
      },
      'vhds: unsupported: virtual hosts from discovery (VHDS) need a route configuration that is discovered (RDS)',
      'virtual_hosts[0].matcher: unsupported: matcher trees are not implemented; use routes',
      `${AT}.route.cluster_specifier_plugin: unsupported: cluster specifier plugins are not implemented`,
      'virtual_hosts[0].routes[1].filter_action: unsupported: filter_action is not implemented',
    ],
  ] as [string, JsonObject, ...string[]][])('%s', (_, json, ...expected) => {
    expect(buildRoutes(JSON.parse(JSON.stringify(json)) as JsonObject).errors).toEqual(expected);
  });

  test('bad regexes wherever they stand', () => {
    const bad = { regex: 'a(' };
    const { errors } = buildRoutes({
      virtual_hosts: [
        {
          name: 'v',
          domains: ['*'],
          routes: [
            {
              match: {
                safe_regex: bad,
                headers: [
                  { name: 'x', safe_regex_match: bad },
                  { name: 'x', string_match: { safe_regex: bad } },
                ],
                query_parameters: [{ name: 'x', string_match: { safe_regex: bad } }],
              },
              route: {
                cluster: 'c',
                regex_rewrite: { pattern: bad, substitution: '' },
                host_rewrite_path_regex: { pattern: bad },
              },
            },
            { match: { prefix: '/' }, redirect: { regex_rewrite: { pattern: bad } } },
          ],
        },
      ],
    });
    expect(errors.map((error) => error.split(': ')[0])).toEqual([
      `${AT}.match.safe_regex.regex`,
      `${AT}.match.headers[0].safe_regex_match.regex`,
      `${AT}.match.headers[1].string_match.safe_regex.regex`,
      `${AT}.match.query_parameters[0].string_match.safe_regex.regex`,
      `${AT}.route.regex_rewrite.pattern.regex`,
      `${AT}.route.host_rewrite_path_regex.pattern.regex`,
      'virtual_hosts[0].routes[1].redirect.regex_rewrite.pattern.regex',
    ]);
  });
});

describe('unknown clusters', () => {
  const json = (validate_clusters?: boolean): JsonObject => ({
    ...(validate_clusters === undefined ? {} : { validate_clusters }),
    virtual_hosts: [
      {
        name: 'v',
        domains: ['*'],
        routes: [
          { match: { prefix: '/' }, route: { cluster: 'nope', request_mirror_policies: [{ cluster: 'gone' }] } },
          {
            match: { prefix: '/' },
            route: {
              weighted_clusters: {
                clusters: [
                  { name: 'known', weight: 1 },
                  { name: 'nope', weight: 1 },
                ],
              },
            },
          },
        ],
      },
    ],
  });
  const clusterExists = (name: string): boolean => name === 'known';
  const expected = [
    `${AT}.route.cluster: route: unknown cluster 'nope'`,
    `${AT}.route.request_mirror_policies[0].cluster: route: unknown shadow cluster 'gone'`,
    "virtual_hosts[0].routes[1].route.weighted_clusters.clusters[1].name: route: unknown cluster 'nope'",
  ];

  test.each([
    [true, undefined, expected],
    [false, undefined, []],
    [false, true, expected],
    [true, false, []],
  ])('by default %s, validate_clusters %s', (validateClusters, validate, errors) => {
    expect(buildRoutes(json(validate), { validateClusters, clusterExists }).errors).toEqual(errors);
  });

  test('the model lists the clusters that routes name', () => {
    expect(buildRoutes(json()).model.clusters).toEqual(['gone', 'known', 'nope']);
  });
});

describe('what is set and not implemented', () => {
  test('is named once, by path', () => {
    const { errors, unsupported } = buildRoutes({
      virtual_hosts: [
        {
          name: 'v',
          domains: ['*'],
          rate_limits: [
            { actions: [{ remote_address: {} }], limit: { dynamic_metadata: { metadata_key: { key: 'k' } } } },
          ],
          routes: [
            {
              match: { prefix: '/' },
              tracing: {},
              route: {
                cluster: 'c',
                cors: {},
                max_grpc_timeout: '1s',
                hash_policy: [{ header: { header_name: 'x' } }],
                hedge_policy: { initial_requests: 2 },
                retry_policy: { retry_priority: { name: 'x' } },
                upgrade_configs: [{ upgrade_type: 'CONNECT', connect_config: {} }],
                request_mirror_policies: [{ cluster: 'c', trace_sampled: true }],
              },
            },
          ],
        },
      ],
    });
    expect(errors).toEqual([]);
    expect(unsupported.toSorted()).toEqual([
      'virtual_hosts[0].rate_limits[0].limit',
      `${AT}.route.cors`,
      `${AT}.route.hedge_policy.initial_requests`,
      `${AT}.route.request_mirror_policies[0].trace_sampled`,
      `${AT}.route.retry_policy.retry_priority`,
      `${AT}.tracing`,
    ]);
  });
});

describe('typed_per_filter_config', () => {
  test('of a type that no filter knows is named unless it is optional', () => {
    const wrapped = { '@type': 'type.googleapis.com/envoy.config.route.v3.FilterConfig', config: fault };
    const json = withRoute({
      typed_per_filter_config: { a: fault, b: wrapped, c: { ...wrapped, is_optional: true } },
    });
    const known = (yes: boolean): BuiltRoutes =>
      buildRoutes(json, { validateClusters: false, isKnownRouteConfig: () => yes });
    expect(known(true).problems).toEqual([]);
    expect(known(false).unsupported).toEqual([`${AT}.typed_per_filter_config.a`, `${AT}.typed_per_filter_config.b`]);
  });

  test('given as a TypedStruct is handed on as what it stands for', async () => {
    const types = new TypeRegistry();
    await types.load(['xds.type.v3.TypedStruct', HTTPFaultSchema.typeName]);
    const json = withRoute({
      typed_per_filter_config: {
        f: {
          '@type': 'type.googleapis.com/xds.type.v3.TypedStruct',
          type_url: `type.googleapis.com/${HTTPFaultSchema.typeName}`,
          value: { upstream_cluster: 'x' },
        },
      },
    });
    const { model } = buildRoutes(json, { validateClusters: false, types });
    const { config } = model.virtualHosts[0]!.routes[0]!.perFilterConfigs[0]!;
    expect(config!.typeName).toBe(HTTPFaultSchema.typeName);
    expect(fromBinary(HTTPFaultSchema, config!.value).upstreamCluster).toBe('x');
  });
});

describe('policies', () => {
  const actionOf = (route: JsonObject, virtualHost: JsonObject = {}, config: JsonObject = {}): RouteActionModel => {
    const { model, errors } = buildRoutes({
      virtual_hosts: [{ name: 'v', domains: ['*'], routes: [{ match: { prefix: '/' }, ...route }], ...virtualHost }],
      ...config,
    });
    expect(errors).toEqual([]);
    const { action } = model.virtualHosts[0]!.routes[0]!;
    if (action.kind !== 'route') throw new Error('not a route action');
    return action;
  };

  test('a retry policy has the defaults of Envoy', () => {
    expect(actionOf({ route: { cluster: 'c', retry_policy: { retry_on: '5xx' } } }).retry).toEqual({
      retryOn: '5xx',
      numRetries: 1,
      perTryTimeoutMs: undefined,
      perTryIdleTimeoutMs: undefined,
      retriableStatusCodes: [],
      retriableHeaders: [],
      retriableRequestHeaders: [],
      backOffBaseMs: 25,
      backOffMaxMs: 250,
      rateLimited: undefined,
      hostPredicates: [],
      omitHostMetadata: undefined,
      hostSelectionMaxAttempts: 1,
      retryPriority: undefined,
    });
  });

  test('a retry policy carries what is set', () => {
    const retry_policy: JsonObject = {
      num_retries: 3,
      per_try_timeout: '0.25s',
      retriable_status_codes: [409],
      retriable_headers: [{ name: 'X-Retry' }],
      retry_back_off: { base_interval: '0.0001s', max_interval: '10s' },
      rate_limited_retry_back_off: {
        reset_headers: [{ name: 'Retry-After' }, { name: 'X-Reset', format: 'UNIX_TIMESTAMP' }],
      },
      retry_host_predicate: [
        {
          name: 'a',
          typed_config: {
            '@type': 'type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate',
          },
        },
        {
          name: 'b',
          typed_config: {
            '@type': 'type.googleapis.com/envoy.extensions.retry.host.omit_host_metadata.v3.OmitHostMetadataConfig',
            metadata_match: { filter_metadata: { 'envoy.lb': { bad: true } } },
          },
        },
      ],
      host_selection_retry_max_attempts: 5,
    };
    expect(actionOf({ route: { cluster: 'c', retry_policy } }).retry).toMatchObject({
      numRetries: 3,
      perTryTimeoutMs: 250,
      retriableStatusCodes: [409],
      retriableHeaders: [{ name: 'x-retry', match: { kind: 'present', present: true } }],
      backOffBaseMs: 1,
      backOffMaxMs: 10_000,
      rateLimited: {
        maxIntervalMs: 300_000,
        resetHeaders: [
          { name: 'retry-after', format: 'seconds' },
          { name: 'x-reset', format: 'unix-timestamp' },
        ],
      },
      hostPredicates: ['envoy.retry_host_predicates.previous_hosts', 'envoy.retry_host_predicates.omit_host_metadata'],
      omitHostMetadata: { 'envoy.lb': { bad: true } },
      hostSelectionMaxAttempts: 5,
    });
  });

  test('a route that says nothing takes them from its virtual host, mirrors also from the configuration', () => {
    const virtualHost = {
      retry_policy: { retry_on: 'reset' },
      hedge_policy: { hedge_on_per_try_timeout: true },
      per_request_buffer_limit_bytes: 7,
    };
    const config = { request_mirror_policies: [{ cluster: 'm' }] };
    const inherited = actionOf({ route: { cluster: 'c' } }, virtualHost, config);
    expect(inherited).toMatchObject({
      retry: { retryOn: 'reset' },
      hedgeOnPerTryTimeout: true,
      requestBufferLimitBytes: 7,
      mirrors: [{ cluster: 'm', numerator: 100, denominator: 100, runtimeKey: '', disableShadowHostSuffix: false }],
    });
    const own = actionOf(
      {
        per_request_buffer_limit_bytes: 8,
        route: {
          cluster: 'c',
          retry_policy: { retry_on: '5xx' },
          hedge_policy: {},
          request_mirror_policies: [{ cluster_header: 'X-M', runtime_fraction: { runtime_key: 'k' } }],
        },
      },
      virtualHost,
      config,
    );
    expect(own).toMatchObject({
      retry: { retryOn: '5xx' },
      hedgeOnPerTryTimeout: false,
      requestBufferLimitBytes: 8,
      mirrors: [{ cluster: '', clusterHeader: 'x-m', numerator: 0, runtimeKey: 'k' }],
    });
  });

  test.each([
    [{}, undefined],
    [
      { internal_redirect_policy: {} },
      { maxInternalRedirects: 1, redirectResponseCodes: [302], allowCrossScheme: false },
    ],
    [
      { internal_redirect_policy: { max_internal_redirects: 4, redirect_response_codes: [301, 200] } },
      { maxInternalRedirects: 4, redirectResponseCodes: [301] },
    ],
    [
      {
        internal_redirect_policy: {
          predicates: [
            {
              name: 'x',
              typed_config: {
                '@type':
                  'type.googleapis.com/envoy.extensions.internal_redirect.allow_listed_routes.v3.AllowListedRoutesConfig',
                allowed_route_names: ['a', 'b'],
              },
            },
          ],
        },
      },
      { predicates: ['envoy.internal_redirect_predicates.allow_listed_routes'], allowedRoutes: ['a', 'b'] },
    ],
    [{ internal_redirect_action: 'HANDLE_INTERNAL_REDIRECT', max_internal_redirects: 2 }, { maxInternalRedirects: 2 }],
  ] as [JsonObject, JsonObject | undefined][])('internal redirects of %j', (route, expected) => {
    const { internalRedirect } = actionOf({ route: { cluster: 'c', ...route } });
    if (expected === undefined) expect(internalRedirect).toBeUndefined();
    else expect(internalRedirect).toMatchObject(expected);
  });
});

describe('a direct response', () => {
  test('reads its body from a file', () => {
    const filename = join(mkdtempSync(join(tmpdir(), 'outrigger-')), 'body');
    writeFileSync(filename, 'caf\u00e9');
    const { model, errors } = buildRoutes(withRoute({ direct_response: { status: 200, body: { filename } } }));
    expect(errors).toEqual([]);
    expect(model.virtualHosts[0]!.routes[0]!.action).toMatchObject({ body: 'caf\xc3\xa9' });
  });
});

test('a model can be sent to another thread', () => {
  const { model } = buildRoutes(withAction({ retry_policy: {}, hash_policy: [{ cookie: { name: 'x', ttl: '1s' } }] }));
  expect(structuredClone(model)).toEqual(model);
});
