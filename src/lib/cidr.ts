import { parseIpAddress, type IpAddress } from './ip-address.ts';

/** One address range, `address/length`. */
export interface CidrRange {
  readonly v4: boolean;
  readonly words: Uint32Array;
  readonly length: number;
}

/** Parses `address/length`; a length beyond the address's own is cut to it, host bits are ignored. Undefined: malformed. */
export function parseCidr(text: string): CidrRange | undefined {
  const slash = text.lastIndexOf('/');
  if (slash === -1) return undefined;
  const address = parseIpAddress(text.slice(0, slash));
  const length = Number(text.slice(slash + 1));
  if (address === undefined || !Number.isInteger(length) || length < 0 || slash === text.length - 1) return undefined;
  return { v4: address.v4, words: address.words, length: Math.min(length, address.v4 ? 32 : 128) };
}

export function cidrContains(range: CidrRange, address: IpAddress): boolean {
  if (range.v4 !== address.v4) return false;
  let left = range.length;
  for (let word = 0; left > 0; word++, left -= 32) {
    const shift = left >= 32 ? 0 : 32 - left;
    if (range.words[word]! >>> shift !== address.words[word]! >>> shift) return false;
  }
  return true;
}

/** A few ranges, looked through in order. */
export class CidrList {
  readonly #ranges: readonly CidrRange[];

  /** Malformed entries are left out: the config was checked when it was built. */
  constructor(texts: readonly string[]) {
    this.#ranges = texts.map(parseCidr).filter((range) => range !== undefined);
  }

  contains(address: IpAddress): boolean {
    for (const range of this.#ranges) if (cidrContains(range, address)) return true;
    return false;
  }
}
