import type { Any } from '@bufbuild/protobuf/wkt';
import type { MetadataExchange } from '../../api/generated/istio/metadata_exchange_pb.js';
import type { TypeRegistry } from '../../api/type-registry.ts';
import { METADATA_EXCHANGE } from '../../filters/builtin-network.ts';
import type { CommonTlsModel, UpstreamTransportSocketModel } from '../transport-socket-model.ts';
import { unpackAs } from './listener-context.ts';

/**
 * The ALPN protocols by which peers agree to exchange metadata (Istio's filter), of a chain's or a cluster's network
 * filters. We take no part in it, and so must neither offer nor accept them: who agrees sends bytes of its own first.
 */
export function exchangeProtocols(configs: readonly (Any | undefined)[], types: TypeRegistry): readonly string[] {
  return configs.flatMap((config) => {
    const exchange = config && unpackAs<MetadataExchange>(types, config, METADATA_EXCHANGE);
    return exchange === undefined ? [] : [exchange.protocol];
  });
}

/** The TLS settings without these ALPN protocols. */
export function withoutProtocols<Tls extends { readonly common: CommonTlsModel }>(
  socket: Tls,
  protocols: readonly string[],
): Tls {
  const { common } = socket;
  const alpnProtocols = common.alpnProtocols.filter((protocol) => !protocols.includes(protocol));
  return { ...socket, common: { ...common, alpnProtocols } };
}

/** The same for what may be no TLS. */
export function socketWithoutProtocols(
  socket: UpstreamTransportSocketModel,
  protocols: readonly string[],
): UpstreamTransportSocketModel {
  if (protocols.length === 0 || socket.kind === 'raw-buffer') return socket;
  if (socket.kind === 'tls') return withoutProtocols(socket, protocols);
  return socket.inner.kind === 'tls' ? { ...socket, inner: withoutProtocols(socket.inner, protocols) } : socket;
}
