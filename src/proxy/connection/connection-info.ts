import type { Socket } from 'node:net';
import type { ConnectionInfo, TlsInfo } from '../../filters/stream-info.ts';

const MAPPED = '::ffff:';

/** The facts about a downstream connection, read off its socket once when it is accepted. */
export class DownstreamConnectionInfo implements ConnectionInfo {
  readonly id: number;
  readonly remoteAddress: string;
  readonly remoteIp: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localIp: string;
  readonly localPort: number;
  readonly directRemoteAddress: string;
  readonly directRemoteIp: string;
  readonly directRemotePort: number;
  readonly requestedServerName = '';
  readonly tls: TlsInfo | undefined = undefined;
  filterChainName = '';
  readonly startMs: number;

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
