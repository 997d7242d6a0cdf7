import { defineStats } from '../../telemetry/stats/stats.ts';

/** `dns_cache.<name>.` */
export const DNS_CACHE_STATS = defineStats({
  counters: [
    'cache_load',
    'dns_address_filter_out',
    'dns_query_attempt',
    'dns_query_failure',
    'dns_query_success',
    'dns_query_timeout',
    'dns_rq_pending_overflow',
    'host_added',
    'host_address_changed',
    'host_overflow',
    'host_removed',
  ],
  gauges: ['circuit_breakers.rq_pending_open', 'circuit_breakers.rq_pending_remaining', 'num_hosts'],
});
