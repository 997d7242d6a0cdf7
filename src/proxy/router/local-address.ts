import { networkInterfaces } from 'node:os';

/** The first address of this machine that isn't loopback, as Envoy finds its own; loopback if there is none. */
export function localAddress(): string {
  for (const addresses of Object.values(networkInterfaces()))
    for (const { family, internal, address } of addresses ?? []) if (family === 'IPv4' && !internal) return address;
  return '127.0.0.1';
}
