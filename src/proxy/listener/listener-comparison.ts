import { isDeepStrictEqual } from 'node:util';
import type { AddressModel } from '../../config/common-model.ts';
import type { HttpFilterModel } from '../../config/hcm-model.ts';
import type { FilterChainModel, ListenerModel } from '../../config/listener-model.ts';

/** A listener's content as text: the same text is the same listener. */
export function modelText(spec: object): string {
  return JSON.stringify(spec, (_key, value: unknown) => {
    if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
    return typeof value === 'bigint' ? String(value) : value;
  });
}

/**
 * The address that a listener has in common with one of the others, as Envoy prints it; undefined: there is none. Port
 * 0 is nobody's, and a listener that binds to no port may share an address with one that does.
 */
export function sharedAddress(model: ListenerModel, others: Iterable<ListenerModel>): string | undefined {
  const own = new Set(addressesOf(model).map(addressText));
  for (const other of others) {
    if (other.bindToPort !== model.bindToPort) continue;
    for (const address of addressesOf(other)) {
      const text = addressText(address);
      if (own.has(text) && !text.endsWith(':0')) return text;
    }
  }
  return undefined;
}

/** True if only filter chains differ: connections of the others don't notice. */
export function isInPlaceUpdate(former: ListenerModel, next: ListenerModel): boolean {
  return modelText(withoutChains(former)) === modelText(withoutChains(next));
}

/** True if chains differ in nothing but the configs of filters that are delivered apart. */
export function sameButDiscovered(former: FilterChainModel, next: FilterChainModel): boolean {
  const other = withoutDiscovered(next);
  return other !== next && isDeepStrictEqual(withoutDiscovered(former), other);
}

/** The same object if it has no such filter. */
function withoutDiscovered(chain: FilterChainModel): FilterChainModel {
  let isFound = false;
  const networkFilters = chain.networkFilters.map((filter) => {
    if (filter.kind === 'extension' && filter.isDiscovered === true) {
      isFound = true;
      return { ...filter, config: undefined };
    }
    if (filter.kind !== 'http-connection-manager' || !filter.hcm.httpFilters.some(isDiscovered)) return filter;
    isFound = true;
    const httpFilters = filter.hcm.httpFilters.map((each) =>
      isDiscovered(each) ? { ...each, config: undefined } : each,
    );
    return { ...filter, hcm: { ...filter.hcm, httpFilters } };
  });
  return isFound ? ({ ...chain, networkFilters } as FilterChainModel) : chain;
}

const isDiscovered = (filter: HttpFilterModel): boolean => filter.isDiscovered === true;

function withoutChains(model: ListenerModel): Partial<ListenerModel> {
  return { ...model, filterChains: [], defaultFilterChain: undefined, filterChainMatcher: undefined };
}

/** All of them, the main one first. */
export const addressesOf = ({ address, additionalAddresses }: ListenerModel): readonly AddressModel[] => [
  address,
  ...additionalAddresses,
];

const addressText = (address: AddressModel): string =>
  address.kind === 'pipe'
    ? address.path
    : `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
