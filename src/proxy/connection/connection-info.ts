import type { Socket } from 'node:net';
import type { ConnectionInfo, StreamInfo, TlsInfo } from '../../filters/stream-info.ts';

const MAPPED = '::ffff:';
const NO_NAMES: readonly string[] = [];
const NO_TLVS: readonly ProxyProtocolTlv[] = [];

/** One type-length-value of a PROXY protocol header. */
export interface ProxyProtocolTlv {
  readonly type: number;
  readonly value: Uint8Array;
}

/**
 * The facts about a downstream connection: read off its socket when it is accepted, completed and corrected by listener
 * filters and by the handshake, and fixed from then on.
 */
export class DownstreamConnectionInfo implements ConnectionInfo {
  readonly id: number;
  remoteAddress: string;
  remoteIp: string;
  remotePort: number;
  localAddress: string;
  localIp: string;
  localPort: number;
  readonly directRemoteAddress: string;
  readonly directRemoteIp: string;
  readonly directRemotePort: number;
  readonly directLocalAddress: string;
  readonly directLocalIp: string;
  readonly directLocalPort: number;
  /** The local address is not the socket's: it was restored (original_dst), or came with the PROXY protocol. */
  localAddressRestored = false;
  requestedServerName = '';
  /** '' = no listener filter has looked. */
  transportProtocol = '';
  applicationProtocols: readonly string[] = NO_NAMES;
  ja3 = '';
  ja4 = '';
  proxyProtocolTlvs: readonly ProxyProtocolTlv[] = NO_TLVS;
  transportFailureReason = '';
  localCloseReason = '';
  tls: TlsInfo | undefined = undefined;
  filterChainName = '';
  listenerName = '';
  readonly startMs: number;
  /** By namespace, from listener filters; undefined: none. */
  dynamicMetadata: Map<string, Record<string, unknown>> | undefined = undefined;
  /** From listener filters; undefined: none. */
  filterState: Map<string, unknown> | undefined = undefined;

  /** `pipe`: the path of the Unix socket that accepted it; '' for TCP. */
  constructor(id: number, socket: Socket, pipe: string, startMs: number) {
    this.id = id;
    this.startMs = startMs;
    this.remoteIp = pipe === '' ? plainIp(socket.remoteAddress) : '';
    this.remotePort = socket.remotePort ?? 0;
    this.remoteAddress = pipe === '' ? formatIpPort(this.remoteIp, this.remotePort) : '';
    this.localIp = pipe === '' ? plainIp(socket.localAddress) : '';
    this.localPort = socket.localPort ?? 0;
    this.localAddress = pipe === '' ? formatIpPort(this.localIp, this.localPort) : pipe;
    this.directRemoteAddress = this.remoteAddress;
    this.directRemoteIp = this.remoteIp;
    this.directRemotePort = this.remotePort;
    this.directLocalAddress = this.localAddress;
    this.directLocalIp = this.localIp;
    this.directLocalPort = this.localPort;
  }

  setRemoteAddress(ip: string, port: number): void {
    this.remoteIp = ip;
    this.remotePort = port;
    this.remoteAddress = formatIpPort(ip, port);
  }

  /** Where the connection was going, if it isn't what the socket says. */
  restoreLocalAddress(ip: string, port: number): void {
    this.localIp = ip;
    this.localPort = port;
    this.localAddress = formatIpPort(ip, port);
    this.localAddressRestored = true;
  }

  setDynamicMetadata(namespace: string, key: string, value: unknown): void {
    const all = (this.dynamicMetadata ??= new Map());
    const fields = all.get(namespace);
    if (fields === undefined) all.set(namespace, { [key]: value });
    else fields[key] = value;
  }

  setFilterState(key: string, value: unknown): void {
    (this.filterState ??= new Map()).set(key, value);
  }

  /** Hands what listener filters left to a stream of this connection. */
  shareState(stream: Pick<StreamInfo, 'dynamicMetadata' | 'filterState'>): void {
    if (this.dynamicMetadata !== undefined)
      for (const [namespace, fields] of this.dynamicMetadata) stream.dynamicMetadata.set(namespace, { ...fields });
    if (this.filterState !== undefined) for (const [key, value] of this.filterState) stream.filterState.set(key, value);
  }
}

/** An IPv4 peer of a dual-stack socket is an IPv4 address, as in Envoy. A socket that is gone already has none. */
function plainIp(address: string | undefined): string {
  if (address === undefined) return '';
  return address.startsWith(MAPPED) && address.includes('.') ? address.slice(MAPPED.length) : address;
}

function formatIpPort(ip: string, port: number): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
}
