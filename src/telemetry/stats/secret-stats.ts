import { defineStats } from './stats.ts';

/** `sds.<secret>.`, beside the text `version_text`. */
export const SDS_STATS = defineStats({
  counters: [
    'init_fetch_timeout',
    'key_rotation_failed',
    'update_attempt',
    'update_failure',
    'update_rejected',
    'update_success',
  ],
  gauges: ['update_time', 'version'],
  histograms: { update_duration: 'milliseconds' },
});

/** `outrigger.secret_files.`: certificates, keys and CAs that were read again because their files changed. */
export const SECRET_FILE_STATS = defineStats({ counters: ['reload', 'reload_failed'] });
