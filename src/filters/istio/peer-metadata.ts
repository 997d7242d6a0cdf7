import {
  ConfigSchema,
  type Config_DiscoveryMethod as DiscoveryMethod,
} from '../../api/generated/istio/peer_metadata_pb.js';
import { protobufConfig } from '../config-type.ts';
import type { Headers } from '../headers.ts';
import {
  Continue,
  defineHttpFilter,
  type FactoryContext,
  type HeadersVerdict,
  type HttpFilter,
  type StreamContext,
} from '../http/filter.ts';
import { decodeStruct, DOWNSTREAM_PEER, keepPeer, PEER, PEER_ID, UPSTREAM_PEER } from './peer.ts';

/**
 * The HTTP filter `io.istio.http.peer_metadata.Config`: takes what peers tell of themselves in headers, so that it goes
 * no further, and keeps it as filter state. It tells nothing itself, and looks nobody up.
 */
export const istioPeerMetadata = defineHttpFilter({
  name: 'istio.peer_metadata',
  config: protobufConfig(ConfigSchema),
  create(config, context) {
    const { unsupported = () => {} } = context;
    if (config.downstreamPropagation.length > 0) unsupported('downstream_propagation');
    if (config.upstreamPropagation.length > 0) unsupported('upstream_propagation');
    if (config.sharedWithUpstream) unsupported('shared_with_upstream');
    const downstream = readsHeaders(config.downstreamDiscovery, 'downstream_discovery', context);
    const upstream = readsHeaders(config.upstreamDiscovery, 'upstream_discovery', context);
    return (stream) => (downstream || upstream ? new PeerMetadataFilter(downstream, upstream, stream) : undefined);
  },
});

function readsHeaders(methods: readonly DiscoveryMethod[], field: string, { unsupported }: FactoryContext): boolean {
  for (const [index, { methodSpecifier }] of methods.entries())
    if (methodSpecifier.case !== 'istioHeaders') unsupported?.(`${field}[${index}]`);
  return methods.some(({ methodSpecifier }) => methodSpecifier.case === 'istioHeaders');
}

class PeerMetadataFilter implements HttpFilter {
  readonly #downstream: boolean;
  readonly #upstream: boolean;
  readonly #stream: StreamContext;

  constructor(downstream: boolean, upstream: boolean, stream: StreamContext) {
    this.#downstream = downstream;
    this.#upstream = upstream;
    this.#stream = stream;
  }

  onRequestHeaders(headers: Headers): HeadersVerdict {
    if (this.#downstream) this.#take(headers, DOWNSTREAM_PEER);
    return Continue;
  }

  onResponseHeaders(headers: Headers): HeadersVerdict {
    if (this.#upstream) this.#take(headers, UPSTREAM_PEER);
    return Continue;
  }

  #take(headers: Headers, key: string): void {
    const id = headers.get(PEER_ID);
    const text = headers.get(PEER);
    if (id !== undefined) headers.delete(PEER_ID);
    if (text === undefined) return;
    headers.delete(PEER);
    const peer = decodeStruct(Buffer.from(text, 'base64'));
    if (peer !== undefined) keepPeer(this.#stream.info, key, peer, id);
  }
}
