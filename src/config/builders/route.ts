import {
  RouteConfigurationSchema,
  type RouteConfiguration,
} from '../../api/generated/envoy/config/route/v3/route_pb.js';
import type { Problems } from '../problem.ts';
import type { RouteConfigModel } from '../route-model.ts';
import { reportUnsupported } from '../unsupported.ts';
import { buildMetadata } from './common.ts';
import { RouteBuild, type RouteBuildContext } from './route-context.ts';
import { buildMirrors } from './route-policies.ts';
import { buildRouteScope, ROUTE_SCOPE_FIELDS } from './route-scope.ts';
import { buildVirtualHost } from './virtual-host.ts';

const FIELDS = [
  ...ROUTE_SCOPE_FIELDS,
  'name',
  'virtual_hosts',
  'vhds',
  'internal_only_headers',
  'most_specific_header_mutations_wins',
  'validate_clusters',
  'max_direct_response_body_size_bytes',
  'request_mirror_policies',
  'ignore_port_in_host_matching',
  'ignore_path_parameters_in_path_matching',
  'metadata',
];

const DEFAULT_MAX_DIRECT_RESPONSE_BODY_BYTES = 4096;

/**
 * envoy.config.route.v3.RouteConfiguration; `problems` stands at it. The message has passed the rules of its
 * descriptor. After an error in `problems` the model must not be used.
 */
export function buildRouteConfig(
  message: RouteConfiguration,
  problems: Problems,
  context: RouteBuildContext,
): RouteConfigModel {
  reportUnsupported(RouteConfigurationSchema, message, FIELDS, problems);
  if (message.vhds !== undefined && context.discoversVirtualHosts !== true)
    problems
      .at('vhds')
      .error('unsupported: virtual hosts from discovery (VHDS) need a route configuration that is discovered (RDS)');
  const build = new RouteBuild(context, message.validateClusters ?? context.validateClusters);
  const mirrors = buildMirrors(message.requestMirrorPolicies, build, problems.at('request_mirror_policies'));
  const maxDirectResponseBodyBytes = message.maxDirectResponseBodySizeBytes ?? DEFAULT_MAX_DIRECT_RESPONSE_BODY_BYTES;
  const virtualHosts = message.virtualHosts.map((virtualHost, index) =>
    buildVirtualHost(
      virtualHost,
      { build, mirrors, maxDirectResponseBodyBytes },
      problems.at('virtual_hosts').at(index),
    ),
  );
  checkDomains(message, problems);
  return {
    ...buildRouteScope(message, build.context, problems),
    name: message.name,
    virtualHosts,
    internalOnlyHeaders: message.internalOnlyHeaders.map((name) => name.toLowerCase()),
    mostSpecificHeaderMutationsWins: message.mostSpecificHeaderMutationsWins,
    ignorePortInHostMatching: message.ignorePortInHostMatching,
    ignorePathParametersInPathMatching: message.ignorePathParametersInPathMatching,
    metadata: buildMetadata(message.metadata, problems.at('metadata')),
    clusters: build.clusters,
  };
}

/** A domain, whatever its case, belongs to one virtual host. */
function checkDomains(message: RouteConfiguration, problems: Problems): void {
  const seen = new Set<string>();
  message.virtualHosts.forEach(({ domains }, hostIndex) => {
    domains.forEach((domain, index) => {
      const name = domain.toLowerCase();
      if (seen.has(name))
        problems
          .at('virtual_hosts')
          .at(hostIndex)
          .at('domains')
          .at(index)
          .error(
            name === '*'
              ? `Only a single wildcard domain is permitted in route ${message.name}`
              : `Only unique values for domains are permitted. Duplicate entry of domain ${name} in route ${message.name}`,
          );
      seen.add(name);
    });
  });
}
