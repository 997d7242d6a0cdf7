import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadTypesOf } from '../../../src/api/any.ts';
import { ClusterSchema } from '../../../src/api/generated/envoy/config/cluster/v3/cluster_pb.js';
import { TypeRegistry } from '../../../src/api/type-registry.ts';
import { buildCluster } from '../../../src/config/builders/cluster.ts';
import type { BuiltCluster, DiscoveryModel } from '../../../src/config/cluster-model.ts';
import { Problems, type Problem } from '../../../src/config/problem.ts';

const HTTP_OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const TCP_OPTIONS = 'envoy.extensions.upstreams.tcp.v3.TcpProtocolOptions';
const POLICIES = 'envoy.extensions.load_balancing_policies.';
const types = new TypeRegistry();

beforeAll(async () => {
  // What the JSON of these tests names in Anys; the loader of a bootstrap does this by itself.
  await types.load([
    ClusterSchema.typeName,
    HTTP_OPTIONS,
    TCP_OPTIONS,
    `${POLICIES}least_request.v3.LeastRequest`,
    `${POLICIES}cluster_provided.v3.ClusterProvided`,
    `${POLICIES}maglev.v3.Maglev`,
    `${POLICIES}pick_first.v3.PickFirst`,
    `${POLICIES}random.v3.Random`,
    `${POLICIES}ring_hash.v3.RingHash`,
    `${POLICIES}round_robin.v3.RoundRobin`,
    `${POLICIES}wrr_locality.v3.WrrLocality`,
    'envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig',
    'envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig',
    'envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer',
    'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
  ]);
});

async function build(fields: JsonObject): Promise<{ built: BuiltCluster; problems: readonly Problem[] }> {
  const message = fromJson(ClusterSchema, { name: 'backend', ...fields }, { registry: types.loaded });
  await loadTypesOf(types, ClusterSchema, message);
  const problems = new Problems();
  return { built: buildCluster(message, problems, types), problems: problems.list };
}

const any = (typeName: string, fields: JsonObject = {}): JsonObject => ({
  '@type': `type.googleapis.com/${typeName}`,
  ...fields,
});
const at = (address: string, port: number, more: JsonObject = {}): JsonObject => ({
  endpoint: { address: { socket_address: { address, port_value: port } } },
  ...more,
});
const policy = (name: string, fields: JsonObject = {}): JsonObject => ({
  policies: [{ typed_extension_config: { name, typed_config: any(`${POLICIES}${name}`, fields) } }],
});
const options = (fields: JsonObject): JsonObject => ({
  typed_extension_protocol_options: { [HTTP_OPTIONS]: any(HTTP_OPTIONS, fields) },
});

