import type { FilterChainMatchModel, FilterChainModel } from '../../src/config/listener-model.ts';
import { cidrContains, parseCidr, type CidrRange } from '../../src/lib/cidr.ts';
import { isLoopback, parseIpAddress, type IpAddress } from '../../src/lib/ip-address.ts';
import type { ConnectionInfo } from '../../src/filters/stream-info.ts';

/** A filter chain with its criteria parsed; `chain` is whatever the owner makes of the model. */
interface Candidate<Chain> {
  readonly chain: Chain;
  readonly match: FilterChainMatchModel;
  readonly destination: readonly CidrRange[];
  readonly directSource: readonly CidrRange[];
  readonly source: readonly CidrRange[];
}

/** How well a candidate's criterion fits: -1 = not, 0 = it has none, more is more specific. */
type Rank<Chain> = (candidate: Candidate<Chain>) => number;

/** Detected by listener filters; a plain connection without them is this. */
const RAW_BUFFER = 'raw_buffer';

/**
 * The slow way, to compare with: chooses the filter chain of a connection by Envoy's fixed order of criteria: destination port, destination address,
 * server name, transport protocol, application protocols, direct source address, source type, source address, source
 * port. Each step keeps the candidates whose criterion fits best and forgets the others for good.
 */
export class NaiveFilterChainMatcher<Chain> {
  readonly #candidates: readonly Candidate<Chain>[];
  readonly #only: Chain | undefined;
  readonly #fallback: Chain | undefined;

  /** `chains` pairs each model with what a match yields; `fallback` is the default filter chain. */
  constructor(chains: readonly (readonly [FilterChainModel, Chain])[], fallback: Chain | undefined) {
    this.#fallback = fallback;
    this.#candidates = chains.map(([{ match }, chain]) => ({
      chain,
      match,
      destination: parse(match.prefixRanges),
      directSource: parse(match.directSourcePrefixRanges),
      source: parse(match.sourcePrefixRanges),
    }));
    this.#only = chains.length === 1 && isCatchAll(chains[0]![0].match) ? chains[0]![1] : undefined;
  }

  /** Undefined: no chain wants the connection. */
  match(connection: ConnectionInfo): Chain | undefined {
    if (this.#only !== undefined) return this.#only;
    const local = parseIpAddress(connection.localIp);
    const direct = parseIpAddress(connection.directRemoteIp);
    const remote = parseIpAddress(connection.remoteIp);
    const name = connection.requestedServerName;
    const steps: readonly Rank<Chain>[] = [
      ({ match }) => exact(match.destinationPort, connection.localPort),
      ({ destination }) => byRange(destination, local),
      ({ match }) => byServerName(match.serverNames, name),
      ({ match }) =>
        match.transportProtocol === ''
          ? 0
          : match.transportProtocol === (connection.transportProtocol || RAW_BUFFER)
            ? 1
            : -1,
      ({ match }) => byProtocol(match.applicationProtocols, connection.applicationProtocols ?? []),
      ({ directSource }) => byRange(directSource, direct),
      ({ match }) => bySourceType(match.sourceType, connection, remote),
      ({ source }) => byRange(source, remote),
      ({ match }) => (match.sourcePorts.length === 0 ? 0 : match.sourcePorts.includes(connection.remotePort) ? 1 : -1),
    ];
    let left = this.#candidates;
    for (const rank of steps) {
      left = best(left, rank);
      if (left.length === 0) return this.#fallback;
    }
    return left[0]!.chain;
  }
}

function best<Chain>(candidates: readonly Candidate<Chain>[], rank: Rank<Chain>): readonly Candidate<Chain>[] {
  let most = 0;
  let kept: Candidate<Chain>[] = [];
  for (const candidate of candidates) {
    const value = rank(candidate);
    if (value > most) {
      most = value;
      kept = [];
    }
    if (value === most) kept.push(candidate);
  }
  return kept;
}

function exact(wanted: number | undefined, actual: number): number {
  return wanted === undefined ? 0 : wanted === actual ? 1 : -1;
}

/** The length of the longest range that holds the address, plus one. */
function byRange(ranges: readonly CidrRange[], address: IpAddress | undefined): number {
  if (ranges.length === 0) return 0;
  let longest = -1;
  for (const range of ranges)
    if (address !== undefined && cidrContains(range, address)) longest = Math.max(longest, range.length + 1);
  return longest;
}

/** An exact name beats any wildcard, a longer wildcard a shorter one. */
function byServerName(names: readonly string[], actual: string): number {
  if (names.length === 0) return 0;
  let longest = -1;
  for (const name of names) {
    if (name === actual) return Infinity;
    if (name.startsWith('*.') && actual.endsWith(name.slice(1)) && actual.length >= name.length)
      longest = Math.max(longest, name.length);
  }
  return longest;
}

/** The earlier one of the client's protocols beats a later one. */
function byProtocol(names: readonly string[], offered: readonly string[]): number {
  if (names.length === 0) return 0;
  const at = offered.findIndex((name) => names.includes(name));
  return at === -1 ? -1 : offered.length - at;
}

function bySourceType(
  type: FilterChainMatchModel['sourceType'],
  connection: ConnectionInfo,
  remote: IpAddress | undefined,
): number {
  if (type === 'any') return 0;
  const local =
    remote === undefined ||
    isLoopback(remote) ||
    (connection.remoteIp !== '' && connection.remoteIp === connection.localIp);
  return local === (type === 'same-ip-or-loopback') ? 1 : -1;
}

function isCatchAll(match: FilterChainMatchModel): boolean {
  return (
    match.destinationPort === undefined &&
    match.prefixRanges.length === 0 &&
    match.serverNames.length === 0 &&
    match.transportProtocol === '' &&
    match.applicationProtocols.length === 0 &&
    match.directSourcePrefixRanges.length === 0 &&
    match.sourceType === 'any' &&
    match.sourcePrefixRanges.length === 0 &&
    match.sourcePorts.length === 0
  );
}

function parse(ranges: readonly string[]): readonly CidrRange[] {
  return ranges.map(parseCidr).filter((range) => range !== undefined);
}
