import type { JsonObject } from '@bufbuild/protobuf';

const TYPE = 'type.googleapis.com/';
const LISTENER = `${TYPE}envoy.extensions.filters.listener.`;
const TLS = 'tls_inspector.v3.TlsInspector';
const PROXY = 'proxy_protocol.v3.ProxyProtocol';
const RATE = 'local_ratelimit.v3.LocalRateLimit';

const filter = (type: string, fields: JsonObject = {}): JsonObject => ({
  listener_filters: [{ name: type, typed_config: { '@type': `${LISTENER}${type}`, ...fields } }],
});
const disabled = (rule: JsonObject): JsonObject => ({
  listener_filters: [{ name: TLS, typed_config: { '@type': `${LISTENER}${TLS}` }, filter_disabled: rule }],
});
const chain = (fields: JsonObject = {}): JsonObject => ({
  filters: [
    { name: 'd', typed_config: { '@type': `${TYPE}envoy.extensions.filters.network.direct_response.v3.Config` } },
  ],
  ...fields,
});
const match = (fields: JsonObject): JsonObject => ({ filter_chains: [chain({ filter_chain_match: fields })] });
const two = (a: JsonObject, b: JsonObject): JsonObject => ({
  filter_chains: [chain({ name: 'a', filter_chain_match: a }), chain({ name: 'b', filter_chain_match: b })],
});
const range = (address: string, length: number): JsonObject => ({
  prefix_ranges: [{ address_prefix: address, prefix_len: length }],
});
const bucket = (tokens: number, interval: string): JsonObject => ({
  stat_prefix: 'a',
  token_bucket: { max_tokens: tokens, fill_interval: interval },
});
const any: JsonObject = { any_match: true };
const input = (type: string): JsonObject => ({ name: 'i', typed_config: { '@type': `${TYPE}${type}` } });
const port = input('envoy.extensions.matching.common_inputs.network.v3.DestinationPortInput');
const to = (name: string): JsonObject => ({
  action: { name, typed_config: { '@type': `${TYPE}google.protobuf.StringValue`, value: name } },
});
const tree = (...chains: JsonObject[]): JsonObject => ({
  filter_chains: chains,
  filter_chain_matcher: { matcher_tree: { input: port, exact_match_map: { map: { 80: to('a') } } } },
});

