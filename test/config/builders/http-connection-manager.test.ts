import type { JsonObject } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { fromBinary } from '@bufbuild/protobuf';
import { BufferSchema } from '../../../src/api/generated/envoy/extensions/filters/http/buffer/v3/buffer_pb.js';
import { buildHcm, ROUTER } from '../../support/listener-models.ts';

const type = (name: string, fields: JsonObject = {}): JsonObject => ({
  '@type': `type.googleapis.com/${name}`,
  ...fields,
});
const BUFFER = 'envoy.extensions.filters.http.buffer.v3.Buffer';
const buffer: JsonObject = { name: 'b', typed_config: type(BUFFER, { max_request_bytes: 9 }) };
const cors: JsonObject = { name: 'c', typed_config: type('envoy.extensions.filters.http.cors.v3.Cors') };
const router = (fields: JsonObject): JsonObject => ({
  name: 'r',
  typed_config: type('envoy.extensions.filters.http.router.v3.Router', fields),
});
const xff = (hops = 0): JsonObject => ({
  name: 'x',
  typed_config: type('envoy.extensions.http.original_ip_detection.xff.v3.XffConfig', { xff_num_trusted_hops: hops }),
});

async function problemsOf(config: JsonObject): Promise<string[]> {
  const { problems } = await buildHcm(config);
  return problems.map(({ severity, path, message }) => `${severity} ${path}: ${message}`);
}

test('defaults', async () => {
  const { model, problems } = await buildHcm();
  expect(problems).toEqual([]);
  expect(model).toMatchObject({
    codecType: 'auto',
    statPrefix: 's',
    routes: { kind: 'inline', routeConfig: { name: 'r' } },
    httpFilters: [],
    router: { name: 'envoy.filters.http.router', dynamicStats: true, suppressEnvoyHeaders: false },
    serverName: 'envoy',
    serverHeaderTransformation: 'overwrite',
    useRemoteAddress: false,
    generateRequestId: true,
    requestId: { packTraceReason: true, useForTraceSampling: true },
    normalizePath: false,
    escapedSlashes: 'keep-unchanged',
    headersWithUnderscores: 'allow',
    requestTimeoutMs: 0,
    requestHeadersTimeoutMs: 0,
    streamIdleTimeoutMs: 300_000,
    drainTimeoutMs: 5000,
    delayedCloseTimeoutMs: 1000,
    idleTimeoutMs: 3_600_000,
    maxConnectionDurationMs: 0,
    maxStreamDurationMs: 0,
    maxRequestsPerConnection: 0,
    maxHeadersCount: 100,
    maxHeadersBytes: 61_440,
    http1: { acceptHttp10: false, allowAbsoluteUrl: true, enableTrailers: false, headerCase: 'lower' },
    localReply: undefined,
    accessLogFlushIntervalMs: 0,
    upgrades: [],
  });
});

