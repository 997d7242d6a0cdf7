import type { Cluster } from '../../api/generated/envoy/config/cluster/v3/cluster_pb.js';
import type {
  Http1ProtocolOptions,
  HttpProtocolOptions as CommonOptions,
} from '../../api/generated/envoy/config/core/v3/protocol_pb.js';
import type { PreserveCaseFormatterConfig } from '../../api/generated/envoy/extensions/http/header_formatters/preserve_case/v3/preserve_case_pb.js';
import type { HttpProtocolOptions } from '../../api/generated/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js';
import { unpackAny } from '../../api/any.ts';
import type { TypeRegistry } from '../../api/type-registry.ts';
import type { ClusterModel, UpstreamHttp1Model } from '../cluster-model.ts';
import type { Problems } from '../problem.ts';
import { durationMs } from './common.ts';
import { reportUnsupportedFields } from './unsupported-fields.ts';

const EXTENSION = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const ONE_HOUR = 3_600_000;

export type UpstreamHttpModel = Pick<
  ClusterModel,
  'http1' | 'idleTimeoutMs' | 'maxConnectionDurationMs' | 'maxRequestsPerConnection' | 'maxStreamDurationMs'
>;

/** How to speak HTTP to a cluster: its HttpProtocolOptions, or the deprecated fields that they took the place of. */
export function buildUpstreamHttp(message: Cluster, types: TypeRegistry, problems: Problems): UpstreamHttpModel {
  const extensions = problems.at('typed_extension_protocol_options');
  for (const name of Object.keys(message.typedExtensionProtocolOptions))
    if (name !== EXTENSION) extensions.unsupported(name);
  const any = message.typedExtensionProtocolOptions[EXTENSION];
  if (any !== undefined) {
    const at = extensions.at(EXTENSION);
    const unpacked = unpackAny(types, any);
    for (const problem of unpacked.problems) at.at(problem.path).error(problem.message);
    if (unpacked.message !== undefined && unpacked.typeName === EXTENSION)
      return buildTyped(unpacked.message as HttpProtocolOptions, message, types, at);
    at.error(`is not a ${EXTENSION}`);
  }
  if (message.http2ProtocolOptions !== undefined)
    problems.at('http2_protocol_options').error('unsupported: HTTP/2 towards upstreams is not implemented');
  return build(
    message.commonHttpProtocolOptions,
    message.httpProtocolOptions,
    message,
    types,
    problems.at('common_http_protocol_options'),
    problems.at('http_protocol_options'),
  );
}

function buildTyped(
  message: HttpProtocolOptions,
  cluster: Cluster,
  types: TypeRegistry,
  problems: Problems,
): UpstreamHttpModel {
  reportUnsupportedFields(
    types,
    message,
    [
      'common_http_protocol_options',
      'explicit_http_config',
      'use_downstream_protocol_config',
      'auto_config',
      'upstream_http_protocol_options',
      'http_filters',
    ],
    problems,
  );
  // Of consequence for TLS only.
  if (message.upstreamHttpProtocolOptions !== undefined) problems.unsupported('upstream_http_protocol_options');
  message.httpFilters.forEach((filter, index) => {
    if (filter.name !== 'envoy.filters.http.upstream_codec')
      problems
        .at('http_filters')
        .at(index)
        .error(`unsupported: upstream HTTP filters are not implemented (${filter.name})`);
  });
  const choice = message.upstreamProtocolOptions;
  let http1: Http1ProtocolOptions | undefined = undefined;
  let at = problems;
  if (choice.case === 'explicitHttpConfig') {
    at = problems.at('explicit_http_config');
    const config = choice.value.protocolConfig;
    if (config.case === 'httpProtocolOptions') http1 = config.value;
    else if (config.case === 'http2ProtocolOptions')
      at.at('http2_protocol_options').error('unsupported: HTTP/2 towards upstreams is not implemented');
    else if (config.case === 'http3ProtocolOptions')
      at.at('http3_protocol_options').error('unsupported: HTTP/3 is not implemented');
  } else if (choice.case === 'useDownstreamProtocolConfig') {
    at = problems.at('use_downstream_protocol_config');
    http1 = choice.value.httpProtocolOptions;
    reportUnsupportedFields(types, choice.value, ['http_protocol_options'], at);
  } else if (choice.case === 'autoConfig')
    problems.at('auto_config').error('unsupported: choosing the protocol by ALPN is not implemented');
  return build(
    message.commonHttpProtocolOptions,
    http1,
    cluster,
    types,
    problems.at('common_http_protocol_options'),
    at.at('http_protocol_options'),
  );
}

