import type { Cluster } from '../../api/generated/envoy/config/cluster/v3/cluster_pb.js';
import type {
  Http1ProtocolOptions,
  Http2ProtocolOptions,
  HttpProtocolOptions as CommonOptions,
  UpstreamHttpProtocolOptions,
} from '../../api/generated/envoy/config/core/v3/protocol_pb.js';
import type { PreserveCaseFormatterConfig } from '../../api/generated/envoy/extensions/http/header_formatters/preserve_case/v3/preserve_case_pb.js';
import type { HttpProtocolOptions } from '../../api/generated/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js';
import type { TcpProtocolOptions } from '../../api/generated/envoy/extensions/upstreams/tcp/v3/tcp_protocol_options_pb.js';
import { unpackAny } from '../../api/any.ts';
import type { TypeRegistry } from '../../api/type-registry.ts';
import type { ClusterModel, UpstreamHttp1Model } from '../cluster-model.ts';
import type { Problems } from '../problem.ts';
import { durationMs } from '../../api/duration.ts';
import { buildHttp2Options } from './http2-options.ts';
import { reportUnsupportedFields } from './unsupported-fields.ts';

const EXTENSION = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const ONE_HOUR = 3_600_000;
/** Cluster.ClusterProtocolSelection. */
const USE_DOWNSTREAM_PROTOCOL = 1;

const TCP_EXTENSION = 'envoy.extensions.upstreams.tcp.v3.TcpProtocolOptions';
const TEN_MINUTES = 600_000;

export type UpstreamHttpModel = Pick<
  ClusterModel,
  | 'httpVersion'
  | 'http1'
  | 'http2'
  | 'autoSni'
  | 'autoSanValidation'
  | 'idleTimeoutMs'
  | 'tcpIdleTimeoutMs'
  | 'maxConnectionDurationMs'
  | 'maxRequestsPerConnection'
  | 'maxStreamDurationMs'
>;

/** What is said of a cluster's protocols, and where. */
interface ProtocolOptions {
  readonly version: ClusterModel['httpVersion'];
  readonly http1: Http1ProtocolOptions | undefined;
  readonly http1Problems: Problems;
  readonly http2: Http2ProtocolOptions | undefined;
  readonly http2Problems: Problems;
  readonly common: CommonOptions | undefined;
  readonly commonProblems: Problems;
  readonly upstream: UpstreamHttpProtocolOptions | undefined;
  readonly upstreamProblems: Problems;
  readonly tcpIdleTimeoutMs: number;
}

/** How to speak HTTP to a cluster: its HttpProtocolOptions, or the deprecated fields that they took the place of. */
export function buildUpstreamHttp(message: Cluster, types: TypeRegistry, problems: Problems): UpstreamHttpModel {
  const extensions = problems.at('typed_extension_protocol_options');
  for (const name of Object.keys(message.typedExtensionProtocolOptions))
    if (name !== EXTENSION && name !== TCP_EXTENSION) extensions.unsupported(name);
  const tcp = unpack<TcpProtocolOptions>(message, TCP_EXTENSION, types, extensions);
  if (tcp !== undefined) reportUnsupportedFields(types, tcp, ['idle_timeout'], extensions.at(TCP_EXTENSION));
  const tcpIdleTimeoutMs = durationMs(tcp?.idleTimeout) ?? TEN_MINUTES;
  const http = unpack<HttpProtocolOptions>(message, EXTENSION, types, extensions);
  if (http !== undefined) return buildTyped(http, message, tcpIdleTimeoutMs, types, extensions.at(EXTENSION));
  return build(
    {
      version:
        message.protocolSelection === USE_DOWNSTREAM_PROTOCOL
          ? 'downstream'
          : message.http2ProtocolOptions === undefined
            ? 'http1'
            : 'http2',
      http1: message.httpProtocolOptions,
      http1Problems: problems.at('http_protocol_options'),
      http2: message.http2ProtocolOptions,
      http2Problems: problems.at('http2_protocol_options'),
      common: message.commonHttpProtocolOptions,
      commonProblems: problems.at('common_http_protocol_options'),
      upstream: message.upstreamHttpProtocolOptions,
      upstreamProblems: problems.at('upstream_http_protocol_options'),
      tcpIdleTimeoutMs,
    },
    message,
    types,
  );
}