test('what is set is taken over, with times in ms and sizes in bytes', async () => {
  const { model, problems } = await buildHcm({
    codec_type: 'HTTP1',
    server_name: 'me',
    server_header_transformation: 'PASS_THROUGH',
    scheme_header_transformation: { scheme_to_overwrite: 'https' },
    max_request_headers_kb: 8,
    request_timeout: '1.5s',
    request_headers_timeout: '0.25s',
    stream_idle_timeout: '0s',
    drain_timeout: '3s',
    delayed_close_timeout: '0s',
    common_http_protocol_options: {
      idle_timeout: '7s',
      max_connection_duration: '8s',
      max_stream_duration: '9s',
      max_requests_per_connection: 10,
      max_headers_count: 11,
      headers_with_underscores_action: 'REJECT_REQUEST',
    },
    http_protocol_options: {
      accept_http_10: true,
      default_host_for_http_10: 'h',
      allow_absolute_url: false,
      enable_trailers: true,
      allow_chunked_length: true,
      header_key_format: { proper_case_words: {} },
    },
    strip_any_host_port: true,
    path_with_escaped_slashes_action: 'UNESCAPE_AND_FORWARD',
    internal_address_config: { unix_sockets: true, cidr_ranges: [{ address_prefix: '10.0.0.0', prefix_len: 8 }] },
    forward_client_cert_details: 'SANITIZE_SET',
    set_current_client_cert_details: { subject: true, uri: true },
    request_id_extension: {
      typed_config: type('envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig', { pack_trace_reason: false }),
    },
    access_log_options: { access_log_flush_interval: '2s', flush_access_log_on_new_request: true },
    upgrade_configs: [{ upgrade_type: 'websocket' }, { upgrade_type: 'CONNECT', enabled: false, filters: [ROUTER] }],
  });
  expect(problems).toEqual([]);
  expect(model).toMatchObject({
    codecType: 'http1',
    serverName: 'me',
    serverHeaderTransformation: 'pass-through',
    schemeToOverwrite: 'https',
    maxHeadersBytes: 8192,
    requestTimeoutMs: 1500,
    requestHeadersTimeoutMs: 250,
    streamIdleTimeoutMs: 0,
    drainTimeoutMs: 3000,
    delayedCloseTimeoutMs: 0,
    idleTimeoutMs: 7000,
    maxConnectionDurationMs: 8000,
    maxStreamDurationMs: 9000,
    maxRequestsPerConnection: 10,
    maxHeadersCount: 11,
    headersWithUnderscores: 'reject-request',
    http1: {
      acceptHttp10: true,
      defaultHostForHttp10: 'h',
      allowAbsoluteUrl: false,
      enableTrailers: true,
      allowChunkedLength: true,
      headerCase: 'proper',
    },
    stripAnyHostPort: true,
    escapedSlashes: 'unescape-and-forward',
    internalAddresses: { unixSockets: true, cidrRanges: ['10.0.0.0/8'] },
    forwardClientCert: { mode: 'sanitize-set', subject: true, cert: false, uri: true },
    requestId: { packTraceReason: false, useForTraceSampling: true },
    accessLogFlushIntervalMs: 2000,
    flushAccessLogOnNewRequest: true,
    upgrades: [
      { type: 'websocket', enabled: true, filters: undefined },
      { type: 'CONNECT', enabled: false, filters: [] },
    ],
  });
});

test('stream_error_on_invalid_http_message holds for HTTP/1 unless that says otherwise', async () => {
  const of = async (config: JsonObject): Promise<boolean> =>
    (await buildHcm(config)).model.http1.overrideStreamErrorOnInvalidHttpMessage;
  expect(await of({ stream_error_on_invalid_http_message: true })).toBe(true);
  const override = { override_stream_error_on_invalid_http_message: false };
  expect(await of({ stream_error_on_invalid_http_message: true, http_protocol_options: override })).toBe(false);
});

test('the case of header names may be preserved', async () => {
  const { model, problems } = await buildHcm({
    http_protocol_options: {
      header_key_format: {
        stateful_formatter: {
          name: 'p',
          typed_config: type('envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig', {
            forward_reason_phrase: true,
          }),
        },
      },
    },
  });
  expect(problems).toEqual([]);
  expect(model.http1).toMatchObject({ headerCase: 'preserve', forwardReasonPhrase: true });
});

test('routes may come from RDS', async () => {
  const { model, problems } = await buildHcm({
    route_config: null,
    rds: { route_config_name: 'n', config_source: { ads: {} } },
  });
  expect(problems).toEqual([]);
  expect(model.routes).toEqual({ kind: 'rds', routeConfigName: 'n' });
});

describe('http_filters', () => {
  test('come in order, with the router taken out', async () => {
    const { model, problems } = await buildHcm({
      http_filters: [
        { ...buffer, disabled: true },
        buffer,
        router({ suppress_envoy_headers: true, dynamic_stats: false }),
      ],
    });
    expect(problems).toEqual([]);
    expect(model.httpFilters.map(({ name, disabled, config }) => [name, disabled, config.typeName])).toEqual([
      ['b', true, BUFFER],
      ['b', false, BUFFER],
    ]);
    expect(model.router).toMatchObject({ name: 'r', suppressEnvoyHeaders: true, dynamicStats: false });
  });

  test('a TypedStruct is handed on as the message that it stands for', async () => {
    const struct = type('xds.type.v3.TypedStruct', {
      type_url: `type.googleapis.com/${BUFFER}`,
      value: { max_request_bytes: 7 },
    });
    const { model, problems } = await buildHcm({ http_filters: [{ name: 'b', typed_config: struct }, ROUTER] });
    expect(problems).toEqual([]);
    expect(model.httpFilters[0]!.config.typeName).toBe(BUFFER);
    expect(fromBinary(BufferSchema, model.httpFilters[0]!.config.value).maxRequestBytes).toBe(7);
  });

  test('an optional one that is not implemented is left out by name', async () => {
    const { model, problems } = await buildHcm({ http_filters: [{ ...cors, is_optional: true }, ROUTER] });
    expect(model.httpFilters).toEqual([]);
    expect(problems.map(({ severity, path }) => `${severity} ${path}`)).toEqual([
      'unsupported http_filters[0].typed_config',
    ]);
  });

  test('an upstream codec alone is no upstream filter', async () => {
    const codec = { name: 'u', typed_config: type('envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec') };
    expect(await problemsOf({ http_filters: [router({ upstream_http_filters: [codec] })] })).toEqual([]);
  });
});

