import { fromBinary } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import type { HeaderValueOption } from '../../api/generated/envoy/config/core/v3/base_pb.js';
import {
  FilterConfigSchema,
  type FilterConfig,
} from '../../api/generated/envoy/config/route/v3/route_components_pb.js';
import { compileHeaderValue } from '../../telemetry/access-log/format.ts';
import type { HeaderMutationModel, TypedConfigModel } from '../common-model.ts';
import type { Problems } from '../problem.ts';
import type { PerFilterConfigModel } from '../route-model.ts';
import { buildHeaderMutation, buildTypedConfig } from './common.ts';
import { typedConfig } from './listener-context.ts';
import type { RouteBuildContext } from './route-context.ts';
import { typeNameOf } from '../../api/type-name.ts';

/** What route configurations, virtual hosts, routes and weighted clusters have in common. */
export interface RouteScopeMessage {
  readonly requestHeadersToAdd: readonly HeaderValueOption[];
  readonly requestHeadersToRemove: readonly string[];
  readonly responseHeadersToAdd: readonly HeaderValueOption[];
  readonly responseHeadersToRemove: readonly string[];
  readonly typedPerFilterConfig: Readonly<Record<string, Any>>;
}

export interface RouteScopeModel {
  readonly requestHeaders: HeaderMutationModel;
  readonly responseHeaders: HeaderMutationModel;
  readonly perFilterConfigs: readonly PerFilterConfigModel[];
}

/** The fields that buildRouteScope reads. */
export const ROUTE_SCOPE_FIELDS: readonly string[] = [
  'request_headers_to_add',
  'request_headers_to_remove',
  'response_headers_to_add',
  'response_headers_to_remove',
  'typed_per_filter_config',
];

/** Builds the header mutations and per-filter configs of one level; `problems` stands at its message. */
export function buildRouteScope(
  message: RouteScopeMessage,
  context: RouteBuildContext,
  problems: Problems,
): RouteScopeModel {
  return {
    requestHeaders: buildMutation(
      message.requestHeadersToAdd,
      problems.at('request_headers_to_add'),
      message.requestHeadersToRemove,
      problems.at('request_headers_to_remove'),
    ),
    responseHeaders: buildMutation(
      message.responseHeadersToAdd,
      problems.at('response_headers_to_add'),
      message.responseHeadersToRemove,
      problems.at('response_headers_to_remove'),
    ),
    perFilterConfigs: Object.entries(message.typedPerFilterConfig).map(([name, config]) =>
      buildPerFilterConfig(name, config, context, problems.at('typed_per_filter_config')),
    ),
  };
}

function buildMutation(
  add: readonly HeaderValueOption[],
  addProblems: Problems,
  remove: readonly string[],
  removeProblems: Problems,
): HeaderMutationModel {
  const mutation = buildHeaderMutation(add, addProblems, remove, removeProblems);
  mutation.add.forEach(({ value }, index) => {
    try {
      compileHeaderValue(value);
    } catch (error) {
      addProblems.at(index).at('header').at('value').error(errorText(error));
    }
  });
  return mutation;
}

/** A FilterConfig wrapper is taken apart; anything else is the filter's own config. `problems` stands at the map. */
function buildPerFilterConfig(
  filterName: string,
  any: Any,
  context: RouteBuildContext,
  problems: Problems,
): PerFilterConfigModel {
  const wrapper = readFilterConfig(any, problems.at(filterName));
  if (wrapper === undefined)
    return {
      filterName,
      disabled: undefined,
      isOptional: false,
      config: buildConfig(filterName, any, context, problems),
    };
  const { config, disabled, isOptional } = wrapper;
  if (!disabled && config === undefined)
    problems.at(filterName).error(`Empty route/virtual host per filter configuration for ${filterName} filter`);
  // An empty Any turns the filter on without a config of its own.
  const isEmpty = disabled || config === undefined || config.typeUrl === '';
  return {
    filterName,
    disabled,
    isOptional,
    config: isEmpty ? undefined : buildConfig(filterName, config, context, isOptional ? undefined : problems),
  };
}

function readFilterConfig(any: Any, problems: Problems): FilterConfig | undefined {
  if (typeNameOf(any.typeUrl) !== FilterConfigSchema.typeName) return undefined;
  try {
    return fromBinary(FilterConfigSchema, any.value);
  } catch (error) {
    problems.error(`cannot read the FilterConfig: ${errorText(error)}`);
    return undefined;
  }
}

/** Names a type that no filter knows in `problems`, if given, which stand at the map. */
function buildConfig(
  filterName: string,
  any: Any,
  context: RouteBuildContext,
  problems: Problems | undefined,
): TypedConfigModel {
  const { types } = context;
  const config = types === undefined ? buildTypedConfig(filterName, any) : typedConfig(types, filterName, any);
  if (context.isKnownRouteConfig?.(config.typeName) === false)
    problems?.unsupported(filterName, `no filter that is implemented has per-route config of type ${config.typeName}`);
  return config;
}

export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
