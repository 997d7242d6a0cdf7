import { networkInterfaces } from 'node:os';

/**
 * The address that stands for this host where a loopback peer's own would tell nothing (x-forwarded-for): the first
 * IPv4 address that isn't loopback, else 127.0.0.1, as Envoy chooses it.
 */
export function localHostAddress(interfaces: () => ReturnType<typeof networkInterfaces> = networkInterfaces): string {
  for (const addresses of Object.values(interfaces()))
    for (const { family, internal, address } of addresses ?? []) if (family === 'IPv4' && !internal) return address;
  return '127.0.0.1';
}
