import { isDeepStrictEqual } from 'node:util';
import type { TransportSocketMatchModel } from '../../config/transport-socket-model.ts';
import type { Metadata } from '../../filters/stream-info.ts';

/** The endpoint metadata that transport_socket_matches look at. */
const NAMESPACE = 'envoy.transport_socket_match';

/**
 * Index of the first of a cluster's transport_socket_matches that an endpoint's metadata fulfil, or else its locality's;
 * -1: none, the cluster's own transport socket.
 */
export function matchTransportSocket(
  matches: readonly TransportSocketMatchModel[],
  endpoint: Metadata | undefined,
  locality: Metadata | undefined,
): number {
  if (matches.length === 0) return -1;
  const index = matches.findIndex(({ match }) => fulfils(match, endpoint));
  return index === -1 ? matches.findIndex(({ match }) => fulfils(match, locality)) : index;
}

function fulfils(match: Readonly<Record<string, unknown>>, metadata: Metadata | undefined): boolean {
  const labels = metadata?.[NAMESPACE] as Readonly<Record<string, unknown>> | undefined;
  return Object.entries(match).every(([key, value]) => isDeepStrictEqual(labels?.[key], value));
}
