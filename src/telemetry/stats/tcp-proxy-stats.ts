import { defineStats } from './stats.ts';

/** `tcp.<stat_prefix>.`, in the order of Envoy's TCP proxy statistics docs. */
export const TCP_PROXY_STATS = defineStats({
  counters: [
    'downstream_cx_drain_close',
    'downstream_cx_no_route',
    'downstream_cx_overload_close',
    'downstream_cx_rx_bytes_total',
    'downstream_cx_total',
    'downstream_cx_tx_bytes_total',
    'downstream_flow_control_paused_reading_total',
    'downstream_flow_control_resumed_reading_total',
    'early_data_received_count_total',
    'idle_timeout',
    'max_downstream_connection_duration',
    'route_delayed_total',
    'upstream_flush_total',
  ],
  gauges: ['downstream_cx_rx_bytes_buffered', 'downstream_cx_tx_bytes_buffered', 'upstream_flush_active'],
});
