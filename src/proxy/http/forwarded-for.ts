import type { CidrList } from '../../lib/cidr.ts';
import { parseIpAddress, type IpAddress } from '../../lib/ip-address.ts';

/** Most entries of x-forwarded-for that the walk past trusted proxies looks at. */
const MAX_WALK = 20;

/** What x-forwarded-for says about the client; `only`: the address is the header's single entry. */
export interface ForwardedClient {
  readonly address: IpAddress;
  readonly only: boolean;
}

/** The last entry of x-forwarded-for after leaving out `skip` of them from the right; undefined if that is no address. */
export function lastForwardedAddress(header: string, skip: number): ForwardedClient | undefined {
  let end = header.length;
  for (let i = 0; i < skip; i++) {
    end = header.lastIndexOf(',', end - 1);
    if (end <= 0) return undefined;
  }
  const comma = end === 0 ? -1 : header.lastIndexOf(',', end - 1);
  const address = parseIpAddress(header.slice(comma + 1, end).trim());
  return address === undefined ? undefined : { address, only: comma === -1 && skip === 0 };
}

/**
 * Walks x-forwarded-for from the right to the first address that is not a trusted proxy's. Where all are trusted, the
 * last one looked at is the client. Undefined when an entry on the way is no address.
 */
export function lastUntrustedAddress(header: string, trusted: CidrList): ForwardedClient | undefined {
  let end = header.length;
  let last: IpAddress | undefined = undefined;
  for (let i = 0; i < MAX_WALK; i++) {
    const comma = end === 0 ? -1 : header.lastIndexOf(',', end - 1);
    const address = parseIpAddress(header.slice(comma + 1, end).trim());
    if (address === undefined) return undefined;
    last = address;
    if (comma === -1 || !trusted.contains(address)) break;
    end = comma;
  }
  return last === undefined ? undefined : { address: last, only: !header.includes(',') };
}
