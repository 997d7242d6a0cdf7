import type { JsonObject } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { buildListenerModel, hcmFilter } from '../../support/listener-models.ts';

const chain = (extra: JsonObject = {}): JsonObject => ({ filters: [hcmFilter()], ...extra });
const matching = (match: JsonObject): JsonObject => ({ filter_chains: [chain({ filter_chain_match: match })] });
const any = (type: string): JsonObject => ({ '@type': `type.googleapis.com/${type}` });
const listenerFilter = (name: string, type: string): JsonObject => ({ name, typed_config: any(type) });
const TLS_INSPECTOR = 'envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector';
const ORIGINAL_SRC = 'envoy.extensions.filters.listener.original_src.v3.OriginalSrc';

async function errorsOf(config: JsonObject): Promise<string[]> {
  const { problems } = await buildListenerModel(config);
  return problems.filter(({ severity }) => severity === 'error').map(({ path, message }) => `${path}: ${message}`);
}

async function unsupportedIn(config: JsonObject): Promise<string[]> {
  const { problems } = await buildListenerModel(config);
  return problems.map(({ severity, path }) => `${severity} ${path}`);
}

test('defaults', async () => {
  const { model, problems } = await buildListenerModel();
  expect(problems).toEqual([]);
  expect(model).toMatchObject({
    name: 'l',
    address: { kind: 'socket', host: '127.0.0.1', port: 0, ipv4Compat: false },
    additionalAddresses: [],
    statPrefix: '',
    defaultFilterChain: undefined,
    perConnectionBufferLimitBytes: 1_048_576,
    reusePort: true,
    bindToPort: true,
    trafficDirection: 'unspecified',
    drainType: 'default',
    keepAlive: undefined,
    ignoreGlobalConnectionLimit: false,
    connectionSlot: 0,
  });
  expect(model.filterChains[0]!.networkFilters.map(({ kind }) => kind)).toEqual(['http-connection-manager']);
});

test('everything that can be set', async () => {
  const { model, problems } = await buildListenerModel({
    stat_prefix: 'p',
    address: { pipe: { path: '/run/s', mode: 384 } },
    additional_addresses: [{ address: { socket_address: { address: '::', port_value: 1, ipv4_compat: true } } }],
    default_filter_chain: chain({ name: 'd' }),
    per_connection_buffer_limit_bytes: 32768,
    enable_reuse_port: false,
    tcp_backlog_size: 7,
    traffic_direction: 'INBOUND',
    drain_type: 'MODIFY_ONLY',
    bind_to_port: false,
    ignore_global_conn_limit: true,
    metadata: { filter_metadata: { a: { b: 1 } } },
    socket_options: [
      { level: 1, name: 9, int_value: 1 },
      { level: 6, name: 4, int_value: 30 },
    ],
    filter_chains: [
      chain({
        name: 'c',
        filter_chain_match: {
          destination_port: 80,
          prefix_ranges: [{ address_prefix: '10.0.0.0', prefix_len: 8 }],
          server_names: ['A.example', '*.b.example'],
          transport_protocol: 'raw_buffer',
          application_protocols: ['h2'],
          source_type: 'EXTERNAL',
          source_prefix_ranges: [{ address_prefix: '::1' }],
          source_ports: [5],
        },
        transport_socket_connect_timeout: '2s',
      }),
    ],
  });
  expect(problems).toEqual([]);
  expect(model).toMatchObject({
    statPrefix: 'p',
    address: { kind: 'pipe', path: '/run/s', mode: 0o600 },
    additionalAddresses: [{ kind: 'socket', host: '::', port: 1, ipv4Compat: true }],
    perConnectionBufferLimitBytes: 32768,
    reusePort: false,
    backlog: 7,
    trafficDirection: 'inbound',
    drainType: 'modify-only',
    bindToPort: false,
    ignoreGlobalConnectionLimit: true,
    keepAlive: { idleMs: 30_000 },
    metadata: { a: { b: 1 } },
    defaultFilterChain: { name: 'd' },
  });
  expect(model.filterChains[0]).toMatchObject({
    name: 'c',
    transportSocketConnectTimeoutMs: 2000,
    match: {
      destinationPort: 80,
      prefixRanges: ['10.0.0.0/8'],
      serverNames: ['a.example', '*.b.example'],
      transportProtocol: 'raw_buffer',
      applicationProtocols: ['h2'],
      sourceType: 'external',
      sourcePrefixRanges: ['::1/0'],
      sourcePorts: [5],
    },
  });
});