/** One of a cluster's typed extension options; undefined: it isn't there, or is not what it should be. */
function unpack<Options>(
  cluster: Cluster,
  typeName: string,
  types: TypeRegistry,
  problems: Problems,
): Options | undefined {
  const any = cluster.typedExtensionProtocolOptions[typeName];
  if (any === undefined) return undefined;
  const at = problems.at(typeName);
  const unpacked = unpackAny(types, any);
  for (const problem of unpacked.problems) at.at(problem.path).error(problem.message);
  if (unpacked.message !== undefined && unpacked.typeName === typeName) return unpacked.message as Options;
  at.error(`is not a ${typeName}`);
  return undefined;
}

function buildTyped(
  message: HttpProtocolOptions,
  cluster: Cluster,
  tcpIdleTimeoutMs: number,
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
  message.httpFilters.forEach((filter, index) => {
    if (filter.name !== 'envoy.filters.http.upstream_codec')
      problems
        .at('http_filters')
        .at(index)
        .error(`unsupported: upstream HTTP filters are not implemented (${filter.name})`);
  });
  const choice = message.upstreamProtocolOptions;
  let version: ClusterModel['httpVersion'] = 'http1';
  let http1: Http1ProtocolOptions | undefined = undefined;
  let http2: Http2ProtocolOptions | undefined = undefined;
  let at = problems;
  if (choice.case === 'explicitHttpConfig') {
    at = problems.at('explicit_http_config');
    const config = choice.value.protocolConfig;
    if (config.case === 'httpProtocolOptions') http1 = config.value;
    else if (config.case === 'http2ProtocolOptions') {
      version = 'http2';
      http2 = config.value;
    } else if (config.case === 'http3ProtocolOptions') refuseHttp3(at);
  } else if (choice.case === 'useDownstreamProtocolConfig' || choice.case === 'autoConfig') {
    const downstream = choice.case === 'useDownstreamProtocolConfig';
    at = problems.at(downstream ? 'use_downstream_protocol_config' : 'auto_config');
    version = downstream ? 'downstream' : 'auto';
    http1 = choice.value.httpProtocolOptions;
    http2 = choice.value.http2ProtocolOptions;
    if (choice.value.http3ProtocolOptions !== undefined) refuseHttp3(at);
    reportUnsupportedFields(
      types,
      choice.value,
      ['http_protocol_options', 'http2_protocol_options', 'http3_protocol_options'],
      at,
    );
  }
  return build(
    {
      version,
      http1,
      http1Problems: at.at('http_protocol_options'),
      http2,
      http2Problems: at.at('http2_protocol_options'),
      common: message.commonHttpProtocolOptions,
      commonProblems: problems.at('common_http_protocol_options'),
      upstream: message.upstreamHttpProtocolOptions,
      upstreamProblems: problems.at('upstream_http_protocol_options'),
      tcpIdleTimeoutMs,
    },
    cluster,
    types,
  );
}

const refuseHttp3 = (problems: Problems): void =>
  problems.at('http3_protocol_options').error('unsupported: HTTP/3 is not implemented');

function build(options: ProtocolOptions, cluster: Cluster, types: TypeRegistry): UpstreamHttpModel {
  const { common, upstream } = options;
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
      options.commonProblems,
    );
  if (upstream !== undefined)
    reportUnsupportedFields(
      types,
      upstream,
      ['auto_sni', 'auto_san_validation', 'override_auto_sni_header'],
      options.upstreamProblems,
    );
  // Fields newer than the API we are generated from come through where they are there.
  const maxKb = (common as { maxResponseHeadersKb?: number } | undefined)?.maxResponseHeadersKb;
  return {
    httpVersion: options.version,
    http2: buildHttp2Options(options.http2, types, options.http2Problems),
    autoSni: upstream?.autoSni === true ? { overrideHeader: upstream.overrideAutoSniHeader.toLowerCase() } : undefined,
    autoSanValidation: upstream?.autoSanValidation ?? false,
    tcpIdleTimeoutMs: options.tcpIdleTimeoutMs,
    http1: {
      ...buildUpstreamHttp1(options.http1, types, options.http1Problems),
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