describe('refuses', () => {
  test.each([
    [
      'a chain that does not end in a router',
      { http_filters: [buffer] },
      'error http_filters[0]: Error: non-terminal filter named b is the last filter in a http filter chain.',
    ],
    [
      'a router before other filters',
      { http_filters: [ROUTER, buffer, ROUTER] },
      'error http_filters[0]: Error: terminal filter named envoy.filters.http.router of type envoy.filters.http.router must be the last filter in a http filter chain.',
    ],
    [
      'a disabled router',
      { http_filters: [{ ...ROUTER, disabled: true }] },
      'error http_filters[0]: Error: the last (terminal) filter (envoy.filters.http.router) in the chain cannot be disabled by default.',
    ],
    [
      'a filter that is not implemented',
      { http_filters: [cors, ROUTER] },
      "error http_filters[0].typed_config: unsupported: the HTTP filter 'c' (envoy.extensions.filters.http.cors.v3.Cors) is not implemented",
    ],
    [
      'two ways to strip ports',
      { strip_matching_host_port: true, strip_any_host_port: true },
      'error : Error: Only one of `strip_matching_host_port` or `strip_any_host_port` can be set.',
    ],
    [
      'IP detection beside use_remote_address',
      { use_remote_address: true, original_ip_detection_extensions: [xff()] },
      'error : Original IP detection extensions and use_remote_address may not be mixed',
    ],
    [
      'IP detection beside xff_num_trusted_hops',
      { xff_num_trusted_hops: 1, original_ip_detection_extensions: [xff()] },
      'error : Original IP detection extensions and xff_num_trusted_hops may not be mixed',
    ],
    [
      'an upgrade named twice',
      { upgrade_configs: [{ upgrade_type: 'websocket' }, { upgrade_type: 'WebSocket' }] },
      "error upgrade_configs[1]: Error: multiple upgrade configs with the same name: 'WebSocket'",
    ],
    ['HTTP/3', { codec_type: 'HTTP3' }, 'error codec_type: unsupported: HTTP/3 is not implemented'],
    [
      'headers that must not be changed, in local replies too',
      {
        local_reply_config: {
          mappers: [
            { filter: { not_health_check_filter: {} }, headers_to_add: [{ header: { key: ':path', value: 'x' } }] },
          ],
        },
      },
      'error local_reply_config.mappers[0].headers_to_add[0].header.key: :-prefixed or host headers may not be modified',
    ],
  ] as [string, JsonObject, string][])('%s', async (_, config, message) => {
    expect(await problemsOf(config)).toContain(message);
  });
});

test('names what is set and not implemented', async () => {
  const problems = await problemsOf({
    tracing: {},
    append_local_overload: true,
    http2_protocol_options: {},
    http_filters: [router({ start_child_span: true })],
  });
  expect(problems.sort()).toEqual([
    'unsupported append_local_overload: is not implemented',
    'unsupported http_filters[0].typed_config.start_child_span: is not implemented',
    'unsupported tracing: is not implemented',
  ]);
});

test('original IP detection: hops, and a header with a status that is at least an error', async () => {
  const header = (code: number): JsonObject => ({
    name: 'h',
    typed_config: type('envoy.extensions.http.original_ip_detection.custom_header.v3.CustomHeaderConfig', {
      header_name: 'X-Ip',
      reject_with_status: { code },
    }),
  });
  const { model, problems } = await buildHcm({ original_ip_detection_extensions: [xff(2), header(201), header(401)] });
  expect(problems).toEqual([]);
  expect(model.originalIpDetection).toMatchObject([
    { kind: 'xff', numTrustedHops: 2 },
    { kind: 'custom-header', headerName: 'x-ip', rejectStatus: 403 },
    { kind: 'custom-header', rejectStatus: 401 },
  ]);
});
