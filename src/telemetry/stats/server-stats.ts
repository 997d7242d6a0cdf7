import { defineStats } from './stats.ts';

/** `server.`: set by the main thread; counters of unknown fields and the like too. */
export const SERVER_STATS = defineStats({
  counters: [
    'debug_assertion_failures',
    'dropped_stat_flushes',
    'dynamic_unknown_fields',
    'envoy_bug_failures',
    'envoy_notifications',
    'static_unknown_fields',
    'wip_protos',
  ],
  gauges: [
    'compilation_settings.fips_mode',
    'concurrency',
    'days_until_first_cert_expiring',
    'hot_restart_epoch',
    'live',
    'memory_allocated',
    'memory_heap_size',
    'memory_physical_size',
    'parent_connections',
    'seconds_until_first_ocsp_response_expiring',
    'state',
    'stats_recent_lookups',
    'total_connections',
    'uptime',
    'version',
  ],
  histograms: { initialization_time_ms: 'milliseconds' },
});

/** A watchdog: `main_thread.` and `workers.` (Envoy's older names), `server.main_thread.`, `server.worker_<n>.`. */
export const WATCHDOG_STATS = defineStats({
  counters: ['watchdog_mega_miss', 'watchdog_miss'],
});

/** `listener_manager.`; gauges are set by the main thread. */
export const LISTENER_MANAGER_STATS = defineStats({
  counters: [
    'listener_added',
    'listener_create_failure',
    'listener_create_success',
    'listener_in_place_updated',
    'listener_modified',
    'listener_removed',
    'listener_stopped',
  ],
  gauges: [
    'total_filter_chains_draining',
    'total_listeners_active',
    'total_listeners_draining',
    'total_listeners_warming',
    'workers_pinned',
    'workers_started',
  ],
});

/** `cluster_manager.`; gauges are set by the main thread. */
export const CLUSTER_MANAGER_STATS = defineStats({
  counters: [
    'cluster_added',
    'cluster_modified',
    'cluster_removed',
    'cluster_updated',
    'cluster_updated_via_merge',
    'update_merge_cancelled',
    'update_out_of_merge_window',
  ],
  gauges: ['active_clusters', 'warming_clusters'],
});

/** `thread_local_cluster_manager.<main_thread|worker_n>.`. */
export const THREAD_LOCAL_CLUSTER_MANAGER_STATS = defineStats({
  gauges: ['clusters_inflated'],
});

/** `filesystem.`: files that access logs are written to. */
export const FILESYSTEM_STATS = defineStats({
  counters: ['flushed_by_timer', 'reopen_failed', 'write_buffered', 'write_completed', 'write_failed'],
  gauges: ['write_total_buffered'],
});

/** `runtime.`. */
export const RUNTIME_STATS = defineStats({
  counters: ['deprecated_feature_use', 'load_error', 'load_success', 'override_dir_exists', 'override_dir_not_exists'],
  gauges: ['admin_overrides_active', 'deprecated_feature_seen_since_process_start', 'num_keys', 'num_layers'],
});

/** `overload.`. */
export const OVERLOAD_STATS = defineStats({
  histograms: { refresh_interval_delay: 'milliseconds' },
});
