import type {
  HttpConnectionManager,
  HttpConnectionManager_InternalAddressConfig as InternalAddressConfig,
  HttpConnectionManager_UpgradeConfig as UpgradeConfig,
  LocalReplyConfig,
  RequestIDExtension,
} from '../../api/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import type { UuidRequestIdConfig } from '../../api/generated/envoy/extensions/request_id/uuid/v3/uuid_pb.js';
import type { Http2OptionsModel } from '../cluster-model.ts';
import type {
  ForwardClientCertModel,
  HcmModel,
  InternalAddressModel,
  LocalReplyModel,
  RequestIdModel,
  RouteSourceModel,
  UpgradeModel,
} from '../hcm-model.ts';
import type { Problems } from '../problem.ts';
import { buildAccessLogs, buildLogFilter } from './access-log.ts';
import { buildCidrRanges } from './cidr-ranges.ts';
import { checkConfigSource } from './config-source.ts';
import { durationMs } from '../../api/duration.ts';
import { buildFormat, buildHeaderValueOptions, readDataSource } from './common.ts';
import { buildHttp2Options } from './http2-options.ts';
import { buildHttpFilters } from './http-filters.ts';
import { buildCommonHttpOptions, buildHttp1Options } from './http-protocol-options.ts';
import { unpackAs, type ListenerBuildContext } from './listener-context.ts';
import { buildOriginalIpDetection } from './original-ip-detection.ts';
import { buildRouteConfig } from './route.ts';
import { buildScopedRoutes, type BuildRoutes } from './scoped-routes.ts';
import { reportUnsupportedFields } from './unsupported-fields.ts';
import { typeNameOf } from '../../api/type-name.ts';

export const HTTP_CONNECTION_MANAGER =
  'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
const UUID = 'envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig';

const FIELDS = [
  'codec_type',
  'stat_prefix',
  'rds',
  'route_config',
  'scoped_routes',
  'http_filters',
  'add_user_agent',
  'common_http_protocol_options',
  'http_protocol_options',
  'http2_protocol_options',
  'server_name',
  'server_header_transformation',
  'scheme_header_transformation',
  'max_request_headers_kb',
  'stream_idle_timeout',
  'request_timeout',
  'request_headers_timeout',
  'drain_timeout',
  'delayed_close_timeout',
  'access_log',
  'access_log_flush_interval',
  'flush_access_log_on_new_request',
  'access_log_options',
  'use_remote_address',
  'xff_num_trusted_hops',
  'original_ip_detection_extensions',
  'internal_address_config',
  'skip_xff_append',
  'via',
  'generate_request_id',
  'preserve_external_request_id',
  'always_set_request_id_in_response',
  'forward_client_cert_details',
  'set_current_client_cert_details',
  'proxy_100_continue',
  'represent_ipv4_remote_address_as_ipv4_mapped_ipv6',
  'upgrade_configs',
  'normalize_path',
  'merge_slashes',
  'path_with_escaped_slashes_action',
  'request_id_extension',
  'local_reply_config',
  'strip_matching_host_port',
  'strip_any_host_port',
  'stream_error_on_invalid_http_message',
  'strip_trailing_host_dot',
  'append_x_forwarded_port',
];

const SERVER_HEADER: readonly HcmModel['serverHeaderTransformation'][] = [
  'overwrite',
  'append-if-absent',
  'pass-through',
];
/** By PathWithEscapedSlashesAction's numbers; 0 leaves it to the implementation. */
const ESCAPED_SLASHES: readonly HcmModel['escapedSlashes'][] = [
  'keep-unchanged',
  'keep-unchanged',
  'reject-request',
  'unescape-and-redirect',
  'unescape-and-forward',
];
const CLIENT_CERT_MODES: readonly ForwardClientCertModel['mode'][] = [
  'sanitize',
  'forward-only',
  'append-forward',
  'sanitize-set',
  'always-forward-only',
];
const CODEC_TYPES: readonly HcmModel['codecType'][] = ['auto', 'http1', 'http2'];
const FIVE_MINUTES_MS = 300_000;

