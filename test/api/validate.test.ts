import { beforeAll, describe, expect, test } from 'vitest';
import { nodeFromJson } from '../../src/api/config-node.ts';
import { MessageReader, typeNamesIn } from '../../src/api/message-reader.ts';
import { TypeRegistry } from '../../src/api/type-registry.ts';
import { MessageValidator } from '../../src/api/validate.ts';

const registry = new TypeRegistry();
const validator = new MessageValidator(registry);
const CLUSTER = 'envoy.config.cluster.v3.Cluster';
const ROUTES = 'envoy.config.route.v3.RouteConfiguration';

beforeAll(() => registry.load([CLUSTER, ROUTES, 'envoy.config.metrics.v3.StatsConfig']));

async function check(typeName: string, value: unknown) {
  const node = nodeFromJson(value);
  await registry.load([typeName, ...typeNamesIn(node)]);
  const desc = registry.get(typeName)!;
  const reader = new MessageReader(registry);
  const message = reader.read(desc, node);
  expect(reader.problems).toEqual([]);
  const { problems, deprecated } = validator.validate(desc, message);
  return { problems: problems.map((problem) => `${problem.path}: ${problem.message}`), deprecated };
}

describe('rules', () => {
  test.each<[string, string, unknown, string[]]>([
    ['min_len', CLUSTER, { name: '' }, ['name: value length must be at least 1 characters']],
    ['duration gt', CLUSTER, { name: 'a', connect_timeout: '0s' }, ['connect_timeout: value must be greater than 0s']],
    [
      'negative durations',
      CLUSTER,
      { name: 'a', cleanup_interval: '-1s' },
      ['cleanup_interval: value must be greater than 0s', 'cleanup_interval: expected a positive duration'],
    ],
    [
      'defined_only',
      CLUSTER,
      { name: 'a', lb_policy: 99 },
      ['lb_policy: value must be one of the defined enum values'],
    ],
    [
      'required messages, oneofs and items',
      CLUSTER,
      { name: 'a', health_checks: [{}] },
      [
        'health_checks[0].timeout: value is required',
        'health_checks[0].interval: value is required',
        'health_checks[0].unhealthy_threshold: value is required',
        'health_checks[0].healthy_threshold: value is required',
        'health_checks[0]: one of http_health_check, tcp_health_check, grpc_health_check, custom_health_check is required (health_checker)',
      ],
    ],
    [
      'wrapped numbers',
      CLUSTER,
      { name: 'a', outlier_detection: { max_ejection_percent: 101 } },
      ['outlier_detection.max_ejection_percent: value must be less than or equal to 100'],
    ],
    [
      'wide numbers',
      CLUSTER,
      { name: 'a', ring_hash_lb_config: { minimum_ring_size: '8388609' } },
      ['ring_hash_lb_config.minimum_ring_size: value must be less than or equal to 8388608'],
    ],
    [
      'nested numbers',
      CLUSTER,
      { name: 'a', load_assignment: { cluster_name: 'a', endpoints: [{ priority: 129 }] } },
      ['load_assignment.endpoints[0].priority: value must be less than or equal to 128'],
    ],
    [
      'min_items',
      ROUTES,
      { virtual_hosts: [{ name: 'a' }] },
      ['virtual_hosts[0].domains: value must contain at least 1 item(s)'],
    ],
    [
      'header names in lists',
      ROUTES,
      { request_headers_to_remove: ['ok', 'a b', 'a\nb'] },
      [expect.stringContaining('request_headers_to_remove[2]: value is not a valid header name') as unknown as string],
    ],
    [
      'unique items and their bounds',
      'envoy.config.metrics.v3.StatsConfig',
      {
        histogram_bucket_settings: [{ match: { exact: 'a' }, buckets: [1, 1, 0] }],
      },
      [
        'histogram_bucket_settings[0].buckets: repeated value must contain unique items',
        'histogram_bucket_settings[0].buckets[2]: value must be greater than 0',
      ],
    ],
    [
      'keys of maps',
      CLUSTER,
      { name: 'a', metadata: { filter_metadata: { '': {} } } },
      ['metadata.filter_metadata.: value length must be at least 1 characters'],
    ],
    [
      'ranges',
      'envoy.config.bootstrap.v3.Bootstrap',
      { stats_flush_interval: '0.0001s' },
      ['stats_flush_interval: value must be inside range [1ms, 5m0s)'],
    ],
    [
      'constants',
      'envoy.config.bootstrap.v3.Bootstrap',
      { stats_flush_on_admin: false },
      ['stats_flush_on_admin: value must equal true'],
    ],
    [
      'patterns',
      'envoy.config.route.v3.RouteMatch',
      { path_separated_prefix: '/a/' },
      ['path_separated_prefix: value does not match regex pattern "^[^?#]+[^?#/]$"'],
    ],
    [
      'ignore_empty',
      'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
      {
        stat_prefix: 'a',
        rds: { config_source: { ads: {} } },
        scheme_header_transformation: { scheme_to_overwrite: 'ftp' },
      },
      ['scheme_header_transformation.scheme_to_overwrite: value must be in list [http https]'],
    ],
  ])('%s', async (_, typeName, value, problems) => {
    expect((await check(typeName, value)).problems).toEqual(problems);
  });

  test('nothing to find', async () => {
    const cluster = { name: 'a', connect_timeout: '1s', load_assignment: { cluster_name: 'a' } };
    expect(await check(CLUSTER, cluster)).toEqual({ problems: [], deprecated: [] });
  });

  test('reach into Anys and TypedStructs', async () => {
    const typeName = 'envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport';
    const inAny = { '@type': `type.googleapis.com/${typeName}`, config: {} };
    const inStruct = {
      '@type': 'type.googleapis.com/udpa.type.v1.TypedStruct',
      type_url: `type.googleapis.com/${typeName}`,
      value: { config: {}, confg: 1 },
    };
    const socket = (config: unknown) => ({ name: 'a', transport_socket: { name: 'x', typed_config: config } });
    expect((await check(CLUSTER, socket(inAny))).problems).toEqual([
      'transport_socket.typed_config.transport_socket: value is required',
    ]);
    expect((await check(CLUSTER, socket(inStruct))).problems).toEqual([
      `transport_socket.typed_config.value.confg: unknown field of ${typeName} (did you mean 'config'?)`,
      'transport_socket.typed_config.value.transport_socket: value is required',
    ]);
  });
});

test('deprecated fields are named', async () => {
  const { problems, deprecated } = await check(CLUSTER, { name: 'a', http2_protocol_options: {} });
  expect(problems).toEqual([]);
  expect(deprecated).toEqual([
    {
      path: 'http2_protocol_options',
      field: 'envoy.config.cluster.v3.Cluster.http2_protocol_options',
      file: 'cluster.proto',
    },
  ]);
});