function build(
  common: CommonOptions | undefined,
  http1: Http1ProtocolOptions | undefined,
  cluster: Cluster,
  types: TypeRegistry,
  commonProblems: Problems,
  http1Problems: Problems,
): UpstreamHttpModel {
  if (common !== undefined)
    reportUnsupportedFields(
      types,
      common,
      [
        'idle_timeout',
        'max_connection_duration',
        'max_headers_count',
        'max_response_headers_kb',
        'max_stream_duration',
        'max_requests_per_connection',
      ],
      commonProblems,
    );
  // Fields newer than the API we are generated from come through where they are there.
  const maxKb = (common as { maxResponseHeadersKb?: number } | undefined)?.maxResponseHeadersKb;
  return {
    http1: {
      ...buildUpstreamHttp1(http1, types, http1Problems),
      maxHeadersCount: common?.maxHeadersCount ?? 100,
      maxHeadersBytes: (maxKb ?? 60) * 1024,
    },
    idleTimeoutMs: durationMs(common?.idleTimeout) ?? ONE_HOUR,
    maxConnectionDurationMs: durationMs(common?.maxConnectionDuration) ?? 0,
    maxRequestsPerConnection: common?.maxRequestsPerConnection ?? cluster.maxRequestsPerConnection ?? 0,
    maxStreamDurationMs: durationMs(common?.maxStreamDuration) ?? 0,
  };
}

/** core.v3.Http1ProtocolOptions, as far as it concerns the client side. */
function buildUpstreamHttp1(
  message: Http1ProtocolOptions | undefined,
  types: TypeRegistry,
  problems: Problems,
): Omit<UpstreamHttp1Model, 'maxHeadersCount' | 'maxHeadersBytes'> {
  if (message !== undefined)
    reportUnsupportedFields(
      types,
      message,
      [
        'allow_absolute_url',
        'accept_http_10',
        'default_host_for_http_10',
        'header_key_format',
        'enable_trailers',
        'allow_chunked_length',
        'override_stream_error_on_invalid_http_message',
        'send_fully_qualified_url',
        // Which of Envoy's two parsers runs makes no difference here.
        'use_balsa_parser',
      ],
      problems,
    );
  const format = message?.headerKeyFormat?.headerFormat;
  let headerCase: UpstreamHttp1Model['headerCase'] = 'lower';
  let forwardReasonPhrase = false;
  if (format?.case === 'properCaseWords') headerCase = 'proper';
  else if (format?.case === 'statefulFormatter') {
    const at = problems.at('header_key_format').at('stateful_formatter');
    const config = format.value.typedConfig;
    const unpacked = config === undefined ? undefined : unpackAny(types, config);
    if (unpacked?.typeName.endsWith('.PreserveCaseFormatterConfig') === true) {
      headerCase = 'preserve';
      const options = unpacked.message as PreserveCaseFormatterConfig | undefined;
      forwardReasonPhrase = options?.forwardReasonPhrase ?? false;
      if (options !== undefined)
        reportUnsupportedFields(types, options, ['forward_reason_phrase'], at.at('typed_config'));
    } else at.error(`unsupported: the header formatter '${format.value.name}' is not implemented`);
  }
  return {
    acceptHttp10: message?.acceptHttp10 ?? false,
    defaultHostForHttp10: message?.defaultHostForHttp10 ?? '',
    allowAbsoluteUrl: message?.allowAbsoluteUrl ?? true,
    enableTrailers: message?.enableTrailers ?? false,
    allowChunkedLength: message?.allowChunkedLength ?? false,
    headerCase,
    forwardReasonPhrase,
    overrideStreamErrorOnInvalidHttpMessage: message?.overrideStreamErrorOnInvalidHttpMessage ?? false,
    sendFullyQualifiedUrl: message?.sendFullyQualifiedUrl ?? false,
  };
}
