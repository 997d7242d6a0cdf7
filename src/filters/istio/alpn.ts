import { FilterConfigSchema, FilterConfig_Protocol as Protocol } from '../../api/generated/istio/alpn_pb.js';
import { protobufConfig } from '../config-type.ts';
import { Continue, defineHttpFilter, type HttpFilter, type StreamContext } from '../http/filter.ts';

/** Filter state: what TLS offers upstream by ALPN. */
const APPLICATION_PROTOCOLS = 'envoy.network.application_protocols';

/**
 * istio.alpn: has ALPN tell the peer's sidecar that a sidecar calls, by the protocol that the cluster speaks; unless the
 * cluster's metadata says not to (`istio.alpn_override: "false"`).
 */
export const istioAlpn = defineHttpFilter({
  name: 'istio.alpn',
  config: protobufConfig(FilterConfigSchema),
  create({ alpnOverride }) {
    const overrides = new Map(alpnOverride.map(({ upstreamProtocol, alpnOverride: list }) => [upstreamProtocol, list]));
    return (stream: StreamContext): HttpFilter => ({
      onRequestHeaders() {
        const { cluster, info } = stream;
        if (cluster === undefined || isExempt(cluster.metadata)) return Continue;
        const list = overrides.get(protocolOf(cluster.httpVersion, info.protocol));
        if (list !== undefined && list.length > 0) info.filterState.set(APPLICATION_PROTOCOLS, list);
        return Continue;
      },
    });
  },
});

type HttpVersion = NonNullable<StreamContext['cluster']>['httpVersion'];

function protocolOf(version: HttpVersion, downstream: string): Protocol {
  if (version === 'http1') return Protocol.HTTP11;
  if (version !== 'downstream') return Protocol.HTTP2;
  if (downstream === 'HTTP/2') return Protocol.HTTP2;
  return downstream === 'HTTP/1.0' ? Protocol.HTTP10 : Protocol.HTTP11;
}

function isExempt(metadata: NonNullable<StreamContext['cluster']>['metadata']): boolean {
  const istio = metadata?.['istio'];
  return typeof istio === 'object' && istio !== null && 'alpn_override' in istio && istio.alpn_override === 'false';
}
