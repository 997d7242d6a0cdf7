import { parseIpAddress } from '../ip-address.ts';

const AF_INET = 2;
const AF_INET6 = 10;
const SIZE_V4 = 16;
const SIZE_V6 = 28;
const MAPPED = '::ffff:';

/** A struct sockaddr_in or sockaddr_in6, as Linux lays them out on a little-endian machine. Undefined: no IP address. */
export function encodeSocketAddress(ip: string, port: number): Buffer | undefined {
  const address = parseIpAddress(ip);
  if (address === undefined) return undefined;
  const out = Buffer.alloc(address.v4 ? SIZE_V4 : SIZE_V6);
  out.writeUInt16LE(address.v4 ? AF_INET : AF_INET6, 0);
  out.writeUInt16BE(port, 2);
  address.words.forEach((word, index) => out.writeUInt32BE(word, (address.v4 ? 4 : 8) + 4 * index));
  return out;
}

/** The address in a struct sockaddr; an IPv4 one that is mapped into IPv6 as IPv4. Undefined: another family. */
export function decodeSocketAddress(bytes: Buffer): { readonly ip: string; readonly port: number } | undefined {
  const family = bytes.readUInt16LE(0);
  const port = bytes.readUInt16BE(2);
  if (family === AF_INET) return { ip: bytes.subarray(4, 8).join('.'), port };
  if (family !== AF_INET6) return undefined;
  const groups: string[] = [];
  for (let at = 8; at < 24; at += 2) groups.push(bytes.readUInt16BE(at).toString(16));
  const ip = parseIpAddress(groups.join(':'))!.text;
  return { ip: ip.startsWith(MAPPED) && ip.includes('.') ? ip.slice(MAPPED.length) : ip, port };
}
