import type { LoadedBootstrap } from '../config/bootstrap.ts';
import type { StaticResources } from '../config/static-resources.ts';

/** Whether something in a bootstrap waits for a control plane. */
export function usesDiscovery({ bootstrap, runtime }: LoadedBootstrap, resources: StaticResources): boolean {
  const { ldsConfig, cdsConfig } = bootstrap.dynamicResources ?? {};
  return (
    ldsConfig !== undefined ||
    cdsConfig !== undefined ||
    runtime.discovered.length > 0 ||
    resources.listeners.some(
      ({ routes, scopes, extensions }) => routes.length > 0 || scopes.length > 0 || extensions.length > 0,
    ) ||
    resources.clusters.some(({ discovery }) => discovery.kind === 'eds') ||
    resources.secrets.some(({ subscription }) => subscription?.discovery !== undefined)
  );
}
