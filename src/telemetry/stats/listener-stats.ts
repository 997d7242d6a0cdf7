import { defineStats, sanitizeStatName } from './stats.ts';
import type { AddressModel } from '../../config/common-model.ts';

const COUNTERS = [
  'downstream_cx_destroy',
  'downstream_cx_overflow',
  'downstream_cx_overload_reject',
  'downstream_cx_total',
  'downstream_cx_transport_socket_connect_timeout',
  'downstream_global_cx_overflow',
  'downstream_listener_filter_error',
  'downstream_listener_filter_remote_close',
  'downstream_pre_cx_timeout',
  'no_filter_chain_match',
] as const;

const GAUGES = ['downstream_cx_active', 'downstream_pre_cx_active'] as const;

const HISTOGRAMS = {
  connections_accepted_per_socket_event: 'unspecified',
  downstream_cx_length_ms: 'milliseconds',
} as const;

/** `listener.<address>.`; see `listenerStatPrefix`. */
export const LISTENER_STATS = defineStats({
  counters: [...COUNTERS, 'extension_config_missing', 'network_extension_config_missing'],
  gauges: GAUGES,
  histograms: HISTOGRAMS,
});

/** `listener.admin.`: no extensions can be missing there. */
export const ADMIN_LISTENER_STATS = defineStats({ counters: COUNTERS, gauges: GAUGES, histograms: HISTOGRAMS });

/** `listener.<address>.worker_<n>.`, and `listener.admin.main_thread.`. */
export const LISTENER_WORKER_STATS = defineStats({
  counters: ['downstream_cx_total'],
  gauges: ['downstream_cx_active'],
});

/** The address of a listener as its stats spell it: `listener.127.0.0.1_8080.`; `statPrefix` (its own) wins. */
export function listenerStatPrefix(address: AddressModel, statPrefix = ''): string {
  if (statPrefix !== '') return `listener.${sanitizeStatName(statPrefix)}.`;
  if (address.kind === 'pipe') return `listener.${sanitizeStatName(address.path)}.`;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return `listener.${sanitizeStatName(`${host}:${address.port}`)}.`;
}
