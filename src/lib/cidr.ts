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

/** The one text of a range that can be written in several: host bits are cleared. What is malformed stays as it is. */
export function canonicalCidr(text: string): string {
  const range = parseCidr(text);
  return range === undefined ? text : `${networkAddress(range)}/${range.length}`;
}

/** The network that an address is in, `address/length`. Undefined: it is no IP address. */
export function maskedAddress(text: string, v4Length: number, v6Length: number): string | undefined {
  const address = parseIpAddress(text);
  if (address === undefined) return undefined;
  const range = { ...address, length: address.v4 ? v4Length : v6Length };
  return `${parseIpAddress(networkAddress(range))!.text}/${range.length}`;
}

/** The range's first address; an IPv6 one in full. */
function networkAddress(range: CidrRange): string {
  const words = range.words.map((word, index) => {
    const bits = Math.max(0, Math.min(32, range.length - 32 * index));
    return bits === 0 ? 0 : (word >>> (32 - bits)) * 2 ** (32 - bits);
  });
  const groups = Array.from(words).flatMap((word) =>
    range.v4 ? [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255] : [word >>> 16, word & 0xffff],
  );
  return range.v4 ? groups.join('.') : groups.map((group) => group.toString(16)).join(':');
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
