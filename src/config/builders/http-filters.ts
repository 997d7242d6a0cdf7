import { unpackAny } from '../../api/any.ts';
import type { Router } from '../../api/generated/envoy/extensions/filters/http/router/v3/router_pb.js';
import type { HttpFilter } from '../../api/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import type { HttpFilterModel, RouterFilterModel } from '../hcm-model.ts';
import type { Problems } from '../problem.ts';
import { buildAccessLogs } from './access-log.ts';
import { typedConfig, unpackAs, type ListenerBuildContext } from './listener-context.ts';
import { reportUnsupportedFields } from './unsupported-fields.ts';
import { typeNameOf } from '../../api/type-name.ts';

const ROUTER = 'envoy.extensions.filters.http.router.v3.Router';
const UPSTREAM_CODEC = 'envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec';
const ROUTER_FIELDS = [
  'dynamic_stats',
  'suppress_envoy_headers',
  'strict_check_headers',
  'respect_expected_rq_timeout',
  'suppress_grpc_request_failure_code_stats',
  'upstream_log',
  'upstream_http_filters',
];

const DEFAULT_ROUTER: RouterFilterModel = {
  name: 'envoy.filters.http.router',
  dynamicStats: true,
  suppressEnvoyHeaders: false,
  respectExpectedRqTimeout: false,
  suppressGrpcRequestFailureCodeStats: false,
  strictCheckHeaders: [],
  upstreamAccessLogs: [],
};

/**
 * The `http_filters` of an HTTP connection manager (or of one of its upgrades): the filters in order, and the router
 * that has to end them.
 */
export function buildHttpFilters(
  messages: readonly HttpFilter[],
  problems: Problems,
  context: ListenerBuildContext,
): { filters: HttpFilterModel[]; router: RouterFilterModel } {
  const filters: HttpFilterModel[] = [];
  let router: RouterFilterModel | undefined;
  messages.forEach((message, index) => {
    const at = problems.at(index);
    if (message.configType.case === 'typedConfig' && typeNameIn(message, context) === ROUTER) {
      if (index < messages.length - 1)
        at.error(
          `Error: terminal filter named ${message.name} of type envoy.filters.http.router must be the last filter in a http filter chain.`,
        );
      if (message.disabled)
        at.error(`Error: the last (terminal) filter (${message.name}) in the chain cannot be disabled by default.`);
      router = buildRouter(message, at.at('typed_config'), context);
      return;
    }
    const filter = buildHttpFilter(message, at, context);
    if (filter === undefined) return;
    filters.push(filter);
    if (index === messages.length - 1)
      at.error(`Error: non-terminal filter named ${message.name} is the last filter in a http filter chain.`);
  });
  return { filters, router: router ?? DEFAULT_ROUTER };
}

/** Undefined: it can't be used, and either isn't needed or was reported. */
function buildHttpFilter(
  message: HttpFilter,
  problems: Problems,
  context: ListenerBuildContext,
): HttpFilterModel | undefined {
  const { name, configType } = message;
  if (configType.case !== 'typedConfig') {
    if (configType.case === 'configDiscovery')
      refuse(message, problems, 'config_discovery', 'filter configs from discovery (ECDS) are not implemented');
    else
      refuse(
        message,
        problems,
        'typed_config',
        `Didn't find a registered implementation for '${name}' with type URL: ''`,
      );
    return undefined;
  }
  const typeName = typeNameIn(message, context);
  if (!context.isKnownHttpFilter(typeName)) {
    refuse(message, problems, 'typed_config', `the HTTP filter '${name}' (${typeName}) is not implemented`);
    return undefined;
  }
  return { name, config: typedConfig(context.types, name, configType.value), disabled: message.disabled };
}

/** An optional filter is left out with a warning; any other one can't be missed. */
function refuse(message: HttpFilter, problems: Problems, field: string, reason: string): void {
  if (message.isOptional) problems.unsupported(field, `${reason}; it is optional and left out`);
  else problems.at(field).error(`unsupported: ${reason}`);
}

function typeNameIn(message: HttpFilter, context: ListenerBuildContext): string {
  if (message.configType.case !== 'typedConfig') return '';
  const any = message.configType.value;
  return unpackAny(context.types, any).typeName || typeNameOf(any.typeUrl);
}

function buildRouter(message: HttpFilter, problems: Problems, context: ListenerBuildContext): RouterFilterModel {
  if (message.configType.case !== 'typedConfig') return DEFAULT_ROUTER;
  const router = unpackAs<Router>(context.types, message.configType.value, ROUTER);
  if (router === undefined) return { ...DEFAULT_ROUTER, name: message.name };
  reportUnsupportedFields(context.types, router, ROUTER_FIELDS, problems);
  router.upstreamHttpFilters.forEach((filter, index) => {
    // The codec is what ends the upstream filters; alone it says what happens anyway.
    if (typeNameIn(filter, context) !== UPSTREAM_CODEC)
      problems
        .at('upstream_http_filters')
        .at(index)
        .error(`unsupported: the upstream HTTP filter '${filter.name}' is not implemented`);
  });
  return {
    name: message.name,
    dynamicStats: router.dynamicStats ?? true,
    suppressEnvoyHeaders: router.suppressEnvoyHeaders,
    respectExpectedRqTimeout: router.respectExpectedRqTimeout,
    suppressGrpcRequestFailureCodeStats: router.suppressGrpcRequestFailureCodeStats,
    strictCheckHeaders: router.strictCheckHeaders,
    upstreamAccessLogs: buildAccessLogs(router.upstreamLog, problems.at('upstream_log')),
  };
}
