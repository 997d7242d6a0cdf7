import type { ClusterModel } from './cluster-model.ts';
import type { FilterChainModel, ListenerModel } from './listener-model.ts';
import type { CommonTlsModel, UpstreamTransportSocketModel } from './transport-socket-model.ts';

/** The TLS contexts of a cluster: of its own transport socket first, then of those that endpoints can match. */
export function clusterTlsContexts({ transportSocket, transportSocketMatches }: ClusterModel): CommonTlsModel[] {
  return [transportSocket, ...transportSocketMatches.map(({ socket }) => socket)].flatMap(contextOf);
}

/** The TLS contexts of a listener's filter chains. */
export function listenerTlsContexts({ filterChains, defaultFilterChain }: ListenerModel): CommonTlsModel[] {
  const chains: readonly FilterChainModel[] =
    defaultFilterChain === undefined ? filterChains : [...filterChains, defaultFilterChain];
  return chains.flatMap(({ transportSocket }) => (transportSocket === undefined ? [] : [transportSocket.common]));
}

function contextOf(socket: UpstreamTransportSocketModel): CommonTlsModel[] {
  if (socket.kind === 'tls') return [socket.common];
  return socket.kind === 'proxy-protocol' ? contextOf(socket.inner) : [];
}
