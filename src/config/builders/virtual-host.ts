import {
  VirtualClusterSchema,
  VirtualHostSchema,
  type VirtualCluster,
  type VirtualHost,
} from '../../api/generated/envoy/config/route/v3/route_components_pb.js';
import type { Problems } from '../problem.ts';
import type { MirrorPolicyModel, VirtualClusterModel, VirtualHostModel } from '../route-model.ts';
import { reportUnsupported } from '../unsupported.ts';
import { buildMetadata } from './common.ts';
import { buildHeaderMatchers } from './header-matcher.ts';
import { buildRateLimits } from './rate-limits.ts';
import type { RouteBuild } from './route-context.ts';
import { buildRoute, type RouteEntryContext } from './route-entry.ts';
import { buildHedge, buildMirrors } from './route-policies.ts';
import { buildRetryPolicy } from './route-retry-policy.ts';
import { buildRouteScope, ROUTE_SCOPE_FIELDS } from './route-scope.ts';

const FIELDS = [
  ...ROUTE_SCOPE_FIELDS,
  'name',
  'domains',
  'routes',
  'matcher',
  'require_tls',
  'virtual_clusters',
  'include_request_attempt_count',
  'include_attempt_count_in_response',
  'include_is_timeout_retry_header',
  'retry_policy',
  'hedge_policy',
  'per_request_buffer_limit_bytes',
  'request_mirror_policies',
  'metadata',
  'rate_limits',
];

/** By TlsRequirementType's numbers. */
const TLS_REQUIREMENTS = ['none', 'external-only', 'all'] as const;

/** What a virtual host is built with besides its message. */
export interface VirtualHostContext {
  readonly build: RouteBuild;
  /** Those of the route configuration. */
  readonly mirrors: readonly MirrorPolicyModel[];
  readonly maxDirectResponseBodyBytes: number;
}

/** route.v3.VirtualHost. */
export function buildVirtualHost(
  message: VirtualHost,
  { build, mirrors, maxDirectResponseBodyBytes }: VirtualHostContext,
  problems: Problems,
): VirtualHostModel {
  reportUnsupported(VirtualHostSchema, message, FIELDS, problems);
  if (message.matcher !== undefined)
    problems.at('matcher').error('unsupported: matcher trees are not implemented; use routes');
  const retry = message.retryPolicy && buildRetryPolicy(message.retryPolicy, problems.at('retry_policy'));
  const hedge = message.hedgePolicy && buildHedge(message.hedgePolicy, problems.at('hedge_policy'));
  const ownMirrors = buildMirrors(message.requestMirrorPolicies, build, problems.at('request_mirror_policies'));
  const context: RouteEntryContext = {
    build,
    maxDirectResponseBodyBytes,
    inherited: {
      retry,
      hedgeOnPerTryTimeout: hedge ?? false,
      mirrors: ownMirrors.length > 0 ? ownMirrors : mirrors,
      bufferLimitBytes: message.perRequestBufferLimitBytes,
    },
  };
  const routeProblems = problems.at('routes');
  return {
    ...buildRouteScope(message, build.context, problems),
    name: message.name,
    domains: message.domains,
    routes: message.routes.map((route, index) => buildRoute(route, context, routeProblems.at(index))),
    requireTls: TLS_REQUIREMENTS[message.requireTls] ?? 'none',
    virtualClusters: message.virtualClusters.map((cluster, index) =>
      buildVirtualCluster(cluster, problems.at('virtual_clusters').at(index)),
    ),
    includeRequestAttemptCount: message.includeRequestAttemptCount,
    includeAttemptCountInResponse: message.includeAttemptCountInResponse,
    includeIsTimeoutRetryHeader: message.includeIsTimeoutRetryHeader,
    rateLimits: buildRateLimits(message.rateLimits, problems.at('rate_limits')),
    metadata: buildMetadata(message.metadata, problems.at('metadata')),
  };
}

function buildVirtualCluster(message: VirtualCluster, problems: Problems): VirtualClusterModel {
  reportUnsupported(VirtualClusterSchema, message, ['headers', 'name'], problems);
  if (message.headers.length === 0) problems.at('headers').error("virtual clusters must define 'headers'");
  return { name: message.name, headers: buildHeaderMatchers(message.headers, problems.at('headers')) };
}