/** HttpConnectionManager; `problems` stands at it. The message has passed the rules of its descriptor. */
export function buildHttpConnectionManager(
  message: HttpConnectionManager,
  problems: Problems,
  context: ListenerBuildContext,
): HcmModel {
  reportUnsupportedFields(context.types, message, FIELDS, problems);
  if (message.stripMatchingHostPort && message.stripPortMode.value === true)
    problems.error('Error: Only one of `strip_matching_host_port` or `strip_any_host_port` can be set.');
  const { filters, router } = buildHttpFilters(message.httpFilters, problems.at('http_filters'), context);
  const streamError = message.streamErrorOnInvalidHttpMessage ?? false;
  const logOptions = message.accessLogOptions;
  const scheme = message.schemeHeaderTransformation;
  const schemeToOverwrite = scheme?.transformation.value ?? '';
  return {
    codecType: buildCodecType(message, problems),
    statPrefix: message.statPrefix,
    routes: buildRoutes(message, problems, context),
    httpFilters: filters,
    router,
    serverName: message.serverName === '' ? 'envoy' : message.serverName,
    serverHeaderTransformation: SERVER_HEADER[message.serverHeaderTransformation] ?? 'overwrite',
    schemeToOverwrite: schemeToOverwrite === 'http' || schemeToOverwrite === 'https' ? schemeToOverwrite : '',
    schemeMatchUpstream: scheme?.matchUpstream ?? false,
    useRemoteAddress: message.useRemoteAddress ?? false,
    xffNumTrustedHops: message.xffNumTrustedHops,
    skipXffAppend: message.skipXffAppend,
    internalAddresses: buildInternalAddresses(message.internalAddressConfig, problems.at('internal_address_config')),
    originalIpDetection: buildOriginalIpDetection(message, problems, context),
    via: message.via,
    addUserAgent: message.addUserAgent ?? false,
    representIpv4AsIpv4MappedIpv6: message.representIpv4RemoteAddressAsIpv4MappedIpv6,
    appendXForwardedPort: message.appendXForwardedPort,
    forwardClientCert: buildForwardClientCert(message),
    generateRequestId: message.generateRequestId ?? true,
    preserveExternalRequestId: message.preserveExternalRequestId,
    alwaysSetRequestIdInResponse: message.alwaysSetRequestIdInResponse,
    requestId: buildRequestId(message.requestIdExtension, problems.at('request_id_extension'), context),
    normalizePath: message.normalizePath ?? false,
    mergeSlashes: message.mergeSlashes,
    escapedSlashes: ESCAPED_SLASHES[message.pathWithEscapedSlashesAction] ?? 'keep-unchanged',
    stripMatchingHostPort: message.stripMatchingHostPort,
    stripAnyHostPort: message.stripPortMode.value ?? false,
    stripTrailingHostDot: message.stripTrailingHostDot,
    proxy100Continue: message.proxy100Continue,
    streamErrorOnInvalidHttpMessage: streamError,
    requestTimeoutMs: durationMs(message.requestTimeout) ?? 0,
    requestHeadersTimeoutMs: durationMs(message.requestHeadersTimeout) ?? 0,
    streamIdleTimeoutMs: durationMs(message.streamIdleTimeout) ?? FIVE_MINUTES_MS,
    drainTimeoutMs: durationMs(message.drainTimeout) ?? 5000,
    delayedCloseTimeoutMs: durationMs(message.delayedCloseTimeout) ?? 1000,
    ...buildCommonHttpOptions(message.commonHttpProtocolOptions, problems.at('common_http_protocol_options'), context),
    maxHeadersBytes: (message.maxRequestHeadersKb ?? 60) * 1024,
    http2: buildServerHttp2Options(message, streamError, problems, context),
    http1: buildHttp1Options(message.httpProtocolOptions, streamError, problems.at('http_protocol_options'), context),
    localReply: buildLocalReply(message.localReplyConfig, problems.at('local_reply_config')),
    accessLogs: buildAccessLogs(message.accessLog, problems.at('access_log')),
    accessLogFlushIntervalMs: durationMs(logOptions?.accessLogFlushInterval ?? message.accessLogFlushInterval) ?? 0,
    flushAccessLogOnNewRequest: logOptions?.flushAccessLogOnNewRequest ?? message.flushAccessLogOnNewRequest,
    flushAccessLogOnTunnelEstablished: logOptions?.flushLogOnTunnelSuccessfullyEstablished ?? false,
    upgrades: buildUpgrades(message.upgradeConfigs, problems.at('upgrade_configs'), context),
  };
}

function buildCodecType(message: HttpConnectionManager, problems: Problems): HcmModel['codecType'] {
  if (message.codecType === 3) problems.at('codec_type').error('unsupported: HTTP/3 is not implemented');
  return CODEC_TYPES[message.codecType] ?? 'auto';
}

function buildServerHttp2Options(
  message: HttpConnectionManager,
  streamError: boolean,
  problems: Problems,
  context: ListenerBuildContext,
): Http2OptionsModel {
  const own = message.http2ProtocolOptions;
  const model = buildHttp2Options(own, context.types, problems.at('http2_protocol_options'));
  // As the connection manager has it, unless the options say otherwise.
  const overrides =
    own?.overrideStreamErrorOnInvalidHttpMessage !== undefined || own?.streamErrorOnInvalidHttpMessaging;
  return overrides ? model : { ...model, overrideStreamErrorOnInvalidHttpMessage: streamError };
}

