import type { UpstreamHost } from '../host.ts';

export function weightsAreEqual(hosts: readonly UpstreamHost[]): boolean {
  return hosts.every((host) => host.weight === hosts[0]!.weight);
}
