import type { ConnectionInfo } from '../../filters/stream-info.ts';
import { isLoopback, parseIpAddress } from '../../lib/ip-address.ts';

/** The connection is from this host: from a loopback address, from its own destination, or over a Unix socket. */
export function isLocalConnection({ remoteIp, localIp }: ConnectionInfo): boolean {
  if (remoteIp === '' || remoteIp === localIp) return true;
  const address = parseIpAddress(remoteIp);
  return address === undefined || isLoopback(address);
}
