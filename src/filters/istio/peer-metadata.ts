import {
  ConfigSchema,
  type Config_DiscoveryMethod as DiscoveryMethod,
  type Config_PropagationMethod as PropagationMethod,
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
import { localPeerHeader } from './local-peer.ts';
import { decodeStruct, DOWNSTREAM_PEER, keepPeer, PEER, PEER_ID, UPSTREAM_PEER } from './peer.ts';

/** Whatever its metadata says, what passes here leaves the mesh. */
const PASSTHROUGH_CLUSTER = 'PassthroughCluster';

/**
 * The HTTP filter `io.istio.http.peer_metadata.Config`: takes what peers tell of themselves in headers, so that it goes
 * no further, keeps it as filter state, and tells peers who this proxy is. It looks nobody up.
 */
export const istioPeerMetadata = defineHttpFilter({
  name: 'istio.peer_metadata',
  config: protobufConfig(ConfigSchema),
  create(config, context) {
    if (config.sharedWithUpstream) context.unsupported?.('shared_with_upstream');
    const directions: Directions = {
      readsRequests: readsHeaders(config.downstreamDiscovery, 'downstream_discovery', context),
      readsResponses: readsHeaders(config.upstreamDiscovery, 'upstream_discovery', context),
      toUpstream: propagation(config.upstreamPropagation),
      toDownstream: propagation(config.downstreamPropagation),
      peer: localPeerHeader(context.node, config.additionalLabels),
      id: context.node.id,
    };
    const { readsRequests, readsResponses, toUpstream, toDownstream } = directions;
    const isIdle = !readsRequests && !readsResponses && toUpstream === undefined && toDownstream === undefined;
    return (stream) => (isIdle ? undefined : new PeerMetadataFilter(directions, stream));
  },
});

/** What a config does, and what it tells. */
interface Directions {
  readonly readsRequests: boolean;
  readonly readsResponses: boolean;
  /** Undefined: nothing is told. */
  readonly toUpstream: Propagation | undefined;
  readonly toDownstream: Propagation | undefined;
  readonly peer: string;
  readonly id: string;
}

interface Propagation {
  /** Who is no part of the mesh is told nothing. */
  readonly skipsExternal: boolean;
}

function readsHeaders(methods: readonly DiscoveryMethod[], field: string, { unsupported }: FactoryContext): boolean {
  for (const [index, { methodSpecifier }] of methods.entries())
    if (methodSpecifier.case !== 'istioHeaders') unsupported?.(`${field}[${index}]`);
  return methods.some(({ methodSpecifier }) => methodSpecifier.case === 'istioHeaders');
}

function propagation(methods: readonly PropagationMethod[]): Propagation | undefined {
  const headers = methods.find(({ methodSpecifier }) => methodSpecifier.case === 'istioHeaders');
  return headers && { skipsExternal: headers.methodSpecifier.value?.skipExternalClusters ?? false };
}

class PeerMetadataFilter implements HttpFilter {
  readonly #directions: Directions;
  readonly #stream: StreamContext;
  /** Which of the headers the downstream sent: only a peer that tells is told. */
  #toldPeer = false;
  #toldId = false;

  constructor(directions: Directions, stream: StreamContext) {
    this.#directions = directions;
    this.#stream = stream;
  }

  onRequestHeaders(headers: Headers): HeadersVerdict {
    const { readsRequests, toUpstream, peer, id } = this.#directions;
    if (readsRequests) {
      this.#toldPeer = headers.has(PEER);
      this.#toldId = headers.has(PEER_ID);
      this.#take(headers, DOWNSTREAM_PEER);
    }
    if (toUpstream !== undefined && !this.#leavesMesh(toUpstream)) {
      headers.set(PEER_ID, id);
      headers.set(PEER, peer);
    }
    return Continue;
  }

  onResponseHeaders(headers: Headers): HeadersVerdict {
    const { readsResponses, toDownstream, peer, id } = this.#directions;
    if (readsResponses) this.#take(headers, UPSTREAM_PEER);
    if (toDownstream !== undefined && !this.#leavesMesh(toDownstream)) {
      if (this.#toldId) headers.set(PEER_ID, id);
      if (this.#toldPeer) headers.set(PEER, peer);
    }
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

  #leavesMesh({ skipsExternal }: Propagation): boolean {
    if (!skipsExternal) return false;
    const { clusterName, cluster } = this.#stream;
    if (clusterName === PASSTHROUGH_CLUSTER) return true;
    const istio = cluster?.metadata?.['istio'] as { readonly external?: unknown } | undefined;
    return istio?.external === true;
  }
}
