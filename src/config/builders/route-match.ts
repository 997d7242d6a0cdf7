import { fromBinary } from '@bufbuild/protobuf';
import type { TypedExtensionConfig } from '../../api/generated/envoy/config/core/v3/extension_pb.js';
import { RouteMatchSchema, type RouteMatch } from '../../api/generated/envoy/config/route/v3/route_components_pb.js';
import { UriTemplateMatchConfigSchema } from '../../api/generated/envoy/extensions/path/match/uri_template/v3/uri_template_match_pb.js';
import { compileUriTemplate } from '../../lib/uri-template.ts';
import type { Problems } from '../problem.ts';
import type { PathMatchModel, RouteMatchModel } from '../route-model.ts';
import { reportUnsupported } from '../unsupported.ts';
import { buildRuntimeFraction, checkRegex } from './common.ts';
import { buildHeaderMatchers, buildQueryParameterMatchers } from './header-matcher.ts';
import { buildMetadataMatcher } from './metadata-matcher.ts';
import { errorText } from './route-scope.ts';
import { typeNameOf } from '../../api/type-name.ts';

const FIELDS = [
  'prefix',
  'path',
  'safe_regex',
  'connect_matcher',
  'path_separated_prefix',
  'path_match_policy',
  'case_sensitive',
  'runtime_fraction',
  'headers',
  'query_parameters',
  'grpc',
  'tls_context',
  'dynamic_metadata',
];

/** route.v3.RouteMatch. */
export function buildRouteMatch(message: RouteMatch | undefined, problems: Problems): RouteMatchModel {
  if (message === undefined) problems.error('value is required');
  else reportUnsupported(RouteMatchSchema, message, FIELDS, problems);
  const tls = message?.tlsContext;
  return {
    path: buildPathMatch(message?.pathSpecifier ?? { case: undefined }, problems),
    caseSensitive: message?.caseSensitive ?? true,
    runtimeFraction: message?.runtimeFraction && buildRuntimeFraction(message.runtimeFraction),
    headers: buildHeaderMatchers(message?.headers ?? [], problems.at('headers')),
    queryParameters: buildQueryParameterMatchers(message?.queryParameters ?? [], problems.at('query_parameters')),
    grpc: message?.grpc !== undefined,
    tlsContext: tls && { presented: tls.presented, validated: tls.validated },
    dynamicMetadata: (message?.dynamicMetadata ?? []).map((matcher, index) =>
      buildMetadataMatcher(matcher, problems.at('dynamic_metadata').at(index)),
    ),
  };
}

function buildPathMatch(specifier: RouteMatch['pathSpecifier'], problems: Problems): PathMatchModel {
  switch (specifier.case) {
    case 'prefix':
    case 'path':
      return { kind: specifier.case, value: specifier.value };
    case 'pathSeparatedPrefix':
      return { kind: 'path-separated-prefix', value: specifier.value };
    case 'safeRegex':
      checkRegex(specifier.value.regex, problems.at('safe_regex').at('regex'));
      return { kind: 'regex', value: specifier.value.regex };
    case 'connectMatcher':
      return { kind: 'connect' };
    case 'pathMatchPolicy':
      return buildPathMatchPolicy(specifier.value, problems.at('path_match_policy'));
    case undefined:
      problems.error('a path specifier is required');
      return { kind: 'path', value: '' };
  }
}

function buildPathMatchPolicy(extension: TypedExtensionConfig, problems: Problems): PathMatchModel {
  const typeUrl = extension.typedConfig?.typeUrl ?? '';
  if (typeNameOf(typeUrl) !== UriTemplateMatchConfigSchema.typeName) {
    problems.error(`Didn't find a registered implementation for '${extension.name}' with type URL: '${typeUrl}'`);
    return { kind: 'path', value: '' };
  }
  const below = problems.at('typed_config').at('path_template');
  let pathTemplate = '';
  try {
    pathTemplate = fromBinary(UriTemplateMatchConfigSchema, extension.typedConfig!.value).pathTemplate;
    compileUriTemplate(pathTemplate);
    return { kind: 'uri-template', value: pathTemplate };
  } catch (error) {
    below.error(`path_match_policy.path_template ${pathTemplate} is invalid: ${errorText(error)}`);
    return { kind: 'path', value: '' };
  }
}
