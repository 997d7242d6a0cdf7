import { ENVOY_VERSION, packageVersion } from '../cli/version.ts';
import { builtinHttpFilters } from '../filters/builtin.ts';
import { builtinNetworkFilters } from '../filters/builtin-network.ts';
import type { UserAgent } from '../xds/discovery-node.ts';

/** What the program tells of itself, to control planes and on `/server_info`. */
export function userAgent(): UserAgent {
  return {
    version: ENVOY_VERSION,
    metadata: {
      'build.type': 'RELEASE',
      'outrigger.version': packageVersion(),
      'node.version': process.versions.node,
    },
    extensions: [
      ...builtinHttpFilters.map(({ name, configType, routeConfigTypes }) => ({
        name,
        category: 'envoy.filters.http',
        typeUrls: [...new Set([configType, ...routeConfigTypes])],
      })),
      ...builtinNetworkFilters.map(({ name, configType }) => ({
        name,
        category: 'envoy.filters.network',
        typeUrls: [configType],
      })),
    ],
  };
}
