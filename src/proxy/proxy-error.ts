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
  dropOverload: { status: 503, flag: ResponseFlag.DO, details: 'drop_overload', body: 'drop overload' },
  unconditionalDropOverload: {
    status: 503,
    flag: ResponseFlag.UDO,
    details: 'unconditional_drop_overload',
    body: 'unconditional drop overload',
  },
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
  /** Completed by the reason of the reset, in the details and in the body. */
  upstreamResetBeforeResponse: {
    status: 503,
    flag: 0,
    details: 'upstream_reset_before_response_started',
    body: 'upstream connect error or disconnect/reset before headers. ',
    retry: 'reset',
  },
  upstreamResetAfterResponse: {
    status: 503,
    flag: 0,
    details: 'upstream_reset_after_response_started',
    body: 'upstream connect error or disconnect/reset before headers. ',
  },
  /** Of an upstream that broke the protocol; otherwise as the two above. */
  upstreamProtocolError: {
    status: 502,
    flag: ResponseFlag.UPE,
    details: 'upstream_reset_before_response_started',
    body: 'upstream connect error or disconnect/reset before headers. ',
    retry: 'reset',
  },
  /** Completed by the name of the header, in the details. */
  invalidEnvoyRequestHeaders: {
    status: 400,
    flag: ResponseFlag.IH,
    details: 'request_headers_failed_strict_check',
    body: '',
  },
  /** Redirects and direct responses; the route has status and body. */
  directResponse: { status: 200, flag: 0, details: 'direct_response', body: '' },
  /** The body outgrew what may be kept while a retry was waiting for its turn. */
  retryBufferExceeded: {
    status: 507,
    flag: 0,
    details: 'request_payload_exceeded_retry_buffer_limit',
    body: 'exceeded request buffer limit while retrying upstream',
  },
  /** The upstream answered a WebSocket handshake with neither 101 nor an error; its status goes to the client. */
  websocketHandshakeUnsuccessful: { status: 200, flag: 0, details: 'websocket_handshake_unsuccessful', body: '' },
  streamIdleTimeout: { status: 408, flag: ResponseFlag.SI, details: 'stream_idle_timeout', body: 'stream timeout' },
  requestTimeout: { status: 408, flag: 0, details: 'request_overall_timeout', body: 'request timeout' },
  requestHeaderTimeout: { status: 408, flag: 0, details: 'request_header_timeout', body: 'request header timeout' },
  downstreamDurationTimeout: {
    status: 408,
    flag: 0,
    details: 'max_duration_timeout',
    body: 'downstream duration timeout',
  },
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
  absolutePath: { status: 404, flag: 0, details: 'absolute_path_rejected', body: '' },
  unexpectedUnderscore: {
    status: 400,
    flag: ResponseFlag.DPE,
    details: 'http1.unexpected_underscore',
    body: 'Bad Request',
  },
  originalIpDetectionFailed: { status: 403, flag: 0, details: 'rejecting_because_detection_failed', body: '' },
  upgradeFailed: { status: 403, flag: 0, details: 'upgrade_failed', body: '' },
  /** A bug of ours. */
  internalError: { status: 500, flag: 0, details: 'internal_error', body: '' },
  filterError: { status: 500, flag: 0, details: 'filter_error', body: '' },
} as const satisfies Record<string, ProxyErrorEntry>;

export type ProxyErrorCode = keyof typeof PROXY_ERRORS;
