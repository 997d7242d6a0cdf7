import { Cluster_DiscoveryType as DiscoveryType } from '../api/generated/envoy/config/cluster/v3/cluster_pb.js';
import type { TypeRegistry } from '../api/type-registry.ts';
import type { LoadedBootstrap } from './bootstrap.ts';
import type { ConfigSourceContext } from './builders/config-source.ts';
import { authoritySource, xdstpAuthorities } from './xdstp-authorities.ts';

/** What the config sources of a bootstrap, and of all that it leads to, can rely on. */
export function configSourceContext(
  loaded: Pick<LoadedBootstrap, 'bootstrap' | 'runtime'>,
  types: TypeRegistry,
): ConfigSourceContext {
  const { node, dynamicResources, staticResources } = loaded.bootstrap;
  const authorities = xdstpAuthorities(loaded);
  const primary = new Set(
    (staticResources?.clusters ?? [])
      .filter(({ clusterDiscoveryType: type }) => type.case !== 'type' || type.value !== DiscoveryType.EDS)
      .map(({ name }) => name),
  );
  return {
    types,
    hasNode: node !== undefined && node.id !== '' && node.cluster !== '',
    hasAds: dynamicResources?.adsConfig !== undefined,
    isPrimaryCluster: (name) => primary.has(name),
    hasAuthority: (name) => authorities !== undefined && authoritySource(authorities, name) !== undefined,
  };
}
