import type { ConnectionInfo, StreamInfo } from '../../../filters/stream-info.ts';
import { plain, type OperatorTable } from './operator.ts';

const upstream = (info: StreamInfo): ConnectionInfo | undefined => info.upstreamConnection;

/** An IP without its port; a socket path stays as it is. */
const ipOr = (ip: string | undefined, address: string | undefined): string | undefined => ip || address || undefined;

/** A port; undefined for an address that has none (a Unix socket). */
const portOf = (ip: string | undefined, port: number | undefined): number | undefined =>
  ip === undefined || ip === '' ? undefined : port;

/** `host:port` without the port, `[v6]:port` without brackets and port. */
export function stripPort(host: string): string {
  return /^(.*):[0-9]+$/.exec(host)?.[1] ?? host;
}

/** Operators that print addresses, ports and host names of both sides. */
export const addressOperators: OperatorTable = {
  DOWNSTREAM_REMOTE_ADDRESS: plain(({ info }) => info.downstreamRemoteAddress || undefined),
  DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: plain(({ info }) =>
    ipOr(info.downstreamRemoteIp, info.downstreamRemoteAddress),
  ),
  DOWNSTREAM_REMOTE_PORT: plain(({ info }) => portOf(info.downstreamRemoteIp, info.downstreamRemotePort)),
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS: plain(({ info }) => info.connection.directRemoteAddress || undefined),
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT: plain(({ info: { connection } }) =>
    ipOr(connection.directRemoteIp, connection.directRemoteAddress),
  ),
  DOWNSTREAM_DIRECT_REMOTE_PORT: plain(({ info: { connection } }) =>
    portOf(connection.directRemoteIp, connection.directRemotePort),
  ),
  DOWNSTREAM_LOCAL_ADDRESS: plain(({ info }) => info.connection.localAddress || undefined),
  DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: plain(({ info: { connection } }) =>
    ipOr(connection.localIp, connection.localAddress),
  ),
  DOWNSTREAM_LOCAL_PORT: plain(({ info: { connection } }) => portOf(connection.localIp, connection.localPort)),
  DOWNSTREAM_DIRECT_LOCAL_ADDRESS: plain(({ info }) => info.connection.localAddress || undefined),
  DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT: plain(({ info: { connection } }) =>
    ipOr(connection.localIp, connection.localAddress),
  ),
  DOWNSTREAM_DIRECT_LOCAL_PORT: plain(({ info: { connection } }) => portOf(connection.localIp, connection.localPort)),

  UPSTREAM_HOST: plain(({ info }) => info.upstreamHost?.address),
  UPSTREAM_HOST_NAME: plain(({ info }) => info.upstreamHost?.hostname || info.upstreamHost?.address),
  UPSTREAM_HOST_NAME_WITHOUT_PORT: plain(({ info: { upstreamHost } }) =>
    upstreamHost === undefined ? undefined : stripPort(upstreamHost.hostname || upstreamHost.address),
  ),
  UPSTREAM_LOCAL_ADDRESS: plain(({ info }) => upstream(info)?.localAddress || undefined),
  UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: plain(({ info }) => ipOr(upstream(info)?.localIp, upstream(info)?.localAddress)),
  UPSTREAM_LOCAL_PORT: plain(({ info }) => portOf(upstream(info)?.localIp, upstream(info)?.localPort)),
  UPSTREAM_REMOTE_ADDRESS: plain(({ info }) => upstream(info)?.remoteAddress || undefined),
  UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: plain(({ info }) =>
    ipOr(upstream(info)?.remoteIp, upstream(info)?.remoteAddress),
  ),
  UPSTREAM_REMOTE_PORT: plain(({ info }) => portOf(upstream(info)?.remoteIp, upstream(info)?.remotePort)),
};
