import { canonicalCidr } from '../../lib/cidr.ts';
import type { FilterChainMatchModel, FilterChainModel } from '../listener-model.ts';

/** The values of each criterion, `''` for a chain that names none. */
const CRITERIA: readonly ((match: FilterChainMatchModel) => readonly (string | number)[])[] = [
  ({ destinationPort }) => (destinationPort === undefined ? [] : [destinationPort]),
  ({ prefixRanges }) => prefixRanges.map(canonicalCidr),
  ({ serverNames }) => serverNames,
  ({ transportProtocol }) => (transportProtocol === '' ? [] : [transportProtocol]),
  ({ applicationProtocols }) => applicationProtocols,
  ({ directSourcePrefixRanges }) => directSourcePrefixRanges.map(canonicalCidr),
  ({ sourceType }) => [sourceType],
  ({ sourcePrefixRanges }) => sourcePrefixRanges.map(canonicalCidr),
  ({ sourcePorts }) => sourcePorts,
];

/**
 * The index of the first chain that names a value twice, or that shares a combination of criteria with one before it, so that a connection could
 * belong to both; undefined: there is none. Looks at groups that share a value, criterion by criterion, since writing
 * out all combinations would take long with many names and ranges.
 */
export function overlappingChain(chains: readonly FilterChainModel[]): number | undefined {
  const twice = chains.findIndex(({ match }) =>
    CRITERIA.some((valuesOf) => new Set(valuesOf(match)).size < valuesOf(match).length),
  );
  if (twice !== -1) return twice;
  return search(
    chains.map((_, index) => index),
    chains,
    0,
  );
}

function search(group: readonly number[], chains: readonly FilterChainModel[], depth: number): number | undefined {
  if (group.length < 2) return undefined;
  const valuesOf = CRITERIA[depth];
  if (valuesOf === undefined) return group[1];
  const groups = new Map<string | number, number[]>();
  for (const index of group) {
    const values = valuesOf(chains[index]!.match);
    for (const value of values.length === 0 ? [''] : new Set(values)) {
      const known = groups.get(value);
      if (known === undefined) groups.set(value, [index]);
      else known.push(index);
    }
  }
  for (const members of groups.values()) {
    const found = search(members, chains, depth + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}
