/** Levels of the process log, least severe first; the names are Envoy's (spdlog's). */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warning', 'error', 'critical', 'off'] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];

/** `warn` is another name for `warning`; undefined for what is no level. */
export function parseLogLevel(text: string): LogLevel | undefined {
  return text === 'warn' ? 'warning' : LOG_LEVELS.find((level) => level === text);
}

/**
 * The components of the process log: Envoy's logger names, so that --component-log-level and POST /logging take what
 * they take there.
 */
export const LOG_COMPONENTS: readonly string[] = (
  'a2a admin ai_protocol_manager alternate_protocols_cache aws assert backtrace basic_auth cache_filter client config ' +
  'connection conn_handler compression credential_injector decompression dns dubbo envoy_bug ext_authz ext_proc ' +
  'rocketmq file filter forward_proxy geolocation grpc happy_eyeballs hc health_checker http http2 hystrix init io jwt ' +
  'json_rpc kafka key_value_store lua local_rate_limit main matcher mcp misc mongo multi_connection notification ' +
  'oauth2 quic quic_stream pool rate_limit_quota rbac rds redis router runtime stats secret sse tap testing thrift ' +
  'tracing upstream udp wasm websocket golang stats_sinks dynamic_modules ip_tagging'
).split(' ');
