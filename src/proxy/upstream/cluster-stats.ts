import { defineStats } from '../../telemetry/stats/stats.ts';

/** Stats below `cluster.<name>.` that every cluster has from the start, in the order of Envoy's cluster statistics docs. */
export const CLUSTER_STATS = defineStats({
  counters: [
    'assignment_stale',
    'assignment_timeout_received',
    'assignment_use_cached',
    'bind_errors',
    'default.total_match_count',
    'lb_healthy_panic',
    'lb_local_cluster_not_ok',
    'lb_recalculate_zone_structures',
    'lb_subsets_created',
    'lb_subsets_fallback',
    'lb_subsets_fallback_panic',
    'lb_subsets_removed',
    'lb_subsets_selected',
    'lb_zone_cluster_too_small',
    'lb_zone_no_capacity_left',
    'lb_zone_routing_all_directly',
    'lb_zone_routing_cross_zone',
    'lb_zone_routing_sampled',
    'membership_change',
    'original_dst_host_invalid',
    'retry_or_shadow_abandoned',
    'update_empty',
    'update_no_rebuild',
    'upstream_cx_close_notify',
    'upstream_cx_connect_attempts_exceeded',
    'upstream_cx_connect_fail',
    'upstream_cx_connect_timeout',
    'upstream_cx_connect_with_0_rtt',
    'upstream_cx_destroy',
    'upstream_cx_destroy_local',
    'upstream_cx_destroy_local_with_active_rq',
    'upstream_cx_destroy_remote',
    'upstream_cx_destroy_remote_with_active_rq',
    'upstream_cx_destroy_with_active_rq',
    'upstream_cx_http1_total',
    'upstream_cx_http2_total',
    'upstream_cx_http3_total',
    'upstream_cx_idle_timeout',
    'upstream_cx_max_duration_reached',
    'upstream_cx_max_requests',
    'upstream_cx_none_healthy',
    'upstream_cx_overflow',
    'upstream_cx_pool_overflow',
    'upstream_cx_preconnect_skipped',
    'upstream_cx_protocol_error',
    'upstream_cx_rx_bytes_total',
    'upstream_cx_total',
    'upstream_cx_tx_bytes_total',
    'upstream_flow_control_backed_up_total',
    'upstream_flow_control_drained_total',
    'upstream_flow_control_paused_reading_total',
    'upstream_flow_control_resumed_reading_total',
    'upstream_http3_broken',
    'upstream_internal_redirect_failed_total',
    'upstream_internal_redirect_succeeded_total',
    'upstream_rq_0rtt',
    'upstream_rq_active_overflow',
    'upstream_rq_cancelled',
    'upstream_rq_completed',
    'upstream_rq_maintenance_mode',
    'upstream_rq_max_duration_reached',
    'upstream_rq_pending_failure_eject',
    'upstream_rq_pending_overflow',
    'upstream_rq_pending_total',
    'upstream_rq_per_try_idle_timeout',
    'upstream_rq_per_try_timeout',
    'upstream_rq_retry',
    'upstream_rq_retry_backoff_exponential',
    'upstream_rq_retry_backoff_ratelimited',
    'upstream_rq_retry_limit_exceeded',
    'upstream_rq_retry_overflow',
    'upstream_rq_retry_success',
    'upstream_rq_rx_reset',
    'upstream_rq_rx_reset_no_error',
    'upstream_rq_timeout',
    'upstream_rq_total',
    'upstream_rq_tx_reset',
  ],
  gauges: [
    'lb_subsets_active',
    'max_host_weight',
    'membership_degraded',
    'membership_excluded',
    'membership_healthy',
    'membership_total',
    'upstream_cx_active',
    'upstream_cx_rx_bytes_buffered',
    'upstream_cx_tx_bytes_buffered',
    'upstream_queue_overloaded',
    'upstream_rq_active',
    'upstream_rq_pending_active',
    'warming_state',
  ],
  histograms: {
    upstream_cx_connect_ms: 'milliseconds',
    upstream_cx_length_ms: 'milliseconds',
    upstream_rq_per_cx: 'unspecified',
  },
});

/** The same place, main thread only. Clusters of type EDS have the stats of their subscription instead. */
export const CLUSTER_UPDATE_STATS = defineStats({
  counters: ['update_attempt', 'update_failure', 'update_success'],
  gauges: ['version'],
});

/** `cluster.<name>.circuit_breakers.<priority>.`; 1 = at its limit. Set by the control thread when stats are read. */
export const BREAKER_STATS = defineStats({
  gauges: ['cx_open', 'cx_pool_open', 'rq_open', 'rq_pending_open', 'rq_retry_open'],
});

/** The same place, only with `track_remaining`. */
export const BREAKER_REMAINING_STATS = defineStats({
  gauges: ['remaining_cx', 'remaining_cx_pools', 'remaining_pending', 'remaining_retries', 'remaining_rq'],
});

/** `cluster.<name>.http1.`, there once the cluster has had an HTTP/1 connection. */
export const UPSTREAM_HTTP1_STATS = defineStats({
  counters: [
    'dropped_headers_with_underscores',
    'metadata_not_supported_error',
    'requests_rejected_with_underscores_in_headers',
    'response_flood',
  ],
});

const TIMEOUT_BUDGETS = {
  upstream_rq_timeout_budget_percent_used: 'unspecified',
  upstream_rq_timeout_budget_per_try_percent_used: 'unspecified',
} as const;

/** `cluster.<name>.`, with `track_timeout_budgets` only. Its offsets are those of TRACKED_STATS. */
export const TIMEOUT_BUDGET_STATS = defineStats({ histograms: TIMEOUT_BUDGETS });

/** `cluster.<name>.`, with `request_response_sizes`; Envoy leaves the first two out where budgets aren't tracked. */
export const TRACKED_STATS = defineStats({
  histograms: {
    ...TIMEOUT_BUDGETS,
    upstream_rq_headers_size: 'bytes',
    upstream_rq_headers_count: 'unspecified',
    upstream_rq_body_size: 'bytes',
    upstream_rs_headers_size: 'bytes',
    upstream_rs_headers_count: 'unspecified',
    upstream_rs_body_size: 'bytes',
  },
});
