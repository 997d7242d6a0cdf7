import { defineStats } from './stats.ts';

/** `http.<prefix>.rds.<name>.` and `http.<prefix>.scoped_rds.<name>.`, beside what the subscription counts. */
export const ROUTE_DISCOVERY_STATS = defineStats({
  counters: ['config_reload', 'update_empty'],
  gauges: ['config_reload_time_ms'],
});
