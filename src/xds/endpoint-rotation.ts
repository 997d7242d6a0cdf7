import type { LookupAddress } from 'node:dns';
import { isIP } from 'node:net';
import type { BuiltCluster } from '../config/cluster-model.ts';
import type { AddressModel } from '../config/common-model.ts';

/** Where to connect to: one address of one endpoint. */
export type DialAddress =
  | { readonly kind: 'ip'; readonly host: string; readonly port: number }
  | { readonly kind: 'pipe'; readonly path: string };

/** All addresses of a name; dns.lookup of Node, hosts file and all. */
export type LookupAll = (host: string, family: 0 | 4 | 6) => Promise<readonly LookupAddress[]>;

/**
 * The addresses of a cluster that the control plane is reached by, one after the other: each connection goes to the next
 * one, names are resolved anew for each round. Health and weights are not looked at.
 */
export class EndpointRotation {
  readonly #addresses: readonly AddressModel[];
  readonly #family: 0 | 4 | 6;
  readonly #lookup: LookupAll;
  #round: DialAddress[] = [];

  constructor({ discovery }: BuiltCluster, lookup: LookupAll) {
    this.#addresses = 'assignment' in discovery ? discovery.assignment.endpoints.map(({ address }) => address) : [];
    const family = 'dns' in discovery ? discovery.dns.lookupFamily : 'AUTO';
    this.#family = family === 'V4_ONLY' ? 4 : family === 'V6_ONLY' ? 6 : 0;
    this.#lookup = lookup;
  }

  /** Undefined: there are no endpoints, or no name could be resolved. */
  async next(): Promise<DialAddress | undefined> {
    if (this.#round.length === 0) this.#round = await this.#newRound();
    return this.#round.shift();
  }

  async #newRound(): Promise<DialAddress[]> {
    const found = await Promise.all(this.#addresses.map((address) => this.#resolve(address)));
    return found.flat();
  }

  async #resolve(address: AddressModel): Promise<DialAddress[]> {
    if (address.kind === 'pipe') return [{ kind: 'pipe', path: address.path }];
    const { host, port } = address;
    if (isIP(host) !== 0) return [{ kind: 'ip', host, port }];
    try {
      return (await this.#lookup(host, this.#family)).map((found) => ({ kind: 'ip', host: found.address, port }));
    } catch {
      return [];
    }
  }
}

/** The target of an address in the gRPC library's words. */
export function targetOf(address: DialAddress): string {
  if (address.kind === 'pipe') return `unix:${address.path}`;
  return address.host.includes(':') ? `ipv6:[${address.host}]:${address.port}` : `ipv4:${address.host}:${address.port}`;
}
