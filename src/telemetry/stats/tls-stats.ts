import { defineStats } from './stats.ts';

/** `listener.<address>.ssl.` and `cluster.<name>.ssl.`; names by cipher, version and curve come as they are seen. */
export const TLS_STATS = defineStats({
  counters: [
    'connection_error',
    'fail_verify_cert_hash',
    'fail_verify_error',
    'fail_verify_no_cert',
    'fail_verify_san',
    'handshake',
    'no_certificate',
    'ocsp_staple_failed',
    'ocsp_staple_omitted',
    'ocsp_staple_requests',
    'ocsp_staple_responses',
    'session_reused',
  ],
});

/** `listener.<address>.server_ssl_socket_factory.` and `cluster.<name>.client_ssl_socket_factory.` */
export const TLS_SOCKET_FACTORY_STATS = defineStats({
  counters: ['downstream_context_secrets_not_ready', 'ssl_context_update_by_sds', 'upstream_context_secrets_not_ready'],
});
