/**
 * Fields that Envoy's API has gained since the .proto files of our dependency were taken, by file and message. Only
 * fields that we implement, or name as unsupported, need to be here; all others are unknown to the loader.
 */
export const apiAdditions = {
  'envoy/config/core/v3/proxy_protocol.proto': {
    '': ['message TlvEntry { uint32 type = 1 [(validate.rules).uint32 = {lt: 256}]; bytes value = 2; }'],
    ProxyProtocolConfig: ['repeated TlvEntry added_tlvs = 3;'],
  },
  'envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit.proto': {
    '': ['import "envoy/config/route/v3/route_components.proto";'],
    LocalRateLimit: ['repeated config.route.v3.RateLimit rate_limits = 17;'],
  },
  'envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector.proto': {
    TlsInspector: [
      'google.protobuf.BoolValue enable_ja4_fingerprinting = 3;',
      'bool close_connection_on_client_hello_parsing_errors = 4;',
      'google.protobuf.UInt32Value max_client_hello_size = 5;',
    ],
  },
  'envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.proto': {
    '': [
      'import "envoy/config/core/v3/backoff.proto";',
      'import "envoy/config/core/v3/proxy_protocol.proto";',
      'import "envoy/type/v3/percent.proto";',
    ],
    TcpProxy: [
      'config.core.v3.BackoffStrategy backoff_options = 18;',
      'repeated config.core.v3.TlvEntry proxy_protocol_tlvs = 19;',
      'type.v3.Percent max_downstream_connection_duration_jitter_percentage = 20;',
    ],
  },
  'envoy/extensions/transport_sockets/tls/v3/common.proto': {
    TlsParameters: ['enum CompliancePolicy { FIPS_202205 = 0; }', 'repeated CompliancePolicy compliance_policies = 6;'],
  },
  'envoy/extensions/transport_sockets/tls/v3/secret.proto': {
    GenericSecret: ['map<string, config.core.v3.DataSource> secrets = 2 [(udpa.annotations.sensitive) = true];'],
  },
  'envoy/extensions/transport_sockets/tls/v3/tls.proto': {
    UpstreamTlsContext: ['bool auto_host_sni = 6;', 'bool auto_sni_san_validation = 7;'],
    DownstreamTlsContext: ['bool prefer_client_ciphers = 11;'],
    CommonTlsContext: ['config.core.v3.TypedExtensionConfig custom_tls_certificate_selector = 16;'],
  },
};

/** The text of a .proto file with its additions. A field that the file has by now fails the generator: take it out here. */
export function withAdditions(path, text) {
  let changed = text;
  for (const [message, lines] of Object.entries(apiAdditions[path] ?? {}))
    changed =
      message === ''
        ? `${changed}\n${lines.join('\n')}\n`
        : changed.replace(new RegExp(`^message ${message} \\{`, 'm'), (open) => [open, ...lines].join('\n  '));
  return changed;
}