describe('buildCluster', () => {
  test('the defaults are those of Envoy', async () => {
    const { built, problems } = await build({});
    expect(problems).toEqual([]);
    expect(built).toMatchObject({ waitForWarmOnInit: true, discovery: { kind: 'static' } });
    expect(built.model).toMatchObject({
      name: 'backend',
      altStatName: 'backend',
      discoveryType: 'STATIC',
      connectTimeoutMs: 5000,
      perConnectionBufferLimitBytes: 1048576,
      loadBalancer: { policy: 'round-robin' },
      healthyPanicThresholdPercent: 50,
      idleTimeoutMs: 3_600_000,
      maxConnectionDurationMs: 0,
      maxRequestsPerConnection: 0,
      tcpKeepalive: undefined,
      bind: undefined,
      overrideHostStatuses: ['unknown', 'healthy', 'degraded'],
    });
    expect(built.model.thresholds.high).toMatchObject({ maxConnections: 1024, maxRetries: 3, retryBudget: undefined });
    expect(built.model.http1).toMatchObject({ maxHeadersCount: 100, maxHeadersBytes: 61440, allowAbsoluteUrl: true });
  });

  test('everything travels to a worker as it is', async () => {
    const { built } = await build({
      load_assignment: { cluster_name: 'x', endpoints: [{ lb_endpoints: [at('10.0.0.1', 1)] }] },
    });
    expect(structuredClone(built)).toEqual(built);
  });

  test('endpoints with localities, priorities, weights, health and metadata', async () => {
    const { built, problems } = await build({
      load_assignment: {
        cluster_name: 'x',
        endpoints: [
          {
            locality: { region: 'r', zone: 'z', sub_zone: 's' },
            load_balancing_weight: 3,
            lb_endpoints: [
              at('10.0.0.1', 80, { load_balancing_weight: 7, health_status: 'DRAINING' }),
              { endpoint: { hostname: 'h', address: { pipe: { path: '/tmp/s' } } } },
            ],
          },
          {
            priority: 1,
            lb_endpoints: [at('::1', 81, { metadata: { filter_metadata: { 'envoy.lb': { canary: true } } } })],
          },
        ],
        policy: { overprovisioning_factor: 200, weighted_priority_health: true },
      },
    });
    expect(problems).toEqual([]);
    const { assignment } = built.discovery as Extract<DiscoveryModel, { kind: 'static' }>;
    expect(assignment).toMatchObject({ overprovisioningFactor: 2, weightedPriorityHealth: true });
    expect(assignment.localities).toMatchObject([
      { region: 'r', zone: 'z', subZone: 's', weight: 3, priority: 0 },
      { weight: undefined, priority: 1 },
    ]);
    expect(assignment.endpoints).toMatchObject([
      { address: { host: '10.0.0.1', port: 80 }, weight: 7, healthStatus: 'draining', locality: 0, canary: false },
      { address: { kind: 'pipe', path: '/tmp/s' }, hostname: 'h', weight: 1 },
      { address: { host: '::1' }, priority: 1, locality: 1, canary: true },
    ]);
  });

  test('circuit breakers of both priorities', async () => {
    const { built } = await build({
      circuit_breakers: {
        thresholds: [
          { max_connections: 1, max_pending_requests: 2, max_requests: 0, max_retries: 4, track_remaining: true },
          { priority: 'HIGH', retry_budget: { min_retry_concurrency: 9 } },
        ],
        per_host_thresholds: [{ max_connections: 5 }],
      },
    });
    expect(built.model.thresholds).toMatchObject({
      default: { maxConnections: 1, maxPendingRequests: 2, maxRequests: 0, maxRetries: 4, trackRemaining: true },
      high: { maxConnections: 1024, retryBudget: { budgetPercent: 20, minRetryConcurrency: 9 } },
    });
    expect(built.model.perHostMaxConnections).toBe(5);
  });

  test('HTTP/1 options, typed', async () => {
    const { built, problems } = await build(
      options({
        common_http_protocol_options: {
          idle_timeout: '0s',
          max_connection_duration: '1.5s',
          max_requests_per_connection: 10,
          max_headers_count: 7,
        },
        explicit_http_config: {
          http_protocol_options: {
            enable_trailers: true,
            header_key_format: {
              stateful_formatter: {
                name: 'preserve_case',
                typed_config: any(
                  'envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig',
                  { forward_reason_phrase: true },
                ),
              },
            },
          },
        },
      }),
    );
    expect(problems).toEqual([]);
    expect(built.model).toMatchObject({
      idleTimeoutMs: 0,
      maxConnectionDurationMs: 1500,
      maxRequestsPerConnection: 10,
    });
    expect(built.model.http1).toMatchObject({
      enableTrailers: true,
      headerCase: 'preserve',
      forwardReasonPhrase: true,
      maxHeadersCount: 7,
    });
  });

  test('HTTP/1 options, by the deprecated fields', async () => {
    const { built } = await build({
      common_http_protocol_options: { idle_timeout: '2s' },
      http_protocol_options: { header_key_format: { proper_case_words: {} } },
      max_requests_per_connection: 3,
    });
    expect(built.model).toMatchObject({ idleTimeoutMs: 2000, maxRequestsPerConnection: 3 });
    expect(built.model.http1.headerCase).toBe('proper');
  });

  test.each([
    [{ lb_policy: 'RANDOM' }, { policy: 'random' }, false],
    [
      { lb_policy: 'LEAST_REQUEST', least_request_lb_config: { choice_count: 4 } },
      { policy: 'least-request', choiceCount: 4, activeRequestBias: 1, fullScan: false },
      false,
    ],
    [{ load_balancing_policy: policy('round_robin.v3.RoundRobin') }, { policy: 'round-robin' }, false],
    [
      {
        load_balancing_policy: policy('least_request.v3.LeastRequest', {
          selection_method: 'FULL_SCAN',
          locality_lb_config: { locality_weighted_lb_config: {} },
        }),
      },
      { policy: 'least-request', fullScan: true },
      true,
    ],
    [
      {
        load_balancing_policy: policy('wrr_locality.v3.WrrLocality', {
          endpoint_picking_policy: policy('random.v3.Random'),
        }),
      },
      { policy: 'random' },
      true,
    ],
    [{ common_lb_config: { locality_weighted_lb_config: {} } }, { policy: 'round-robin' }, true],
  ])('load balancing %#', async (fields, expected, localityWeighted) => {
    const { built, problems } = await build(fields as JsonObject);
    expect(problems).toEqual([]);
    expect(built.model.loadBalancer).toMatchObject(expected);
    expect(built.model.localityWeighted).toBe(localityWeighted);
  });

  test('a list of policies is gone through until there is one that we have', async () => {
    const pickFirst = policy('pick_first.v3.PickFirst')['policies'] as JsonObject[];
    const random = policy('random.v3.Random')['policies'] as JsonObject[];
    const { built } = await build({ load_balancing_policy: { policies: [...pickFirst, ...random] } });
    expect(built.model.loadBalancer).toEqual({ policy: 'random' });
    const none = await build({ load_balancing_policy: { policies: pickFirst } });
    expect(none.problems[0]).toMatchObject({ severity: 'error', path: 'load_balancing_policy' });
    expect(none.problems[0]!.message).toContain('pick_first');
  });

  const ring = {
    policy: 'ring-hash',
    minimumRingSize: 1024,
    maximumRingSize: 8_388_608,
    hashFunction: 'xx-hash',
    useHostname: false,
    hashBalanceFactor: 0,
  };
  test.each([
    [{ lb_policy: 'RING_HASH' }, ring],
    [
      {
        lb_policy: 'RING_HASH',
        ring_hash_lb_config: { minimum_ring_size: '10', maximum_ring_size: '20', hash_function: 'MURMUR_HASH_2' },
        common_lb_config: { consistent_hashing_lb_config: { hash_balance_factor: 125 } },
      },
      {
        ...ring,
        minimumRingSize: 10,
        maximumRingSize: 20,
        hashFunction: 'murmur-hash-2',
        hashBalanceFactor: 125,
      },
    ],
    [
      {
        load_balancing_policy: policy('ring_hash.v3.RingHash', {
          hash_function: 'MURMUR_HASH_2',
          use_hostname_for_hashing: true,
        }),
      },
      { ...ring, hashFunction: 'murmur-hash-2', useHostname: true },
    ],
    [
      {
        load_balancing_policy: policy('ring_hash.v3.RingHash', {
          use_hostname_for_hashing: true,
          consistent_hashing_lb_config: { hash_balance_factor: 150 },
        }),
      },
      { ...ring, hashBalanceFactor: 150 },
    ],
    [{ lb_policy: 'MAGLEV' }, { policy: 'maglev', tableSize: 65_537, useHostname: false, hashBalanceFactor: 0 }],
    [
      { load_balancing_policy: policy('maglev.v3.Maglev', { table_size: '101' }) },
      { policy: 'maglev', tableSize: 101, useHostname: false, hashBalanceFactor: 0 },
    ],
  ])('consistent hashing %#', async (fields, expected) => {
    const { built, problems } = await build(fields as JsonObject);
    expect(problems).toEqual([]);
    expect(built.model.loadBalancer).toEqual(expected);
  });

  test.each([
    [{ http2_protocol_options: { max_concurrent_streams: 7 } }, 'http2', 7],
    [{ protocol_selection: 'USE_DOWNSTREAM_PROTOCOL', http2_protocol_options: {} }, 'downstream', 1024],
    [options({ explicit_http_config: { http_protocol_options: {} } }), 'http1', 1024],
    [options({ explicit_http_config: { http2_protocol_options: { max_concurrent_streams: 9 } } }), 'http2', 9],
    [
      options({ use_downstream_protocol_config: { http2_protocol_options: { max_concurrent_streams: 8 } } }),
      'downstream',
      8,
    ],
  ])('HTTP version %#', async (fields, version, streams) => {
    const { built, problems } = await build(fields as JsonObject);
    expect(problems).toEqual([]);
    expect(built.model).toMatchObject({ httpVersion: version, http2: { maxConcurrentStreams: streams } });
  });

  test('names by SNI, and the idle timeout of TCP', async () => {
    const { built, problems } = await build({
      typed_extension_protocol_options: {
        [HTTP_OPTIONS]: any(HTTP_OPTIONS, {
          explicit_http_config: { http_protocol_options: {} },
          upstream_http_protocol_options: {
            auto_sni: true,
            auto_san_validation: true,
            override_auto_sni_header: 'X-Name',
          },
        }),
        [TCP_OPTIONS]: any(TCP_OPTIONS, { idle_timeout: '3s' }),
      },
    });
    expect(problems).toEqual([]);
    expect(built.model).toMatchObject({
      autoSni: { overrideHeader: 'x-name' },
      autoSanValidation: true,
      tcpIdleTimeoutMs: 3000,
      idleTimeoutMs: 3_600_000,
    });
  });

  test('transport sockets by endpoint', async () => {
    const raw = any('envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer');
    const { built, problems } = await build({
      transport_socket_matches: [
        { name: 'one', match: { mtls: 'yes' }, transport_socket: { name: 'raw', typed_config: raw } },
        { name: 'rest', transport_socket: { name: 'raw', typed_config: raw } },
      ],
    });
    expect(problems).toEqual([]);
    expect(built.model.transportSocketMatches).toEqual([
      { name: 'one', match: { mtls: 'yes' }, socket: { kind: 'raw-buffer' } },
      { name: 'rest', match: {}, socket: { kind: 'raw-buffer' } },
    ]);
  });

  test('original destinations', async () => {
    const { built, problems } = await build({
      type: 'ORIGINAL_DST',
      lb_policy: 'CLUSTER_PROVIDED',
      cleanup_interval: '2s',
      original_dst_lb_config: {
        use_http_header: true,
        upstream_port_override: 8080,
        metadata_key: { key: 'a.filter', path: [{ key: 'to' }, { key: 'host' }] },
      },
    });
    expect(problems).toEqual([]);
    expect(built.model).toMatchObject({ discoveryType: 'ORIGINAL_DST', loadBalancer: { policy: 'cluster-provided' } });
    expect(built.model.originalDestination).toEqual({
      headerName: 'x-envoy-original-dst-host',
      metadataKey: { filter: 'a.filter', path: ['to', 'host'] },
      portOverride: 8080,
      cleanupIntervalMs: 2000,
    });
  });

  test('DNS clusters', async () => {
    const { built, problems } = await build({
      type: 'STRICT_DNS',
      dns_refresh_rate: '2s',
      respect_dns_ttl: true,
      dns_lookup_family: 'V4_PREFERRED',
      dns_failure_refresh_rate: { base_interval: '1s' },
      typed_dns_resolver_config: {
        name: 'cares',
        typed_config: any('envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig', {
          resolvers: [{ socket_address: { address: '::1', port_value: 53 } }],
        }),
      },
      load_assignment: { cluster_name: 'x', endpoints: [{ lb_endpoints: [at('a.test', 80)] }] },
    });
    expect(problems).toEqual([]);
    expect(built.discovery).toMatchObject({
      kind: 'strict-dns',
      dns: {
        lookupFamily: 'V4_PREFERRED',
        refreshRateMs: 2000,
        failureRefresh: { baseMs: 1000, maxMs: 10_000 },
        respectTtl: true,
        resolvers: ['[::1]:53'],
      },
    });
  });

  test('sockets: keepalive, source address, plain transport', async () => {
    const { built, problems } = await build({
      upstream_connection_options: { tcp_keepalive: { keepalive_time: 10, keepalive_probes: 2 } },
      upstream_bind_config: { source_address: { address: '127.0.0.2', port_value: 0 } },
      transport_socket: {
        name: 'raw',
        typed_config: any('envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer'),
      },
    });
    expect(problems).toEqual([]);
    expect(built.model).toMatchObject({
      tcpKeepalive: { probes: 2, timeMs: 10_000, intervalMs: undefined },
      bind: { address: '127.0.0.2', port: 0 },
    });
  });

  test.each([
    [{ type: 'EDS' }, 'eds_cluster_config', /cannot create an EDS cluster without an EDS config/],
    [
      { type: 'STATIC', eds_cluster_config: { service_name: 's' } },
      'eds_cluster_config',
      /eds_cluster_config set in a non-EDS cluster/,
    ],
    [{ cluster_type: { name: 'envoy.clusters.aggregate' } }, 'cluster_type', /aggregate/],
    [{ lb_policy: 'CLUSTER_PROVIDED' }, 'lb_policy', /did not provide one/],
    [{ lb_policy: 'LOAD_BALANCING_POLICY_CONFIG' }, 'load_balancing_policy', /need to be set/],
    [
      options({ explicit_http_config: { http3_protocol_options: {} } }),
      `typed_extension_protocol_options.${HTTP_OPTIONS}.explicit_http_config.http3_protocol_options`,
      /HTTP\/3/,
    ],
    [
      options({ auto_config: {} }),
      'typed_extension_protocol_options',
      /ALPN configured for cluster backend which has a non-ALPN transport socket/,
    ],
    [{ type: 'ORIGINAL_DST' }, 'lb_policy', /LB policy ROUND_ROBIN is not valid for Cluster type ORIGINAL_DST/],
    [
      { type: 'ORIGINAL_DST', lb_policy: 'CLUSTER_PROVIDED', load_assignment: { cluster_name: 'x' } },
      'load_assignment',
      /must have no load assignment/,
    ],
    [
      {
        type: 'ORIGINAL_DST',
        lb_policy: 'CLUSTER_PROVIDED',
        original_dst_lb_config: { http_header_name: 'x-to' },
      },
      'original_dst_lb_config',
      /http_header_name=x-to and use_http_header is false/,
    ],
    [
      { lb_policy: 'MAGLEV', maglev_lb_config: { table_size: '100' } },
      'maglev_lb_config.table_size',
      /must be prime number/,
    ],
    [
      { lb_policy: 'RING_HASH', ring_hash_lb_config: { minimum_ring_size: '100', maximum_ring_size: '10' } },
      'ring_hash_lb_config',
      /minimum_ring_size \(100\) > maximum_ring_size \(10\)/,
    ],
    [
      { lb_policy: 'MAGLEV', common_lb_config: { consistent_hashing_lb_config: { use_hostname_for_hashing: true } } },
      'common_lb_config.consistent_hashing_lb_config',
      /Cannot use hostname .* of type: 'envoy\.cluster\.static'/,
    ],
    [
      { load_assignment: { cluster_name: 'x', endpoints: [{ lb_endpoints: [at('a.test', 80)] }] } },
      'load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.address',
      /malformed IP address: a\.test/,
    ],
    [
      {
        type: 'LOGICAL_DNS',
        load_assignment: { cluster_name: 'x', endpoints: [{ lb_endpoints: [at('a.test', 80), at('b.test', 80)] }] },
      },
      'load_assignment',
      /single locality_lb_endpoint/,
    ],
  ])('refuses what it cannot do %#', async (fields, path, message) => {
    const { problems } = await build(fields as JsonObject);
    expect(problems).toMatchObject([{ severity: 'error', path }]);
    expect(problems[0]!.message).toMatch(message);
  });

  test('names what it does not implement, and nothing else', async () => {
    const { problems } = await build({
      health_checks: [
        { timeout: '1s', interval: '1s', tcp_health_check: {}, unhealthy_threshold: 1, healthy_threshold: 1 },
      ],
      outlier_detection: {},
      lb_subset_config: {},
      preconnect_policy: {},
      connection_pool_per_downstream_connection: true,
      round_robin_lb_config: { slow_start_config: {} },
      circuit_breakers: { thresholds: [{ max_connection_pools: 1 }] },
      load_assignment: { cluster_name: 'x', policy: { drop_overloads: [{ category: 'c' }] } },
      alt_stat_name: 'alt',
      close_connections_on_host_health_failure: true,
    });
    expect(problems.map(({ severity, path }) => `${severity} ${path}`).sort()).toEqual(
      [
        'circuit_breakers.thresholds[0].max_connection_pools',
        'connection_pool_per_downstream_connection',
        'health_checks',
        'lb_subset_config',
        'outlier_detection',
        'preconnect_policy',
        'round_robin_lb_config.slow_start_config',
      ].map((path) => `unsupported ${path}`),
    );
  });
});
