import { ResponseFlag } from '../filters/response-flags.ts';

/** How a failure of the proxy's own becomes a response. */
export interface ProxyErrorEntry {
  readonly status: number;
  readonly flag: number;
  /** response_code_details. */
  readonly details: string;
  readonly body: string;
  /** Which retry_on class covers it, if any. */
  readonly retry?: 'connect-failure' | 'reset' | 'reset-before-request' | 'refused-stream' | 'timeout';
}

/** The one place where a failure gets its status, flag, details and body (Envoy's texts). */
export const PROXY_ERRORS = {
  routeNotFound: { status: 404, flag: ResponseFlag.NR, details: 'route_not_found', body: '' },
  routeConfigurationNotFound: {
    status: 404,
    flag: ResponseFlag.NR,
    details: 'route_configuration_not_found',
    body: '',
  },
  clusterNotFound: { status: 503, flag: ResponseFlag.NC, details: 'cluster_not_found', body: '' },
  noHealthyUpstream: {
    status: 503,
    flag: ResponseFlag.UH,
    details: 'no_healthy_upstream',
    body: 'no healthy upstream',
  },
  maintenanceMode: { status: 503, flag: ResponseFlag.UO, details: 'maintenance_mode', body: 'maintenance mode' },
  upstreamTimeout: {
    status: 504,
    flag: ResponseFlag.UT,
    details: 'response_timeout',
    body: 'upstream request timeout',
    retry: 'timeout',
  },
  perTryTimeout: {
    status: 504,
    flag: ResponseFlag.UT,
    details: 'upstream_per_try_timeout',
    body: 'upstream request timeout',
    retry: 'timeout',
  },
  perTryIdleTimeout: {
    status: 504,
    flag: ResponseFlag.UT,
    details: 'upstream_per_try_idle_timeout',
    body: 'upstream request timeout',
    retry: 'timeout',
  },
  maxStreamDuration: {
    status: 504,
    flag: ResponseFlag.UMSDR,
    details: 'upstream_max_stream_duration_reached',
    body: 'upstream max stream duration reached',
  },
  streamIdleTimeout: { status: 408, flag: ResponseFlag.SI, details: 'stream_idle_timeout', body: 'stream timeout' },
  requestTimeout: { status: 408, flag: 0, details: 'request_overall_timeout', body: 'request timeout' },
  requestHeaderTimeout: { status: 408, flag: 0, details: 'request_header_timeout', body: 'request header timeout' },
  downstreamDurationTimeout: { status: 408, flag: ResponseFlag.DT, details: 'max_duration_timeout', body: 'downstream duration timeout' },
  requestPayloadTooLarge: { status: 413, flag: 0, details: 'request_payload_too_large', body: 'Payload Too Large' },
  responsePayloadTooLarge: {
    status: 500,
    flag: 0,
    details: 'response_payload_too_large',
    body: 'Internal Server Error',
  },
  missingHost: { status: 400, flag: 0, details: 'missing_host_header', body: '' },
  missingPath: { status: 404, flag: 0, details: 'missing_path_rejected', body: '' },
  pathNormalizationFailed: { status: 400, flag: 0, details: 'path_normalization_failed', body: '' },
  upgradeFailed: { status: 403, flag: 0, details: 'upgrade_failed', body: '' },
  filterError: { status: 500, flag: 0, details: 'filter_error', body: '' },
} as const satisfies Record<string, ProxyErrorEntry>;

export type ProxyErrorCode = keyof typeof PROXY_ERRORS;
