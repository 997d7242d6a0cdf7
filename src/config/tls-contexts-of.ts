import type { ClusterModel } from './cluster-model.ts';
import type { FilterChainModel, ListenerModel } from './listener-model.ts';
import type { CommonTlsModel, UpstreamTransportSocketModel } from './transport-socket-model.ts';

/** The TLS contexts of a cluster: of its own transport socket first, then of those that endpoints can match. */
export function clusterTlsContexts({ transportSocket, transportSocketMatches }: ClusterModel): CommonTlsModel[] {
  return [transportSocket, ...transportSocketMatches.map(({ socket }) => socket)].flatMap(contextOf);
}

/** The TLS contexts of a listener's filter chains. */
export function listenerTlsContexts(model: ListenerModel): CommonTlsModel[] {
  return chainsOf(model).flatMap(({ transportSocket }) =>
    transportSocket === undefined ? [] : [transportSocket.common],
  );
}

/** The secrets that TLS contexts use by name, each once. */
export function secretNames(contexts: readonly CommonTlsModel[]): string[] {
  const names = new Set<string>();
  for (const { certificates, validation } of contexts) {
    for (const certificate of certificates) if (certificate.kind === 'secret') names.add(certificate.name);
    if (validation?.secret !== undefined) names.add(validation.secret);
  }
  return [...names];
}

/** The secrets that a listener's filter chains use by name, each once. */
export function listenerSecretNames(model: ListenerModel): string[] {
  const names = new Set(secretNames(listenerTlsContexts(model)));
  for (const { transportSocket } of chainsOf(model))
    if (transportSocket?.ticketKeys?.kind === 'secret') names.add(transportSocket.ticketKeys.name);
  return [...names];
}

function chainsOf({ filterChains, defaultFilterChain }: ListenerModel): readonly FilterChainModel[] {
  return defaultFilterChain === undefined ? filterChains : [...filterChains, defaultFilterChain];
}

function contextOf(socket: UpstreamTransportSocketModel): CommonTlsModel[] {
  if (socket.kind === 'tls') return [socket.common];
  return socket.kind === 'proxy-protocol' ? contextOf(socket.inner) : [];
}