/** Fields of a listener on 127.0.0.1:0 with one chain, and what Envoy 1.40 says of them with `--mode validate`. */
export const LISTENER_VERDICTS: readonly (readonly ['accepts' | 'refuses', string, JsonObject])[] = [
  ['accepts', 'the TLS inspector', filter(TLS)],
  ['refuses', 'a small limit of a ClientHello', filter(TLS, { max_client_hello_size: 255 })],
  ['accepts', 'a limit of a ClientHello', filter(TLS, { max_client_hello_size: 256 })],
  ['refuses', 'a large limit of a ClientHello', filter(TLS, { max_client_hello_size: 16_385 })],
  ['refuses', 'a small first read', filter(TLS, { initial_read_buffer_size: 100 })],
  ['accepts', 'a first read', filter(TLS, { initial_read_buffer_size: 65_536 })],
  ['refuses', 'a listener filter without a config', { listener_filters: [{ name: 'x' }] }],
  [
    'refuses',
    'a listener filter without a name',
    { listener_filters: [{ typed_config: { '@type': `${LISTENER}${TLS}` } }] },
  ],
  [
    'refuses',
    'a network filter for a listener filter',
    { listener_filters: (chain() as { filters: JsonObject[] }).filters },
  ],
  ['accepts', 'a rate limit', filter(RATE, bucket(1, '1s'))],
  ['refuses', 'a rate limit without a prefix', filter(RATE, { ...bucket(1, '1s'), stat_prefix: '' })],
  ['refuses', 'a rate limit without a bucket', filter(RATE, { stat_prefix: 'a' })],
  ['refuses', 'a bucket that fills too fast', filter(RATE, bucket(1, '0.01s'))],
  ['refuses', 'a TLV without a key', filter(PROXY, { rules: [{ tlv_type: 1, on_tlv_present: {} }] })],
  ['refuses', 'a TLV beyond a byte', filter(PROXY, { rules: [{ tlv_type: 256, on_tlv_present: { key: 'a' } }] })],
  ['accepts', 'a TLV without a rule', filter(PROXY, { rules: [{ tlv_type: 1 }] })],
  ['refuses', 'no version of the PROXY protocol', filter(PROXY, { disallowed_versions: ['V1', 'V2'] })],
  ['refuses', 'a predicate without a rule', disabled({})],
  ['refuses', 'one rule of several', disabled({ or_match: { rules: [any] } })],
  ['accepts', 'two rules', disabled({ or_match: { rules: [any, any] } })],
  ['accepts', 'an empty range of ports', disabled({ destination_port_range: { start: 5, end: 5 } })],
  ['refuses', 'a rule that is false', disabled({ any_match: false })],
  ['accepts', 'all ports', disabled({ destination_port_range: { start: 1, end: 65_536 } })],
  ['accepts', 'more ports than there are', disabled({ destination_port_range: { start: 1, end: 65_537 } })],
  ['refuses', 'a star alone', match({ server_names: ['*'] })],
  ['refuses', 'a star in a label', match({ server_names: ['*a.b'] })],
  ['refuses', 'a star at the end', match({ server_names: ['a.*'] })],
  ['accepts', 'a star behind a star', match({ server_names: ['*.*.a'] })],
  ['refuses', 'a name twice', match({ server_names: ['a', 'a'] })],
  ['refuses', 'a name of two chains', two({ server_names: ['a', 'b'] }, { server_names: ['b', 'c'] })],
  ['refuses', 'a port of two chains', two({ source_ports: [1, 2] }, { source_ports: [2] })],
  ['refuses', 'a range in two spellings', two(range('10.1.0.0', 16), range('10.1.2.3', 16))],
  ['accepts', 'a range in another', two(range('10.1.0.0', 16), range('10.0.0.0', 8))],
  ['refuses', 'a malformed range', match(range('x', 8))],
  ['accepts', 'more bits than an IPv4 address has', match(range('10.0.0.0', 33))],
  ['refuses', 'more bits than any address has', match(range('::', 129))],
  ['refuses', 'port 0', match({ destination_port: 0 })],
  ['refuses', 'source port 0', match({ source_ports: [0] })],
  ['refuses', 'a suffix of addresses', match({ address_suffix: 'a' })],
  ['accepts', 'only a default chain', { filter_chains: [], default_filter_chain: chain() }],
  ['refuses', 'no chain', { filter_chains: [] }],
  ['accepts', 'a matching tree', tree(chain({ name: 'a' }))],
  ['accepts', 'a matching tree over other chains', tree(chain({ name: 'b' }))],
  ['accepts', 'a matching tree over criteria', tree(chain({ name: 'a', filter_chain_match: { destination_port: 1 } }))],
  ['refuses', 'a matching tree over chains without names', tree(chain(), chain({ name: 'a' }))],
  ['refuses', 'a matching tree over chains of one name', tree(chain({ name: 'a' }), chain({ name: 'a' }))],
  [
    'refuses',
    'a matching tree over requests',
    {
      filter_chains: [chain({ name: 'a' })],
      filter_chain_matcher: {
        matcher_tree: {
          input: {
            name: 'h',
            typed_config: { '@type': `${TYPE}envoy.type.matcher.v3.HttpRequestHeaderMatchInput`, header_name: 'a' },
          },
          exact_match_map: { map: { 80: to('a') } },
        },
      },
    },
  ],
  ['accepts', 'original destinations', { use_original_dst: true }],
  ['accepts', 'the PROXY protocol by a flag', { filter_chains: [chain({ use_proxy_proto: true })] }],
  ['refuses', 'a negative timeout', { listener_filters_timeout: '-1s' }],
  ['accepts', 'no timeout', { listener_filters_timeout: '0s' }],
  ['accepts', 'a chain without filters', { filter_chains: [{}] }],
  ['accepts', 'no port of its own', { deprecated_v1: { bind_to_port: false } }],
];

/** A whole bootstrap of it. */
export function bootstrapWithListener(fields: JsonObject): JsonObject {
  const address = { socket_address: { address: '127.0.0.1', port_value: 0 } };
  return { static_resources: { listeners: [{ name: 'l', address, filter_chains: [chain()], ...fields }] } };
}
