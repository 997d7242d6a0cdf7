import type { FilterChainMatchModel, FilterChainModel } from '../../config/listener-model.ts';
import type { MatcherModel } from '../../config/matcher-model.ts';
import type { ConnectionInfo } from '../../filters/stream-info.ts';
import { canonicalCidr, parseCidr } from '../../lib/cidr.ts';
import { parseIpAddress } from '../../lib/ip-address.ts';
import { PrefixMap } from '../../lib/prefix-map.ts';
import { connectionInput } from '../matching/connection-inputs.ts';
import { compileMatcher } from '../matching/matcher.ts';
import { isLocalConnection } from '../matching/source-type.ts';

/** Chooses the filter chain of a connection. Undefined: no chain wants it. */
export type FilterChainMatcher<Chain> = (connection: ConnectionInfo) => Chain | undefined;

type Pair<Chain> = readonly [FilterChainModel, Chain];
/** Undefined: nothing below this point matches, which is final: no other branch is tried. */
type Node<Chain> = (connection: ConnectionInfo) => Chain | undefined;
type Compile<Chain> = (pairs: readonly Pair<Chain>[]) => Node<Chain>;

/**
 * Compiles the choice among filter chains, by Envoy's fixed order of criteria: destination port, destination address,
 * server name, transport protocol, application protocols, direct source address, source type, source address, source
 * port. Each criterion is one lookup; what it finds is searched by the next one, and there is no way back. A criterion
 * that no chain has costs nothing. `pairs` pairs each model with what a match yields; `fallback` is the default chain.
 */
export function compileFilterChainMatch<Chain>(
  pairs: readonly Pair<Chain>[],
  fallback: Chain | undefined,
): FilterChainMatcher<Chain> {
  if (pairs.length === 0) return () => fallback;
  const root = byKey<Chain>(
    ({ destinationPort }) => (destinationPort === undefined ? [] : [destinationPort]),
    ({ localIp, localPort }) => (localIp === '' ? undefined : localPort),
    byRange(
      ({ prefixRanges }) => prefixRanges,
      ({ localIp }) => localIp,
      byServerName(
        byKey(
          ({ transportProtocol }) => (transportProtocol === '' ? [] : [transportProtocol]),
          ({ transportProtocol }) => transportProtocol || RAW_BUFFER,
          byApplicationProtocol(
            byRange(
              ({ directSourcePrefixRanges }) => directSourcePrefixRanges,
              ({ directRemoteIp }) => directRemoteIp,
              byKey(
                ({ sourceType }) => (sourceType === 'any' ? [] : [sourceType]),
                (connection) => (isLocalConnection(connection) ? 'same-ip-or-loopback' : 'external'),
                byRange(
                  ({ sourcePrefixRanges }) => sourcePrefixRanges,
                  ({ remoteIp }) => remoteIp,
                  byKey(
                    ({ sourcePorts }) => sourcePorts,
                    ({ remotePort }) => remotePort,
                    // The config was refused if two chains had the same criteria.
                    ([first]) => {
                      const chain = first![1];
                      return () => chain;
                    },
                  ),
                ),
              ),
            ),
          ),
        ),
      ),
    ),
  )(pairs);
  return fallback === undefined ? root : (connection) => root(connection) ?? fallback;
}

/** The choice by a matching tree: `filter_chain_matcher`, whose actions name chains. */
export function compileFilterChainTree<Chain>(
  model: MatcherModel<string>,
  pairs: readonly Pair<Chain>[],
  fallback: Chain | undefined,
): FilterChainMatcher<Chain> {
  const byName = new Map(pairs.map(([{ name }, chain]) => [name, { chain }]));
  const matcher = compileMatcher(model, {
    compileInput: connectionInput,
    compileAction: (name: string) => byName.get(name) ?? { chain: undefined },
  });
  return (connection) => {
    const match = matcher(connection);
    // A name that no chain has matches nothing, the default chain included.
    return match === undefined ? fallback : match.chain;
  };
}

/** Undetected is plain. */
const RAW_BUFFER = 'raw_buffer';

