import type { DiscoveryResponse } from '../api/generated/envoy/service/discovery/v3/discovery_pb.js';
import { isWholeState } from './resource-type.ts';
import type { ResourceUpdate, XdsResource } from './resource-update.ts';
import { readResource } from './response-resource.ts';

/**
 * What a response that was fetched as a whole (from a file, or by REST) changes. `held`: the names of the one before.
 * A text: why it makes no sense.
 */
export function updateOf(
  { resources, versionInfo }: DiscoveryResponse,
  typeUrl: string,
  held: ReadonlySet<string>,
): { readonly update: ResourceUpdate; readonly names: ReadonlySet<string> } | string {
  const set: XdsResource[] = [];
  const names = new Set<string>();
  for (const any of resources) {
    const read = readResource(any, typeUrl);
    if (typeof read === 'string') return read;
    const { name, version, value } = read;
    if (names.has(name)) return `duplicate resource ${name} found`;
    names.add(name);
    if (value !== undefined) set.push({ name, version: version === '' ? versionInfo : version, value });
  }
  const removed = isWholeState(typeUrl) ? [...held].filter((name) => !names.has(name)) : [];
  return { update: { version: versionInfo, set, removed }, names };
}
