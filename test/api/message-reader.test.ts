import { toJson } from '@bufbuild/protobuf';
import { beforeAll, describe, expect, test } from 'vitest';
import { nodeFromJson } from '../../src/api/config-node.ts';
import { MessageReader, typeNamesIn } from '../../src/api/message-reader.ts';
import { TypeRegistry } from '../../src/api/type-registry.ts';

const CLUSTER = 'envoy.config.cluster.v3.Cluster';
const registry = new TypeRegistry();
beforeAll(() => registry.load([CLUSTER, 'envoy.config.core.v3.Node', 'envoy.admin.v3.ServerInfo']));

async function read(typeName: string, value: unknown): Promise<{ json: unknown; problems: string[] }> {
  const node = nodeFromJson(value);
  await registry.load(typeNamesIn(node));
  const reader = new MessageReader(registry);
  const desc = registry.get(typeName)!;
  const message = reader.read(desc, node);
  return {
    json: toJson(desc, message, { registry: registry.loaded, useProtoFieldName: true }),
    problems: reader.problems.map((problem) => `${problem.path}: ${problem.message}`),
  };
}

describe('values', () => {
  test.each<[string, unknown, unknown]>([
    ['names in both cases', { lbPolicy: 'RANDOM', alt_stat_name: 'x' }, { lb_policy: 'RANDOM', alt_stat_name: 'x' }],
    ['enums by number', { lb_policy: 3 }, { lb_policy: 'RANDOM' }],
    ['enums by number in quotes', { lb_policy: '3' }, { lb_policy: 'RANDOM' }],
    ['enums in any case', { lb_policy: 'Ring_hash' }, { lb_policy: 'RING_HASH' }],
    ['durations', { connect_timeout: '1.5s' }, { connect_timeout: '1.500s' }],
    ['durations as objects', { connect_timeout: { seconds: 2, nanos: 5 } }, { connect_timeout: '2.000000005s' }],
    ['wrappers', { per_connection_buffer_limit_bytes: 5 }, { per_connection_buffer_limit_bytes: 5 }],
    [
      'wrappers as objects',
      { per_connection_buffer_limit_bytes: { value: 5 } },
      { per_connection_buffer_limit_bytes: 5 },
    ],
    ['numbers in quotes', { per_connection_buffer_limit_bytes: '0x10' }, { per_connection_buffer_limit_bytes: 16 }],
    ['exponents', { per_connection_buffer_limit_bytes: 1e3 }, { per_connection_buffer_limit_bytes: 1000 }],
    [
      '64 bits',
      { least_request_lb_config: { active_request_bias: { default_value: 1.5, runtime_key: 'k' } } },
      {
        least_request_lb_config: { active_request_bias: { default_value: 1.5, runtime_key: 'k' } },
      },
    ],
    [
      'wide integers as text',
      { ring_hash_lb_config: { minimum_ring_size: '18446744073709551615' } },
      {
        ring_hash_lb_config: { minimum_ring_size: '18446744073709551615' },
      },
    ],
    ['null as unset', { name: 'a', connect_timeout: null, health_checks: null }, { name: 'a' }],
    ['a lone value for a list', { filters: { name: 'a' } }, { filters: [{ name: 'a' }] }],
    [
      'metadata',
      { metadata: { filter_metadata: { 'a.b': { c: [1, 'x', null, { d: true }] } } } },
      {
        metadata: { filter_metadata: { 'a.b': { c: [1, 'x', null, { d: true }] } } },
      },
    ],
    [
      'an empty Any',
      { cluster_type: { name: 'a', typed_config: {} } },
      {
        cluster_type: { name: 'a', typed_config: {} },
      },
    ],
    ['a oneof', { type: 'EDS' }, { type: 'EDS' }],
    [
      'the key __proto__',
      { metadata: { filter_metadata: JSON.parse('{"__proto__": {"a": 1}}') } },
      {
        metadata: { filter_metadata: JSON.parse('{"__proto__": {"a": 1}}') },
      },
    ],
  ])('%s', async (_, value, json) => {
    expect(await read(CLUSTER, value)).toEqual({ json, problems: [] });
  });

  test('bytes in either alphabet', async () => {
    const cluster = (text: string) => ({
      health_checks: [{ tcp_health_check: { send: { binary: text } } }],
    });
    for (const text of ['+/8=', '-_8=', '-_8'])
      expect(await read(CLUSTER, cluster(text))).toEqual({ json: cluster('+/8='), problems: [] });
  });

  test('an Any, and Anys in it', async () => {
    const config = {
      transport_socket: {
        name: 'a',
        typed_config: {
          '@type':
            'type.googleapis.com/envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport',
          transport_socket: {
            name: 'b',
            typed_config: {
              '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer',
            },
          },
        },
      },
    };
    expect(await read(CLUSTER, config)).toEqual({ json: config, problems: [] });
  });

  test('an Any of a well-known type holds it under `value`', async () => {
    const config = {
      cluster_type: {
        typed_config: { '@type': 'type.googleapis.com/google.protobuf.Duration', value: '2s' },
      },
    };
    expect(await read(CLUSTER, config)).toEqual({ json: config, problems: [] });
  });
});

