import type { DnsModel } from '../../../config/cluster-model.ts';

/** One address that a name has. `ttlMs` undefined: it came from no DNS server. */
export interface DnsRecord {
  readonly address: string;
  readonly ttlMs: number | undefined;
}

/** `found` may be empty: the name exists without such addresses, or doesn't exist. `failed`: nobody could tell. */
export type DnsAnswer =
  | { readonly kind: 'found'; readonly records: readonly DnsRecord[] }
  | { readonly kind: 'failed'; readonly reason: string };

/** Asks for the addresses of one family. Never rejects. */
export interface DnsResolver {
  resolve(name: string, family: 4 | 6): Promise<DnsAnswer>;
}

/** A resolver that asks `servers` (`ip:port`), or the system's if there are none. */
export type DnsResolverFactory = (servers: readonly string[]) => DnsResolver;

/** The addresses of `name` by Envoy's DnsLookupFamily. */
export async function lookup(
  resolver: DnsResolver,
  name: string,
  family: DnsModel['lookupFamily'],
): Promise<DnsAnswer> {
  switch (family) {
    case 'V4_ONLY':
      return resolver.resolve(name, 4);
    case 'V6_ONLY':
      return resolver.resolve(name, 6);
    case 'AUTO':
      return either(await resolver.resolve(name, 6), () => resolver.resolve(name, 4));
    case 'V4_PREFERRED':
      return either(await resolver.resolve(name, 4), () => resolver.resolve(name, 6));
    case 'ALL': {
      const [six, four] = await Promise.all([resolver.resolve(name, 6), resolver.resolve(name, 4)]);
      if (six.kind === 'failed') return four;
      if (four.kind === 'failed') return six;
      return { kind: 'found', records: [...six.records, ...four.records] };
    }
  }
}

/** The second family where the first has no address. */
async function either(first: DnsAnswer, second: () => Promise<DnsAnswer>): Promise<DnsAnswer> {
  if (first.kind === 'found' && first.records.length > 0) return first;
  const other = await second();
  // A family that could be asked counts for more than one that could not.
  return other.kind === 'failed' && first.kind === 'found' ? first : other;
}
