import { defineStats } from '../../telemetry/stats/stats.ts';

/** The router's own counters below `http.<stat_prefix>.`. */
export const ROUTER_STATS = defineStats({
  counters: [
    'no_cluster',
    'no_route',
    'passthrough_internal_redirect_bad_location',
    'passthrough_internal_redirect_no_route',
    'passthrough_internal_redirect_predicate',
    'passthrough_internal_redirect_too_many_redirects',
    'passthrough_internal_redirect_unsafe_scheme',
    'rq_direct_response',
    'rq_overload_local_reply',
    'rq_redirect',
    'rq_reset_after_downstream_response_started',
    'rq_total',
  ],
});

/**
 * What a virtual cluster (`vhost.<vhost>.vcluster.<name>.`) and a route with a stat prefix (`vhost.<vhost>.route.<p>.`)
 * count. Response codes are added below the same prefix as they occur (see response-code-stats.ts).
 */
export const ROUTE_STATS = defineStats({
  counters: [
    'upstream_rq_retry',
    'upstream_rq_retry_limit_exceeded',
    'upstream_rq_retry_overflow',
    'upstream_rq_retry_success',
    'upstream_rq_timeout',
    'upstream_rq_total',
  ],
  histograms: { upstream_rq_time: 'milliseconds' },
});