describe('problems', () => {
  test('all are found, each at its path', async () => {
    const { problems } = await read(CLUSTER, {
      nmae: 'a',
      lb_policy: 'ROUNDROBIN',
      connect_timeout: 5,
      dns_refresh_rate: '5',
      per_connection_buffer_limit_bytes: -1,
      respect_dns_ttl: 'maybe',
      health_checks: [{ timeout: '1s' }, 'x', { interval: [], reuse_connection: 1 }],
      metadata: { filter_metadata: { 'a.b': 1 } },
      type: 'EDS',
      cluster_type: { name: 'x' },
      load_assignment: [],
      transport_socket: { typed_config: { '@type': 'type.googleapis.com/envoy.Nope' } },
      upstream_config: { typed_config: { foo: 1 } },
    });
    expect(problems).toEqual([
      "nmae: unknown field of envoy.config.cluster.v3.Cluster (did you mean 'name'?)",
      "lb_policy: unknown value 'ROUNDROBIN' of the enum envoy.config.cluster.v3.Cluster.LbPolicy (did you mean 'ROUND_ROBIN'?)",
      "connect_timeout: expected a duration in seconds such as '1.5s', found the number 5 (did you mean '5s'?)",
      "dns_refresh_rate: expected a duration in seconds such as '1.5s', found '5' (did you mean '5s'?)",
      'per_connection_buffer_limit_bytes: -1 is out of range for uint32',
      'respect_dns_ttl: expected true or false, found the string "maybe"',
      'health_checks[1]: expected an object (envoy.config.core.v3.HealthCheck), found the string "x"',
      "health_checks[2].interval: expected a duration in seconds such as '1.5s', found a list",
      'health_checks[2].reuse_connection: expected true or false, found the number 1',
      'metadata.filter_metadata.a.b: expected an object, found the number 1',
      "cluster_type: 'type' is set too, and only one of 'cluster_discovery_type' can be",
      'load_assignment: expected an object (envoy.config.endpoint.v3.ClusterLoadAssignment), found a list',
      "transport_socket.typed_config.@type: unknown type 'envoy.Nope'",
      "upstream_config.typed_config: '@type' is missing: it names the message that this is",
    ]);
  });

  test.each<[string, unknown, string]>([
    [
      'a string in place of the type',
      'envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer',
      "did you mean 'type.googleapis.com/envoy.extensions",
    ],
    [
      'another folder',
      'type.googleapis.com/envoy.config.foo.v3.RawBuffer',
      "did you mean 'envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer'?",
    ],
    ['a number', 5, 'expected a type URL'],
  ])('a bad @type: %s', async (_, type, message) => {
    const { problems } = await read(CLUSTER, { transport_socket: { typed_config: { '@type': type } } });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(message);
  });

  test('unknown fields are marked, inside of an Any too, and the rest is read', async () => {
    const node = nodeFromJson({
      transport_socket: {
        name: 'a',
        typed_config: {
          '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer',
          foo: 1,
        },
      },
    });
    const reader = new MessageReader(registry);
    const message = reader.read(registry.get(CLUSTER)!, node) as unknown as {
      transportSocket: { configType: { value: { typeUrl: string } } };
    };
    expect(reader.problems).toEqual([
      {
        path: 'transport_socket.typed_config.foo',
        message: 'unknown field of envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer',
        unknownField: true,
      },
    ]);
    expect(message.transportSocket.configType.value.typeUrl).toContain('RawBuffer');
  });
});

test('a registry knows all types and loads those that are asked for', async () => {
  const fresh = new TypeRegistry();
  const name = 'envoy.extensions.filters.http.fault.v3.HTTPFault';
  expect(fresh.knows(name)).toBe(true);
  expect(fresh.get(name)).toBeUndefined();
  await fresh.load([name, 'no.such.Type']);
  expect(fresh.get(name)?.typeName).toBe(name);
  // What the module imports came with it.
  expect(fresh.get('envoy.config.route.v3.HeaderMatcher')).toBeDefined();
  expect(fresh.knows('no.such.Type')).toBe(false);
});
