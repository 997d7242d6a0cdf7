import { defineStats } from './stats.ts';

/** `extension_config_discovery.<kind>.<name>.`, beside what the subscription counts. */
export const EXTENSION_DISCOVERY_STATS = defineStats({
  counters: ['config_conflict', 'config_fail', 'config_reload'],
});
