import type { ClusterModel } from '../../config/cluster-model.ts';
import type { StreamInfo } from '../../filters/stream-info.ts';
import {
  NO_TRANSPORT_OPTIONS,
  type ProxyProtocolSource,
  type UpstreamTransportOptions,
} from '../transport-socket/transport-socket.ts';

/** Filter state by which filters say how the upstream connection is made (Envoy's well-known filter state). */
const SERVER_NAME = 'envoy.network.upstream_server_name';
const SUBJECT_ALT_NAMES = 'envoy.network.upstream_subject_alt_names';
const APPLICATION_PROTOCOLS = 'envoy.network.application_protocols';

/**
 * What is particular to the upstream connection for this downstream one; undefined: nothing. `addedTlvs`: for a PROXY
 * protocol header, where the downstream came without TLVs.
 */
export function tcpTransportOptions(
  model: ClusterModel,
  info: StreamInfo,
  addedTlvs: ProxyProtocolSource['tlvs'],
): UpstreamTransportOptions | undefined {
  const { filterState, connection } = info;
  const sendsProxyHeader =
    model.transportSocket.kind === 'proxy-protocol' ||
    model.transportSocketMatches.some(({ socket }) => socket.kind === 'proxy-protocol');
  if (filterState.size === 0 && !sendsProxyHeader) return undefined;
  const serverName = text(filterState.get(SERVER_NAME));
  const subjectAltNames = texts(filterState.get(SUBJECT_ALT_NAMES));
  const alpnProtocols = texts(filterState.get(APPLICATION_PROTOCOLS));
  if (serverName === '' && subjectAltNames.length === 0 && alpnProtocols.length === 0 && !sendsProxyHeader)
    return undefined;
  let downstream: ProxyProtocolSource | undefined;
  if (sendsProxyHeader) {
    const { remoteIp, remotePort, localIp, localPort, proxyProtocolTlvs = [] } = connection;
    const tlvs = proxyProtocolTlvs.length > 0 ? proxyProtocolTlvs : addedTlvs;
    downstream = { remoteIp, remotePort, localIp, localPort, tlvs };
  }
  const key = JSON.stringify([serverName, subjectAltNames, alpnProtocols, sendsProxyHeader ? connection.id : 0]);
  return { ...NO_TRANSPORT_OPTIONS, key, serverName, subjectAltNames, alpnProtocols, downstream };
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

const texts = (value: unknown): readonly string[] => {
  if (typeof value === 'string') return value.split(',');
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [];
};
