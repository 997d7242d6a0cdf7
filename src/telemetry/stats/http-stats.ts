import { defineStats } from './stats.ts';

const CONNECTION_MANAGER_COUNTERS = [
  'downstream_cx_delayed_close_timeout',
  'downstream_cx_destroy',
  'downstream_cx_destroy_active_rq',
  'downstream_cx_destroy_local',
  'downstream_cx_destroy_local_active_rq',
  'downstream_cx_destroy_remote',
  'downstream_cx_destroy_remote_active_rq',
  'downstream_cx_drain_close',
  'downstream_cx_http1_total',
  'downstream_cx_http2_total',
  'downstream_cx_http3_total',
  'downstream_cx_idle_timeout',
  'downstream_cx_max_duration_reached',
  'downstream_cx_max_requests_reached',
  'downstream_cx_overload_disable_keepalive',
  'downstream_cx_protocol_error',
  'downstream_cx_rx_bytes_total',
  'downstream_cx_ssl_total',
  'downstream_cx_total',
  'downstream_cx_tx_bytes_total',
  'downstream_cx_upgrades_total',
  'downstream_flow_control_paused_reading_total',
  'downstream_flow_control_resumed_reading_total',
  'downstream_rq_1xx',
  'downstream_rq_2xx',
  'downstream_rq_3xx',
  'downstream_rq_4xx',
  'downstream_rq_5xx',
  'downstream_rq_completed',
  'downstream_rq_failed_path_normalization',
  'downstream_rq_header_timeout',
  'downstream_rq_http1_total',
  'downstream_rq_http2_total',
  'downstream_rq_http3_total',
  'downstream_rq_idle_timeout',
  'downstream_rq_max_duration_reached',
  'downstream_rq_non_relative_path',
  'downstream_rq_overload_close',
  'downstream_rq_redirected_with_normalized_path',
  'downstream_rq_rejected_via_ip_detection',
  'downstream_rq_response_before_rq_complete',
  'downstream_rq_rx_reset',
  'downstream_rq_timeout',
  'downstream_rq_too_large',
  'downstream_rq_too_many_premature_resets',
  'downstream_rq_total',
  'downstream_rq_tx_reset',
  'downstream_rq_ws_on_non_ws_route',
  'rs_too_large',
] as const;

const CONNECTION_MANAGER_GAUGES = [
  'downstream_cx_active',
  'downstream_cx_http1_active',
  'downstream_cx_http1_soft_drain',
  'downstream_cx_http2_active',
  'downstream_cx_http3_active',
  'downstream_cx_rx_bytes_buffered',
  'downstream_cx_ssl_active',
  'downstream_cx_tx_bytes_buffered',
  'downstream_cx_upgrades_active',
  'downstream_rq_active',
] as const;

const TRACING_COUNTERS = [
  'tracing.client_enabled',
  'tracing.health_check',
  'tracing.not_traceable',
  'tracing.random_sampling',
  'tracing.service_forced',
] as const;

const CONNECTION_MANAGER_HISTOGRAMS = {
  downstream_cx_length_ms: 'milliseconds',
  downstream_rq_time: 'milliseconds',
} as const;

/**
 * `http.<stat_prefix>.` of an HTTP connection manager with a router: what the connection manager and the tracing decision count
 * (the router's own are ROUTER_STATS of proxy/router). `downstream_rq_filter_error` is ours: filters that threw.
 */
export const HTTP_STATS = defineStats({
  counters: [...CONNECTION_MANAGER_COUNTERS, 'downstream_rq_filter_error', ...TRACING_COUNTERS],
  gauges: CONNECTION_MANAGER_GAUGES,
  histograms: CONNECTION_MANAGER_HISTOGRAMS,
});

/** `http.admin.`: a connection manager without a router. */
export const HTTP_ADMIN_STATS = defineStats({
  counters: CONNECTION_MANAGER_COUNTERS,
  gauges: CONNECTION_MANAGER_GAUGES,
  histograms: CONNECTION_MANAGER_HISTOGRAMS,
});

/** `listener.<address>.http.<stat_prefix>.`: the responses of a connection manager by listener. */
export const HTTP_LISTENER_STATS = defineStats({
  counters: [
    'downstream_rq_1xx',
    'downstream_rq_2xx',
    'downstream_rq_3xx',
    'downstream_rq_4xx',
    'downstream_rq_5xx',
    'downstream_rq_completed',
  ],
});

/** `http1.` (downstream connections of all listeners together). */
export const HTTP1_CODEC_STATS = defineStats({
  counters: [
    'dropped_headers_with_underscores',
    'metadata_not_supported_error',
    'requests_rejected_with_underscores_in_headers',
    'response_flood',
  ],
});
