import type { ClusterModel } from '../../config/cluster-model.ts';
import type { UpstreamTransportSocketModel } from '../../config/transport-socket-model.ts';
import type { ConnectionInfo } from '../../filters/stream-info.ts';
import { parseIpAddress } from '../../lib/ip-address.ts';
import type { HeaderMap } from '../http/headers.ts';
import type { MutableStreamInfo } from '../http/stream-info.ts';
import type { ProxyProtocolSource, UpstreamTransportOptions } from '../transport-socket/transport-socket.ts';

/** Filter state by which filters have a say in it. */
const SERVER_NAME = 'envoy.network.upstream_server_name';
const SUBJECT_ALT_NAMES = 'envoy.network.upstream_subject_alt_names';
const APPLICATION_PROTOCOLS = 'envoy.network.application_protocols';

/** Most options that are remembered; authorities come from outside. */
const MAX_OPTIONS = 1024;
const NONE: readonly string[] = [];

/**
 * What of a request shapes the upstream connections that it may use: SNI and names by its authority (`auto_sni`,
 * `auto_san_validation`), what filters ask for, and whose connection a PROXY protocol header tells of. Equal requests
 * get the same object. One a worker.
 */
export class TransportOptions {
  readonly #options = new Map<string, UpstreamTransportOptions>();
  readonly #sensitive = new WeakMap<ClusterModel, Sensitivity>();

  /** Undefined: the cluster's own transport socket as configured. `headers` as they go upstream. */
  of(cluster: ClusterModel, headers: HeaderMap, info: MutableStreamInfo): UpstreamTransportOptions | undefined {
    // Plain sockets have no options.
    if (cluster.transportSocket.kind === 'raw-buffer' && cluster.transportSocketMatches.length === 0) return undefined;
    const { usesProxyProtocol, usesTls } = this.#sensitivity(cluster);
    const downstream = usesProxyProtocol ? sourceOf(info.connection) : undefined;
    let serverName = '';
    let subjectAltNames = NONE;
    let alpnProtocols = NONE;
    if (usesTls) {
      const state = info.knownFilterState;
      if (state !== undefined) {
        serverName = textOf(state.get(SERVER_NAME));
        subjectAltNames = listOf(state.get(SUBJECT_ALT_NAMES));
        alpnProtocols = listOf(state.get(APPLICATION_PROTOCOLS));
      }
      const { autoSni, autoSanValidation } = cluster;
      if (autoSni !== undefined || autoSanValidation) {
        const host = authorityHost(headers, autoSni?.overrideHeader ?? '');
        if (autoSni !== undefined && serverName === '' && parseIpAddress(host) === undefined) serverName = host;
        if (autoSanValidation && subjectAltNames.length === 0) subjectAltNames = [host];
      }
    }
    if (serverName === '' && subjectAltNames.length === 0 && alpnProtocols.length === 0 && downstream === undefined)
      return undefined;
    const key = keyOf(serverName, subjectAltNames, alpnProtocols, downstream);
    let options = this.#options.get(key);
    if (options === undefined) {
      if (this.#options.size >= MAX_OPTIONS) this.#options.clear();
      options = { key, serverName, subjectAltNames, alpnProtocols, downstream };
      this.#options.set(key, options);
    }
    return options;
  }

  #sensitivity(cluster: ClusterModel): Sensitivity {
    let known = this.#sensitive.get(cluster);
    if (known === undefined) {
      const sockets = [cluster.transportSocket, ...cluster.transportSocketMatches.map(({ socket }) => socket)];
      known = {
        usesProxyProtocol: sockets.some(({ kind }) => kind === 'proxy-protocol'),
        usesTls: sockets.some(isTls),
      };
      this.#sensitive.set(cluster, known);
    }
    return known;
  }
}

/** What the transport sockets of a cluster make use of. */
interface Sensitivity {
  readonly usesProxyProtocol: boolean;
  readonly usesTls: boolean;
}

function isTls(socket: UpstreamTransportSocketModel): boolean {
  return socket.kind === 'tls' || (socket.kind === 'proxy-protocol' && socket.inner.kind === 'tls');
}

/** Whose connection a PROXY protocol header is to tell of. */
export function sourceOf(connection: ConnectionInfo): ProxyProtocolSource {
  const { remoteIp, remotePort, localIp, localPort, proxyProtocolTlvs } = connection;
  return { remoteIp, remotePort, localIp, localPort, tlvs: proxyProtocolTlvs ?? [] };
}

/** The host that the authority (or the header that takes its place) names, without its port. */
function authorityHost(headers: HeaderMap, overrideHeader: string): string {
  const override = overrideHeader === '' ? '' : headers.getAll(overrideHeader).join(',');
  const authority = override === '' ? headers.authority : override;
  if (authority.startsWith('[')) {
    const end = authority.indexOf(']');
    if (end !== -1) return authority.slice(1, end);
  }
  const colon = authority.lastIndexOf(':');
  return colon === -1 ? authority : authority.slice(0, colon);
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** A list as filters may leave it: one, or comma-separated text. */
function listOf(value: unknown): readonly string[] {
  if (Array.isArray(value)) return value.filter((item) => typeof item === 'string');
  return typeof value === 'string' && value !== '' ? value.split(',').map((item) => item.trim()) : NONE;
}

function keyOf(
  serverName: string,
  subjectAltNames: readonly string[],
  alpnProtocols: readonly string[],
  downstream: ProxyProtocolSource | undefined,
): string {
  const tls = `${serverName}|${subjectAltNames.join(',')}|${alpnProtocols.join(',')}`;
  if (downstream === undefined) return tls;
  const { remoteIp, remotePort, localIp, localPort, tlvs } = downstream;
  const extra = tlvs.map(({ type, value }) => `${type}=${Buffer.from(value).toString('hex')}`).join(',');
  return `${tls}|${remoteIp} ${remotePort} ${localIp} ${localPort} ${extra}`;
}
