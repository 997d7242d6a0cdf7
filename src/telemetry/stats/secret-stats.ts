import { defineStats } from './stats.ts';

/** `sds.<secret>.` of a secret in a file, beside the text `version_text`. */
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

/** The same place, of secrets from a control plane: what their subscription doesn't count itself. */
export const SDS_ROTATION_STATS = defineStats({ counters: ['key_rotation_failed'] });

/** `outrigger.certificate_authority.`: certificates that the proxy asked for itself. */
export const CERTIFICATE_AUTHORITY_STATS = defineStats({
  counters: ['failure', 'request', 'success'],
  gauges: ['certificate_expiry_time_seconds'],
});

/** `outrigger.secret_files.`: certificates, keys and CAs that were read again because their files changed. */
export const SECRET_FILE_STATS = defineStats({ counters: ['reload', 'reload_failed'] });
