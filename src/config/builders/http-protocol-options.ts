import type {
  Http1ProtocolOptions,
  HttpProtocolOptions,
} from '../../api/generated/envoy/config/core/v3/protocol_pb.js';
import type { PreserveCaseFormatterConfig } from '../../api/generated/envoy/extensions/http/header_formatters/preserve_case/v3/preserve_case_pb.js';
import type { HcmModel, Http1OptionsModel } from '../hcm-model.ts';
import type { Problems } from '../problem.ts';
import { durationMs } from '../../api/duration.ts';
import { unpackAs, type ListenerBuildContext } from './listener-context.ts';
import { reportUnsupportedFields } from './unsupported-fields.ts';

const PRESERVE_CASE = 'envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig';
const HOUR_MS = 3_600_000;
const HTTP1_FIELDS = [
  'allow_absolute_url',
  'accept_http_10',
  'default_host_for_http_10',
  'header_key_format',
  'enable_trailers',
  'allow_chunked_length',
  'override_stream_error_on_invalid_http_message',
  'allow_custom_methods',
  // For requests that a client sends; a server has no use for it.
  'send_fully_qualified_url',
  // There is one parser here, which is as strict as that one.
  'use_balsa_parser',
];

/** core.v3.Http1ProtocolOptions of a server. */
export function buildHttp1Options(
  message: Http1ProtocolOptions | undefined,
  streamErrorOnInvalidHttpMessage: boolean,
  problems: Problems,
  context: ListenerBuildContext,
): Http1OptionsModel {
  if (message !== undefined) reportUnsupportedFields(context.types, message, HTTP1_FIELDS, problems);
  const format = buildHeaderCase(message, problems.at('header_key_format'), context);
  return {
    acceptHttp10: message?.acceptHttp10 ?? false,
    defaultHostForHttp10: message?.defaultHostForHttp10 ?? '',
    allowAbsoluteUrl: message?.allowAbsoluteUrl ?? true,
    enableTrailers: message?.enableTrailers ?? false,
    allowChunkedLength: message?.allowChunkedLength ?? false,
    allowCustomMethods: message?.allowCustomMethods ?? false,
    overrideStreamErrorOnInvalidHttpMessage:
      message?.overrideStreamErrorOnInvalidHttpMessage ?? streamErrorOnInvalidHttpMessage,
    ...format,
  };
}

function buildHeaderCase(
  message: Http1ProtocolOptions | undefined,
  problems: Problems,
  context: ListenerBuildContext,
): Pick<Http1OptionsModel, 'headerCase' | 'forwardReasonPhrase'> {
  const format = message?.headerKeyFormat?.headerFormat;
  if (format?.case === 'properCaseWords') return { headerCase: 'proper', forwardReasonPhrase: false };
  if (format?.case !== 'statefulFormatter') return { headerCase: 'lower', forwardReasonPhrase: false };
  const config = format.value.typedConfig;
  const preserve = config && unpackAs<PreserveCaseFormatterConfig>(context.types, config, PRESERVE_CASE);
  const below = problems.at('stateful_formatter');
  if (preserve === undefined) {
    below.unsupported('typed_config', `the header formatter '${format.value.name}' is not implemented`);
    return { headerCase: 'lower', forwardReasonPhrase: false };
  }
  if (preserve.formatterTypeOnEnvoyHeaders !== 0) below.unsupported('formatter_type_on_envoy_headers');
  return { headerCase: 'preserve', forwardReasonPhrase: preserve.forwardReasonPhrase };
}

/** By HeadersWithUnderscoresAction's numbers. */
const UNDERSCORES: readonly HcmModel['headersWithUnderscores'][] = ['allow', 'reject-request', 'drop-header'];

/** core.v3.HttpProtocolOptions of a server. */
export function buildCommonHttpOptions(
  message: HttpProtocolOptions | undefined,
  problems: Problems,
  context: ListenerBuildContext,
): Pick<
  HcmModel,
  | 'idleTimeoutMs'
  | 'maxConnectionDurationMs'
  | 'maxStreamDurationMs'
  | 'maxRequestsPerConnection'
  | 'maxHeadersCount'
  | 'headersWithUnderscores'
> {
  if (message !== undefined)
    reportUnsupportedFields(
      context.types,
      message,
      [
        'idle_timeout',
        'max_connection_duration',
        'max_stream_duration',
        'max_requests_per_connection',
        'max_headers_count',
        'headers_with_underscores_action',
      ],
      problems,
    );
  return {
    idleTimeoutMs: durationMs(message?.idleTimeout) ?? HOUR_MS,
    maxConnectionDurationMs: durationMs(message?.maxConnectionDuration) ?? 0,
    maxStreamDurationMs: durationMs(message?.maxStreamDuration) ?? 0,
    maxRequestsPerConnection: message?.maxRequestsPerConnection ?? 0,
    maxHeadersCount: message?.maxHeadersCount ?? 100,
    headersWithUnderscores: UNDERSCORES[message?.headersWithUnderscoresAction ?? 0] ?? 'allow',
  };
}
