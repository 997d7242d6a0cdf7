import { fromBinary } from '@bufbuild/protobuf';
import type { TypedExtensionConfig } from '../../api/generated/envoy/config/core/v3/extension_pb.js';
import {
  HedgePolicySchema,
  RouteAction_RequestMirrorPolicySchema,
  type HedgePolicy,
  type RouteAction,
  type RouteAction_RequestMirrorPolicy,
} from '../../api/generated/envoy/config/route/v3/route_components_pb.js';
import { AllowListedRoutesConfigSchema } from '../../api/generated/envoy/extensions/internal_redirect/allow_listed_routes/v3/allow_listed_routes_config_pb.js';
import type { Problems } from '../problem.ts';
import type { InternalRedirectModel, MirrorPolicyModel, RetryPolicyModel } from '../route-model.ts';
import { reportUnsupported } from '../unsupported.ts';
import { buildFraction, isModifiableHeader } from './common.ts';
import type { RouteBuild } from './route-context.ts';
import { typeNameOf } from '../../api/type-name.ts';

/** What a route takes from its virtual host, and that from the configuration, where it says nothing itself. */
export interface InheritedPolicies {
  readonly retry: RetryPolicyModel | undefined;
  readonly hedgeOnPerTryTimeout: boolean;
  readonly mirrors: readonly MirrorPolicyModel[];
  readonly bufferLimitBytes: number | undefined;
}

/** A list of RequestMirrorPolicy; `problems` stands at the list. Without a runtime fraction every request is mirrored. */
export function buildMirrors(
  messages: readonly RouteAction_RequestMirrorPolicy[],
  build: RouteBuild,
  problems: Problems,
): MirrorPolicyModel[] {
  return messages.map((message, index) => {
    const below = problems.at(index);
    reportUnsupported(
      RouteAction_RequestMirrorPolicySchema,
      message,
      ['cluster', 'cluster_header', 'runtime_fraction', 'disable_shadow_host_suffix_append'],
      below,
    );
    const { cluster, clusterHeader, runtimeFraction } = message;
    if (cluster !== '' && clusterHeader !== '')
      below.error(
        `Only one of cluster '${cluster}' or cluster_header '${clusterHeader}' in request mirror policy can be specified`,
      );
    if (cluster === '' && clusterHeader === '')
      below.error('Exactly one of cluster or cluster_header in request mirror policy need to be specified');
    if (cluster !== '') build.addCluster(cluster, 'shadow ', below.at('cluster'));
    const fraction =
      runtimeFraction === undefined
        ? { numerator: 100, denominator: 100 }
        : buildFraction(runtimeFraction.defaultValue);
    return {
      cluster,
      clusterHeader: clusterHeader.toLowerCase(),
      numerator: fraction.numerator,
      denominator: fraction.denominator,
      runtimeKey: runtimeFraction?.runtimeKey ?? '',
      disableShadowHostSuffix: message.disableShadowHostSuffixAppend,
    };
  });
}

/** True: a per-try timeout starts another attempt beside the slow one. The rest of a HedgePolicy Envoy lacks, too. */
export function buildHedge(message: HedgePolicy, problems: Problems): boolean {
  reportUnsupported(HedgePolicySchema, message, ['hedge_on_per_try_timeout'], problems);
  return message.hedgeOnPerTryTimeout;
}

const REDIRECT_CODES = new Set([301, 302, 303, 307, 308]);

/** Message type of an internal redirect predicate -> the name that the router knows it by. */
const REDIRECT_PREDICATES: Readonly<Record<string, string>> = {
  'envoy.extensions.internal_redirect.previous_routes.v3.PreviousRoutesConfig':
    'envoy.internal_redirect_predicates.previous_routes',
  'envoy.extensions.internal_redirect.safe_cross_scheme.v3.SafeCrossSchemeConfig':
    'envoy.internal_redirect_predicates.safe_cross_scheme',
  [AllowListedRoutesConfigSchema.typeName]: 'envoy.internal_redirect_predicates.allow_listed_routes',
};

/** internal_redirect_policy, or the deprecated internal_redirect_action; undefined: redirects go to the client. */
export function buildInternalRedirect(message: RouteAction, problems: Problems): InternalRedirectModel | undefined {
  const policy = message.internalRedirectPolicy;
  if (policy === undefined) {
    // HANDLE_INTERNAL_REDIRECT
    if (message.internalRedirectAction !== 1) return undefined;
    return {
      maxInternalRedirects: message.maxInternalRedirects ?? 1,
      redirectResponseCodes: [302],
      allowCrossScheme: false,
      predicates: [],
      allowedRoutes: [],
      responseHeadersToCopy: [],
    };
  }
  const below = problems.at('internal_redirect_policy');
  const codes = policy.redirectResponseCodes;
  const allowedRoutes: string[] = [];
  const predicates = policy.predicates.map((predicate, index) =>
    buildRedirectPredicate(predicate, allowedRoutes, below.at('predicates').at(index)),
  );
  policy.responseHeadersToCopy.forEach((name, index) => {
    if (!isModifiableHeader(name))
      below.at('response_headers_to_copy').at(index).error(':-prefixed headers or Hosts may not be specified here.');
  });
  return {
    maxInternalRedirects: policy.maxInternalRedirects ?? 1,
    // Codes that are no redirects are left out, as in Envoy.
    redirectResponseCodes: codes.length === 0 ? [302] : codes.filter((code) => REDIRECT_CODES.has(code)),
    allowCrossScheme: policy.allowCrossSchemeRedirect,
    predicates,
    allowedRoutes,
    responseHeadersToCopy: policy.responseHeadersToCopy.map((name) => name.toLowerCase()),
  };
}

function buildRedirectPredicate(extension: TypedExtensionConfig, allowedRoutes: string[], problems: Problems): string {
  const typeUrl = extension.typedConfig?.typeUrl ?? '';
  const typeName = typeNameOf(typeUrl);
  const name = REDIRECT_PREDICATES[typeName];
  if (name === undefined) {
    problems.error(`Didn't find a registered implementation for '${extension.name}' with type URL: '${typeUrl}'`);
    return extension.name;
  }
  if (typeName === AllowListedRoutesConfigSchema.typeName)
    allowedRoutes.push(...fromBinary(AllowListedRoutesConfigSchema, extension.typedConfig!.value).allowedRouteNames);
  return name;
}
