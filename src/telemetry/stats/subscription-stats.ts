import { defineStats } from './stats.ts';

/**
 * What a subscription to resources counts, under the prefix of what it is for (`cluster_manager.cds.`,
 * `listener_manager.lds.`, `cluster.<name>.`, `http.<prefix>.rds.<name>.`), beside the text `version_text`.
 */
export const SUBSCRIPTION_STATS = defineStats({
  counters: ['init_fetch_timeout', 'update_attempt', 'update_failure', 'update_rejected', 'update_success'],
  gauges: ['update_time', 'version'],
  histograms: { update_duration: 'milliseconds' },
});

/**
 * `control_plane.` of ADS, `<prefix of the subscription>control_plane.` of a stream of its own; beside the text
 * `identifier`.
 */
export const CONTROL_PLANE_STATS = defineStats({
  counters: ['rate_limit_enforced'],
  gauges: ['connected_state', 'pending_requests'],
});

/** `load_reporter.` (LRS). As Envoy has it, `requests` are the server's, `responses` ours. */
export const LOAD_REPORTER_STATS = defineStats({ counters: ['errors', 'requests', 'responses', 'retries'] });
