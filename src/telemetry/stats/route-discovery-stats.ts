import { defineStats } from './stats.ts';

/** `http.<prefix>.rds.<name>.`, beside what the subscription counts. */
export const ROUTE_DISCOVERY_STATS = defineStats({
  counters: ['config_reload', 'update_empty'],
  gauges: ['config_reload_time_ms'],
});

/** `http.<prefix>.scoped_rds.<name>.`, beside what the subscription counts. */
export const SCOPED_ROUTE_STATS = defineStats({
  counters: ['config_reload', 'update_empty'],
  gauges: ['active_scopes', 'all_scopes', 'config_reload_time_ms', 'on_demand_scopes'],
});
