import ipaddr from 'ipaddr.js';
import type { ConnectionInfo, StreamInfo } from '../../../filters/stream-info.ts';
import { absent, plain, type Operator, type OperatorTable } from './operator.ts';

const upstream = (info: StreamInfo): ConnectionInfo | undefined => info.upstreamConnection;

/**
 * An IP without its port; a socket path stays as it is. `(n)` masks the address to its first n bits and prints it as
 * a CIDR range; what isn't a number is ignored, as Envoy does.
 */
function withoutPort(
  read: (info: StreamInfo) => readonly [ip: string | undefined, address: string | undefined],
): Operator {
  return {
    params: 'optional',
    length: false,
    compile(args) {
      if (!/^[0-9]+$/.test(args)) {
        return ({ info }) => {
          const [ip, address] = read(info);
          return ip || address || undefined;
        };
      }
      const bits = Number(args);
      return ({ info }) => {
        const [ip, address] = read(info);
        return (ip && maskIp(ip, bits)) || address || undefined;
      };
    },
  };
}

/** A port; undefined for an address that has none (a Unix socket). */
const portOf = (ip: string | undefined, port: number | undefined): number | undefined =>
  ip === undefined || ip === '' ? undefined : port;

/** `10.1.2.3`, 8 -> `10.0.0.0/8`. */
function maskIp(ip: string, bits: number): string | undefined {
  if (!ipaddr.isValid(ip)) return undefined;
  const address = ipaddr.parse(ip);
  const bytes = address.toByteArray();
  const prefix = Math.min(bits, bytes.length * 8);
  const masked = bytes.map((byte, i) => byte & (0xff00 >> Math.max(0, Math.min(8, prefix - i * 8))) & 0xff);
  return `${ipaddr.fromByteArray(masked).toString()}/${prefix}`;
}

/** `host:port` without the port, `[v6]:port` without brackets and port. */
export function stripPort(host: string): string {
  return /^(.*):[0-9]+$/.exec(host)?.[1] ?? host;
}

/** Operators that print addresses, ports and host names of both sides. */
export const addressOperators: OperatorTable = {
  DOWNSTREAM_REMOTE_ADDRESS: plain(({ info }) => info.downstreamRemoteAddress || undefined),
  DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: withoutPort((info) => [
    info.downstreamRemoteIp,
    info.downstreamRemoteAddress,
  ]),
  DOWNSTREAM_REMOTE_PORT: plain(({ info }) => portOf(info.downstreamRemoteIp, info.downstreamRemotePort)),
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS: plain(({ info }) => info.connection.directRemoteAddress || undefined),
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT: withoutPort(({ connection }) => [
    connection.directRemoteIp,
    connection.directRemoteAddress,
  ]),
  DOWNSTREAM_DIRECT_REMOTE_PORT: plain(({ info: { connection } }) =>
    portOf(connection.directRemoteIp, connection.directRemotePort),
  ),
  DOWNSTREAM_LOCAL_ADDRESS: plain(({ info }) => info.connection.localAddress || undefined),
  DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: withoutPort(({ connection }) => [connection.localIp, connection.localAddress]),
  DOWNSTREAM_LOCAL_PORT: plain(({ info: { connection } }) => portOf(connection.localIp, connection.localPort)),
  DOWNSTREAM_DIRECT_LOCAL_ADDRESS: plain(
    ({ info: { connection } }) => (connection.directLocalAddress ?? connection.localAddress) || undefined,
  ),
  DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT: withoutPort(({ connection }) => [
    connection.directLocalIp ?? connection.localIp,
    connection.directLocalAddress ?? connection.localAddress,
  ]),
  DOWNSTREAM_DIRECT_LOCAL_PORT: plain(({ info: { connection } }) =>
    portOf(connection.directLocalIp ?? connection.localIp, connection.directLocalPort ?? connection.localPort),
  ),

  UPSTREAM_HOST: plain(({ info }) => info.upstreamHost?.address),
  UPSTREAM_HOST_NAME: plain(({ info }) => info.upstreamHost?.hostname || info.upstreamHost?.address),
  UPSTREAM_HOST_NAME_WITHOUT_PORT: plain(({ info: { upstreamHost } }) =>
    upstreamHost === undefined ? undefined : stripPort(upstreamHost.hostname || upstreamHost.address),
  ),
  UPSTREAM_LOCAL_ADDRESS: plain(({ info }) => upstream(info)?.localAddress || undefined),
  UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: withoutPort((info) => [upstream(info)?.localIp, upstream(info)?.localAddress]),
  UPSTREAM_LOCAL_PORT: plain(({ info }) => portOf(upstream(info)?.localIp, upstream(info)?.localPort)),
  UPSTREAM_REMOTE_ADDRESS: plain(({ info }) => upstream(info)?.remoteAddress || undefined),
  UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: withoutPort((info) => [
    upstream(info)?.remoteIp,
    upstream(info)?.remoteAddress,
  ]),
  UPSTREAM_REMOTE_PORT: plain(({ info }) => portOf(upstream(info)?.remoteIp, upstream(info)?.remotePort)),

  DOWNSTREAM_LOCAL_ADDRESS_ENDPOINT_ID: plain(() => ''),
  DOWNSTREAM_DIRECT_LOCAL_ADDRESS_ENDPOINT_ID: plain(() => ''),
  UPSTREAM_REMOTE_ADDRESS_ENDPOINT_ID: plain(() => ''),
  UPSTREAM_HOSTS_ATTEMPTED: absent(),
  UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT: absent(),
  UPSTREAM_HOST_NAMES_ATTEMPTED: absent(),
  UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT: absent(),
};
