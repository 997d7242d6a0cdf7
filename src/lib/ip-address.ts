/** An IP address as numbers. `v4` holds for a dotted address; a v4-mapped IPv6 address stays IPv6, as on a socket. */
export interface IpAddress {
  readonly v4: boolean;
  /** One 32-bit word for IPv4, four for IPv6, most significant first. */
  readonly words: Uint32Array;
  /** Canonical text, as inet_ntop prints it. */
  readonly text: string;
}

/** Parses what inet_pton accepts (no port, no zone, no leading zeros); undefined for anything else. Never throws. */
export function parseIpAddress(text: string): IpAddress | undefined {
  if (text.length > 45) return undefined;
  if (text.includes(':')) {
    const words = parseV6(text);
    return words === undefined ? undefined : { v4: false, words, text: formatV6(words) };
  }
  const value = parseV4(text, 0, text.length);
  return value === -1 ? undefined : { v4: true, words: Uint32Array.of(value), text };
}

/** The text of an address of four or sixteen bytes; '' for any other number of bytes. */
export function formatIpBytes(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length !== 16) return '';
  return formatV6(Uint32Array.from([0, 4, 8, 12], (at) => bytes.readUInt32BE(at)));
}

/** 127.0.0.1 or ::1, and no other. */
export function isLoopback({ v4, words }: IpAddress): boolean {
  if (v4) return words[0] === 0x7f000001;
  return words[0] === 0 && words[1] === 0 && words[2] === 0 && words[3] === 1;
}

/** The IPv4 address between `from` and `to` as a number, or -1. */
function parseV4(text: string, from: number, to: number): number {
  if (to - from < 7 || to - from > 15) return -1;
  let value = 0;
  let part = 0;
  let digits = 0;
  let dots = 0;
  for (let i = from; i < to; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x2e) {
      if (digits === 0 || ++dots > 3) return -1;
      value = value * 256 + part;
      part = 0;
      digits = 0;
      continue;
    }
    const digit = code - 0x30;
    if (digit < 0 || digit > 9 || (digits > 0 && part === 0)) return -1;
    part = part * 10 + digit;
    if (part > 255) return -1;
    digits++;
  }
  return dots === 3 && digits > 0 ? value * 256 + part : -1;
}

/** RFC 4291 section 2.2: eight groups, one `::`, perhaps an IPv4 address at the end. */
function parseV6(text: string): Uint32Array | undefined {
  const groups: number[] = [];
  let gap = -1;
  let i = 0;
  if (text.startsWith('::')) {
    gap = 0;
    i = 2;
  } else if (text.startsWith(':')) return undefined;
  while (i < text.length) {
    let end = text.indexOf(':', i);
    if (end === -1) end = text.length;
    if (end === text.length && text.includes('.', i)) {
      const v4 = parseV4(text, i, end);
      if (v4 === -1) return undefined;
      groups.push(v4 >>> 16, v4 & 0xffff);
      break;
    }
    const group = parseHex(text, i, end);
    if (group === -1) return undefined;
    groups.push(group);
    if (end === text.length) break;
    i = end + 1;
    if (text.charCodeAt(i) === 0x3a) {
      if (gap !== -1) return undefined;
      gap = groups.length;
      i++;
    } else if (i === text.length) return undefined;
  }
  if (gap === -1 ? groups.length !== 8 : groups.length > 7) return undefined;
  if (gap !== -1) groups.splice(gap, 0, ...Array.from({ length: 8 - groups.length }, () => 0));
  const words = new Uint32Array(4);
  for (let word = 0; word < 4; word++) words[word] = groups[word * 2]! * 0x10000 + groups[word * 2 + 1]!;
  return words;
}

function parseHex(text: string, from: number, to: number): number {
  if (to - from < 1 || to - from > 4) return -1;
  let value = 0;
  for (let i = from; i < to; i++) {
    const code = text.charCodeAt(i) | 0x20;
    const digit = code >= 0x61 && code <= 0x66 ? code - 0x57 : code >= 0x30 && code <= 0x39 ? code - 0x30 : -1;
    if (digit === -1 || text.charCodeAt(i) < 0x30) return -1;
    value = value * 16 + digit;
  }
  return value;
}

/** inet_ntop: the first longest run of two or more zero groups becomes `::`; a mapped IPv4 address stays dotted. */
function formatV6(words: Uint32Array): string {
  if (words[0] === 0 && words[1] === 0 && words[2] === 0xffff) {
    const v4 = words[3]!;
    return `::ffff:${v4 >>> 24}.${(v4 >>> 16) & 255}.${(v4 >>> 8) & 255}.${v4 & 255}`;
  }
  const groups: number[] = [];
  for (const word of words) groups.push(word >>> 16, word & 0xffff);
  let start = -1;
  let length = 1;
  for (let i = 0; i < 8; i++) {
    let run = 0;
    while (i + run < 8 && groups[i + run] === 0) run++;
    if (run > length) {
      start = i;
      length = run;
    }
    if (run > 0) i += run - 1;
  }
  const hex = groups.map((group) => group.toString(16));
  if (start === -1) return hex.join(':');
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}`;
}