function buildRoutes(
  message: HttpConnectionManager,
  problems: Problems,
  context: ListenerBuildContext,
): RouteSourceModel {
  const source = message.routeSpecifier;
  const buildRoutes: BuildRoutes = (message, at) =>
    buildRouteConfig(message, at, {
      clusterExists: context.clusterExists,
      validateClusters: true,
      types: context.types,
    });
  switch (source.case) {
    case 'routeConfig':
      return { kind: 'inline', routeConfig: buildRoutes(source.value, problems.at('route_config')) };
    case 'rds':
      if (context.discovery !== undefined)
        checkConfigSource(
          source.value.configSource,
          'rds',
          context.discovery,
          problems.at('rds').at('config_source'),
          source.value.routeConfigName,
        );
      return { kind: 'rds', routeConfigName: source.value.routeConfigName };
    case 'scopedRoutes':
      if (context.discovery !== undefined) {
        const at = problems.at('scoped_routes');
        const { configSpecifier, rdsConfigSource } = source.value;
        if (rdsConfigSource !== undefined)
          checkConfigSource(rdsConfigSource, 'rds', context.discovery, at.at('rds_config_source'));
        if (configSpecifier.case === 'scopedRds') {
          const own = at.at('scoped_rds').at('scoped_rds_config_source');
          checkConfigSource(configSpecifier.value.scopedRdsConfigSource, 'srds', context.discovery, own);
        }
      }
      return buildScopedRoutes(source.value, problems.at('scoped_routes'), buildRoutes);
    default:
      problems.at('route_specifier').error('is required');
      return { kind: 'rds', routeConfigName: '' };
  }
}

function buildInternalAddresses(message: InternalAddressConfig | undefined, problems: Problems): InternalAddressModel {
  return {
    unixSockets: message?.unixSockets ?? false,
    cidrRanges: buildCidrRanges(message?.cidrRanges ?? [], problems.at('cidr_ranges')),
  };
}

function buildForwardClientCert(message: HttpConnectionManager): ForwardClientCertModel {
  const details = message.setCurrentClientCertDetails;
  return {
    mode: CLIENT_CERT_MODES[message.forwardClientCertDetails] ?? 'sanitize',
    subject: details?.subject ?? false,
    cert: details?.cert ?? false,
    chain: details?.chain ?? false,
    dns: details?.dns ?? false,
    uri: details?.uri ?? false,
  };
}

function buildRequestId(
  message: RequestIDExtension | undefined,
  problems: Problems,
  context: ListenerBuildContext,
): RequestIdModel {
  const any = message?.typedConfig;
  if (any === undefined) return { packTraceReason: true, useForTraceSampling: true };
  const uuid = unpackAs<UuidRequestIdConfig>(context.types, any, UUID);
  if (uuid === undefined)
    problems.at('typed_config').error(`unsupported: the request id ${typeNameOf(any.typeUrl)} is not implemented`);
  return {
    packTraceReason: uuid?.packTraceReason ?? true,
    useForTraceSampling: uuid?.useRequestIdForTraceSampling ?? true,
  };
}

function buildLocalReply(message: LocalReplyConfig | undefined, problems: Problems): LocalReplyModel | undefined {
  if (message === undefined) return undefined;
  const mappers = message.mappers.map((mapper, index) => {
    const at = problems.at('mappers').at(index);
    const { filter, body, bodyFormatOverride } = mapper;
    if (filter === undefined) at.at('filter').error('value is required');
    return {
      filter: filter === undefined ? ({ kind: 'unsupported' } as const) : buildLogFilter(filter, at.at('filter')),
      statusCode: mapper.statusCode,
      body: body === undefined ? undefined : readDataSource(body, at.at('body')).toString('latin1'),
      bodyFormat:
        bodyFormatOverride === undefined ? undefined : buildFormat(bodyFormatOverride, at.at('body_format_override')),
      headersToAdd: buildHeaderValueOptions(mapper.headersToAdd, at.at('headers_to_add')),
    };
  });
  const format = message.bodyFormat;
  return { mappers, bodyFormat: format === undefined ? undefined : buildFormat(format, problems.at('body_format')) };
}

function buildUpgrades(
  messages: readonly UpgradeConfig[],
  problems: Problems,
  context: ListenerBuildContext,
): UpgradeModel[] {
  const seen = new Set<string>();
  return messages.map((message, index) => {
    const at = problems.at(index);
    const type = message.upgradeType;
    if (type.toLowerCase() === 'connect-udp')
      at.at('upgrade_type').error('unsupported: CONNECT-UDP is not implemented');
    if (seen.has(type.toLowerCase())) at.error(`Error: multiple upgrade configs with the same name: '${type}'`);
    seen.add(type.toLowerCase());
    const own = message.filters.length > 0;
    return {
      type,
      enabled: message.enabled ?? true,
      filters: own ? buildHttpFilters(message.filters, at.at('filters'), context).filters : undefined,
    };
  });
}
