import { fromBinary } from '@bufbuild/protobuf';
import type { TypedExtensionConfig } from '../../api/generated/envoy/config/core/v3/extension_pb.js';
import type { RouteAction } from '../../api/generated/envoy/config/route/v3/route_components_pb.js';
import { UriTemplateRewriteConfigSchema } from '../../api/generated/envoy/extensions/path/rewrite/uri_template/v3/uri_template_rewrite_pb.js';
import type { RegexMatchAndSubstitute } from '../../api/generated/envoy/type/matcher/v3/regex_pb.js';
import { compileUriTemplateRewrite } from '../../lib/uri-template.ts';
import type { Problems } from '../problem.ts';
import type { HostRewriteModel, PathRewriteModel, RegexRewriteModel, RouteMatchModel } from '../route-model.ts';
import { checkRegex } from './common.ts';
import { errorText } from './route-scope.ts';
import { typeNameOf } from '../../api/type-name.ts';

/** type.matcher.v3.RegexMatchAndSubstitute. */
export function buildRegexRewrite(message: RegexMatchAndSubstitute, problems: Problems): RegexRewriteModel {
  const { pattern, substitution } = message;
  const regex = pattern?.regex ?? '';
  if (pattern === undefined) problems.at('pattern').error('value is required');
  checkRegex(regex, problems.at('pattern').at('regex'));
  return { regex, substitution };
}

/** prefix_rewrite, regex_rewrite or path_rewrite_policy of a route action: at most one of them. */
export function buildPathRewrite(
  message: RouteAction,
  match: RouteMatchModel,
  problems: Problems,
): PathRewriteModel | undefined {
  const { prefixRewrite, regexRewrite, pathRewritePolicy } = message;
  const given =
    Number(prefixRewrite !== '') + Number(regexRewrite !== undefined) + Number(pathRewritePolicy !== undefined);
  if (given > 1) problems.error('Specify only one of prefix_rewrite, regex_rewrite or path_rewrite_policy');
  if (prefixRewrite !== '') {
    if (match.path.kind === 'uri-template')
      problems.at('prefix_rewrite').error('Cannot use prefix_rewrite with matcher extension');
    return { kind: 'prefix', value: prefixRewrite };
  }
  if (regexRewrite !== undefined)
    return { kind: 'regex', rewrite: buildRegexRewrite(regexRewrite, problems.at('regex_rewrite')) };
  return pathRewritePolicy && buildPathRewritePolicy(pathRewritePolicy, match, problems.at('path_rewrite_policy'));
}

function buildPathRewritePolicy(
  extension: TypedExtensionConfig,
  match: RouteMatchModel,
  problems: Problems,
): PathRewriteModel | undefined {
  const typeUrl = extension.typedConfig?.typeUrl ?? '';
  if (typeNameOf(typeUrl) !== UriTemplateRewriteConfigSchema.typeName) {
    problems.error(`Didn't find a registered implementation for '${extension.name}' with type URL: '${typeUrl}'`);
    return undefined;
  }
  if (match.path.kind !== 'uri-template') {
    problems.error(`unable to use ${extension.name} extension without a uri_template path_match_policy`);
    return undefined;
  }
  try {
    const { pathTemplateRewrite } = fromBinary(UriTemplateRewriteConfigSchema, extension.typedConfig!.value);
    compileUriTemplateRewrite(pathTemplateRewrite, match.path.value);
    return { kind: 'uri-template', value: pathTemplateRewrite };
  } catch (error) {
    problems
      .at('typed_config')
      .at('path_template_rewrite')
      .error(
        `mismatch between variables in path_match_policy ${match.path.value} and path_rewrite_policy: ${errorText(error)}`,
      );
    return undefined;
  }
}

/** The host_rewrite_specifier of a route action. */
export function buildHostRewrite(message: RouteAction, problems: Problems): HostRewriteModel | undefined {
  const specifier = message.hostRewriteSpecifier;
  switch (specifier.case) {
    case 'hostRewriteLiteral':
      return specifier.value === '' ? undefined : { kind: 'literal', value: specifier.value };
    case 'hostRewriteHeader':
      return specifier.value === '' ? undefined : { kind: 'header', name: specifier.value.toLowerCase() };
    case 'hostRewritePathRegex':
      return {
        kind: 'path-regex',
        rewrite: buildRegexRewrite(specifier.value, problems.at('host_rewrite_path_regex')),
      };
    case 'autoHostRewrite':
      return specifier.value.value ? { kind: 'auto' } : undefined;
    case undefined:
      return undefined;
  }
}