/** The pairs by each value of a criterion that they name, and those that name none. */
function group<Chain>(
  pairs: readonly Pair<Chain>[],
  valuesOf: (match: FilterChainMatchModel) => readonly (string | number)[],
): { readonly groups: Map<string | number, Pair<Chain>[]>; readonly rest: Pair<Chain>[] } {
  const groups = new Map<string | number, Pair<Chain>[]>();
  const rest: Pair<Chain>[] = [];
  for (const pair of pairs) {
    const values = new Set(valuesOf(pair[0].match));
    if (values.size === 0) rest.push(pair);
    for (const value of values) {
      const known = groups.get(value);
      if (known === undefined) groups.set(value, [pair]);
      else known.push(pair);
    }
  }
  return { groups, rest };
}

function nothing(): undefined {
  return undefined;
}

function compileRest<Chain>(rest: readonly Pair<Chain>[], next: Compile<Chain>): Node<Chain> {
  return rest.length === 0 ? nothing : next(rest);
}

function compileGroups<Chain>(
  groups: ReadonlyMap<string | number, readonly Pair<Chain>[]>,
  next: Compile<Chain>,
): Map<string | number, Node<Chain>> {
  return new Map(Array.from(groups, ([value, group]) => [value, next(group)]));
}

function byKey<Chain>(
  valuesOf: (match: FilterChainMatchModel) => readonly (string | number)[],
  keyOf: (connection: ConnectionInfo) => string | number | undefined,
  next: Compile<Chain>,
): Compile<Chain> {
  return (pairs) => {
    const { groups, rest } = group(pairs, valuesOf);
    if (groups.size === 0) return next(pairs);
    const nodes = compileGroups(groups, next);
    const ofRest = compileRest(rest, next);
    return (connection) => {
      const key = keyOf(connection);
      return ((key === undefined ? undefined : nodes.get(key)) ?? ofRest)(connection);
    };
  };
}

/** The longest range that holds the address. */
function byRange<Chain>(
  rangesOf: (match: FilterChainMatchModel) => readonly string[],
  ipOf: (connection: ConnectionInfo) => string,
  next: Compile<Chain>,
): Compile<Chain> {
  return (pairs) => {
    const { groups, rest } = group(pairs, (match) => rangesOf(match).map(canonicalCidr));
    if (groups.size === 0) return next(pairs);
    const nodes = new PrefixMap<Node<Chain>>();
    for (const [range, members] of groups) nodes.set(parseCidr(range as string)!, next(members));
    const ofRest = compileRest(rest, next);
    return (connection) => {
      const address = parseIpAddress(ipOf(connection));
      return ((address === undefined ? undefined : nodes.longest(address)) ?? ofRest)(connection);
    };
  };
}

/** The very name, else its longest wildcard. */
function byServerName<Chain>(next: Compile<Chain>): Compile<Chain> {
  return (pairs) => {
    const { groups, rest } = group(pairs, ({ serverNames }) => serverNames);
    if (groups.size === 0) return next(pairs);
    const nodes = compileGroups(groups, next);
    const ofRest = compileRest(rest, next);
    return (connection) => {
      const name = connection.requestedServerName;
      let node = name === '' ? undefined : nodes.get(name);
      for (let dot = name.indexOf('.', 1); node === undefined && dot !== -1; dot = name.indexOf('.', dot + 1))
        node = nodes.get(`*${name.slice(dot)}`);
      return (node ?? ofRest)(connection);
    };
  };
}

/** The first of the client's protocols that some chain names. */
function byApplicationProtocol<Chain>(next: Compile<Chain>): Compile<Chain> {
  return (pairs) => {
    const { groups, rest } = group(pairs, ({ applicationProtocols }) => applicationProtocols);
    if (groups.size === 0) return next(pairs);
    const nodes = compileGroups(groups, next);
    const ofRest = compileRest(rest, next);
    return (connection) => {
      const { applicationProtocols } = connection;
      if (applicationProtocols !== undefined) {
        for (const name of applicationProtocols) {
          const node = nodes.get(name);
          if (node !== undefined) return node(connection);
        }
      }
      return ofRest(connection);
    };
  };
}
