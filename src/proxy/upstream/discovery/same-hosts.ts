import { isDeepStrictEqual } from 'node:util';
import type { EndpointModel, HostModel, HostSetModel } from '../../../config/cluster-model.ts';
import type { AddressModel } from '../../../config/common-model.ts';

/**
 * Whether two host sets are the same in all that matters. Written out field by field: it runs over every host of a
 * cluster at each of its updates, most of which change little or nothing.
 */
export function sameHosts(a: HostSetModel, b: HostSetModel): boolean {
  if (
    a.hosts.length !== b.hosts.length ||
    a.overprovisioningFactor !== b.overprovisioningFactor ||
    a.weightedPriorityHealth !== b.weightedPriorityHealth ||
    a.dropOverload !== b.dropOverload
  )
    return false;
  for (let i = 0; i < a.hosts.length; i++) if (!sameHost(a.hosts[i]!, b.hosts[i]!)) return false;
  // Without hosts nobody asks for localities.
  return a.hosts.length === 0 || a.localities === b.localities || isDeepStrictEqual(a.localities, b.localities);
}

function sameHost(a: HostModel, b: HostModel): boolean {
  return a === b || (a.sharedSlot === b.sharedSlot && sameEndpoint(a, b));
}

function sameEndpoint(a: EndpointModel, b: EndpointModel): boolean {
  return (
    a.weight === b.weight &&
    a.healthStatus === b.healthStatus &&
    a.priority === b.priority &&
    a.locality === b.locality &&
    a.canary === b.canary &&
    a.hostname === b.hostname &&
    sameAddress(a.address, b.address) &&
    (a.metadata === b.metadata || isDeepStrictEqual(a.metadata, b.metadata)) &&
    a.additionalAddresses.length === b.additionalAddresses.length &&
    a.additionalAddresses.every((address, index) => sameAddress(address, b.additionalAddresses[index]!))
  );
}

function sameAddress(a: AddressModel, b: AddressModel): boolean {
  if (a.kind === 'pipe') return b.kind === 'pipe' && a.path === b.path && a.mode === b.mode;
  return b.kind === 'socket' && a.host === b.host && a.port === b.port && a.ipv4Compat === b.ipv4Compat;
}