describe('refuses', () => {
  test.each([
    ['no chains', { filter_chains: [] }, 'filter_chains: no filter chains specified'],
    [
      'chains that match the same',
      { filter_chains: [chain(), chain({ name: 'b' })] },
      "filter_chains[1]: filter chain 'b' has the same matching rules defined as ''",
    ],
    [
      'partial wildcards',
      matching({ server_names: ['a*.b'] }),
      'filter_chains[0].filter_chain_match.server_names[0]: partial wildcards are not supported in "server_names"',
    ],
    [
      'fields that Envoy refuses too',
      matching({ address_suffix: 'a' }),
      "filter_chains[0].filter_chain_match: filter chain '' contains unimplemented fields",
    ],
    [
      'malformed ranges',
      matching({ prefix_ranges: [{ address_prefix: '1.2.3', prefix_len: 8 }] }),
      'filter_chains[0].filter_chain_match.prefix_ranges[0].address_prefix: malformed IP address: 1.2.3',
    ],
    [
      'names to bind to',
      { address: { socket_address: { address: 'localhost', port_value: 1 } } },
      'address.socket_address.address: malformed IP address: localhost',
    ],
    [
      'UDP',
      { address: { socket_address: { protocol: 'UDP', address: '127.0.0.1', port_value: 1 } } },
      'address.socket_address.protocol: unsupported: UDP is not implemented',
    ],
    [
      'a transport socket without a type',
      { filter_chains: [chain({ transport_socket: { name: 'envoy.transport_sockets.tls' } })] },
      "filter_chains[0].transport_socket: Didn't find a registered implementation for 'envoy.transport_sockets.tls' with type URL: ''",
    ],
    [
      'other network filters',
      {
        filter_chains: [
          { filters: [{ name: 't', typed_config: any('envoy.extensions.filters.network.mongo_proxy.v3.MongoProxy') }] },
        ],
      },
      "filter_chains[0].filters[0].typed_config: unsupported: the network filter 't' (envoy.extensions.filters.network.mongo_proxy.v3.MongoProxy) is not implemented",
    ],
    [
      'network filters without a config',
      { filter_chains: [{ filters: [{ name: 'z' }] }] },
      "filter_chains[0].filters[0].typed_config: Didn't find a registered implementation for 'z' with type URL: ''",
    ],
    [
      'filters behind a terminal one',
      { filter_chains: [{ filters: [hcmFilter(), hcmFilter()] }] },
      'filter_chains[0].filters[0]: Error: terminal filter named hcm of type envoy.filters.network.http_connection_manager must be the last filter in a network filter chain.',
    ],
    [
      'listener filters that nobody knows',
      { listener_filters: [{ name: 'x' }] },
      "listener_filters[0].typed_config: Didn't find a registered implementation for 'x' with type URL: ''",
    ],
    [
      'chains that overlap',
      {
        filter_chains: [
          chain({ name: 'a', filter_chain_match: { server_names: ['a', 'b'], source_ports: [1, 2] } }),
          chain({ name: 'b', filter_chain_match: { server_names: ['b', 'c'], source_ports: [2] } }),
        ],
      },
      'filter_chains[1]: multiple filter chains with overlapping matching rules are defined',
    ],
  ] as [string, JsonObject, string][])('%s', async (_, config, message) => {
    expect(await errorsOf(config)).toEqual([message]);
  });
});

describe('names', () => {
  test.each([
    [
      'fields',
      { freebind: true, tcp_fast_open_queue_length: 5 },
      ['unsupported freebind', 'unsupported tcp_fast_open_queue_length'],
    ],
    [
      'socket options that Node cannot set',
      { socket_options: [{ level: 1, name: 15, int_value: 1 }] },
      ['unsupported socket_options[0].name'],
    ],
    [
      'addresses of clients that hosts do not see',
      { listener_filters: [listenerFilter('o', ORIGINAL_SRC)] },
      ['unsupported listener_filters[0].typed_config'],
    ],
  ] as [string, JsonObject, string[]][])('%s', async (_, config, wanted) => {
    expect((await unsupportedIn(config)).sort()).toEqual(wanted);
  });
});

describe('listener filters', () => {
  const names = async (config: JsonObject): Promise<string[]> => {
    const { model, problems } = await buildListenerModel(config);
    expect(problems).toEqual([]);
    return model.listenerFilters.map(({ config: { typeName } }) => typeName.replace(/^.*listener\./, ''));
  };

  test('in order, and behind them those that flags stand for', async () => {
    expect(
      await names({
        listener_filters: [listenerFilter('t', TLS_INSPECTOR)],
        use_original_dst: true,
        filter_chains: [chain({ use_proxy_proto: true })],
      }),
    ).toEqual(['tls_inspector.v3.TlsInspector', 'original_dst.v3.OriginalDst', 'proxy_protocol.v3.ProxyProtocol']);
  });

  test('with the connections that they are skipped for', async () => {
    const { model } = await buildListenerModel({
      listener_filters: [
        {
          ...listenerFilter('t', TLS_INSPECTOR),
          filter_disabled: {
            or_match: {
              rules: [
                { destination_port_range: { start: 1, end: 3 } },
                { not_match: { and_match: { rules: [{ any_match: true }, { any_match: true }] } } },
              ],
            },
          },
        },
      ],
    });
    expect(model.listenerFilters[0]!.disabled).toEqual({
      kind: 'or',
      rules: [
        { kind: 'destination-port', start: 1, end: 3 },
        { kind: 'not', rule: { kind: 'and', rules: [{ kind: 'any' }, { kind: 'any' }] } },
      ],
    });
  });
});

test('a matching tree in place of criteria', async () => {
  const { model, problems } = await buildListenerModel({
    filter_chains: [chain({ name: 'a' }), chain({ name: 'b' })],
    filter_chain_matcher: {
      matcher_tree: {
        input: {
          name: 'port',
          typed_config: any('envoy.extensions.matching.common_inputs.network.v3.DestinationPortInput'),
        },
        exact_match_map: {
          map: { 80: { action: { name: 'a', typed_config: { ...any('google.protobuf.StringValue'), value: 'a' } } } },
        },
      },
      on_no_match: { action: { name: 'b', typed_config: { ...any('google.protobuf.StringValue'), value: 'b' } } },
    },
  });
  expect(problems).toEqual([]);
  expect(model.filterChainMatcher).toEqual({
    kind: 'tree',
    input: { kind: 'destination-port', path: [] },
    by: 'exact',
    entries: [{ keys: ['80'], onMatch: { kind: 'action', action: 'a' }, exclusive: false }],
    onNoMatch: { kind: 'action', action: 'b' },
  });
});
