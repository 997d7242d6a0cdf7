import { parseIpAddress, type IpAddress } from '../../lib/ip-address.ts';

/** A PROXY protocol header (haproxy.org/download/2.9/doc/proxy-protocol.txt). */
export interface ProxyProtocolHeader {
  readonly version: 1 | 2;
  /** In bytes, with everything that belongs to it. */
  readonly length: number;
  /** Undefined: the connection is the proxy's own (LOCAL), or the proxy doesn't know (UNKNOWN). */
  readonly addresses: ProxiedAddresses | undefined;
  /** Where the TLVs stand; empty with LOCAL, whose TLVs nobody reads. */
  readonly tlvsAt: number;
  readonly tlvsEnd: number;
}

export interface ProxiedAddresses {
  readonly remoteIp: string;
  readonly remotePort: number;
  readonly localIp: string;
  readonly localPort: number;
}

/** More bytes are needed; there is no header; or a malformed one of that version. */
export type NoProxyProtocolHeader = 'more' | 'none' | 'error-v1' | 'error-v2';

const SIGNATURE_V1 = 'PROXY ';
const SIGNATURE_V2 = '\r\n\r\n\0\r\nQUIT\n';
const FIXED_V2 = 16;
/** The longest line, with its CRLF, that is taken. */
const MOST_V1 = 108;
const LOCAL = 0;
const PROXY = 1;
const CR = 0x0d;
const LF = 0x0a;

/** Whether bytes, however few, may be the start of a header of this version. */
export function mayBeHeader(bytes: Buffer, version: 1 | 2): boolean {
  const signature = version === 1 ? SIGNATURE_V1 : SIGNATURE_V2;
  const length = Math.min(signature.length, bytes.length);
  return bytes.toString('latin1', 0, length) === signature.slice(0, length);
}

/** Which header it is, as soon as that can be told. Sixteen bytes always tell. */
export function proxyProtocolVersion(bytes: Buffer): 1 | 2 | 'more' | 'none' {
  if (bytes.length >= FIXED_V2) {
    if (mayBeHeader(bytes, 2)) return 2;
    return mayBeHeader(bytes, 1) ? 1 : 'none';
  }
  return endOfLine(bytes) === -1 ? 'more' : 1;
}

/** Parses the header at the start of `bytes`. Never throws. */
export function parseProxyProtocolHeader(bytes: Buffer, version: 1 | 2): ProxyProtocolHeader | NoProxyProtocolHeader {
  return version === 1 ? parseV1(bytes) : parseV2(bytes);
}

/** The index of the LF that ends a line of more than its CRLF, or -1. */
function endOfLine(bytes: Buffer): number {
  for (let at = bytes.indexOf(LF, 1); at !== -1; at = bytes.indexOf(LF, at + 1))
    if (bytes[at - 1] === CR) return at === 1 ? -1 : at;
  return -1;
}

function parseV1(bytes: Buffer): ProxyProtocolHeader | NoProxyProtocolHeader {
  const end = endOfLine(bytes);
  if (end === -1) return bytes.length > MOST_V1 ? 'error-v1' : 'more';
  const length = end + 1;
  if (length > MOST_V1) return 'error-v1';
  const [word, family, remote = '', local = '', remotePort = '', localPort = '', ...rest] = bytes
    .toString('latin1', 0, length)
    .trimEnd()
    .split(' ');
  const header = { version: 1, length, tlvsAt: length, tlvsEnd: length } as const;
  if (word !== 'PROXY') return 'error-v1';
  if (family === 'UNKNOWN') return { ...header, addresses: undefined };
  if ((family !== 'TCP4' && family !== 'TCP6') || rest.length > 0) return 'error-v1';
  const remoteAddress = parseIpAddress(remote);
  const localAddress = parseIpAddress(local);
  const ports = [parsePort(remotePort), parsePort(localPort)] as const;
  if (
    remoteAddress?.v4 !== (family === 'TCP4') ||
    localAddress?.v4 !== (family === 'TCP4') ||
    !isUnicast(remoteAddress) ||
    !isUnicast(localAddress) ||
    ports[0] === -1 ||
    ports[1] === -1
  )
    return 'error-v1';
  return {
    ...header,
    addresses: { remoteIp: remoteAddress.text, remotePort: ports[0], localIp: localAddress.text, localPort: ports[1] },
  };
}

function parseV2(bytes: Buffer): ProxyProtocolHeader | NoProxyProtocolHeader {
  const command = bytes[12]! & 15;
  if (bytes[12]! >> 4 !== 2) return 'error-v2';
  const length = FIXED_V2 + bytes.readUInt16BE(14);
  if (command === LOCAL) {
    if (bytes.length < length) return 'more';
    return { version: 2, length, addresses: undefined, tlvsAt: length, tlvsEnd: length };
  }
  const family = bytes[13]! >> 4;
  const transport = bytes[13]! & 15;
  const addressLength = family === 1 ? 4 : family === 2 ? 16 : 0;
  const tlvsAt = FIXED_V2 + 2 * addressLength + 4;
  // TCP and UDP are both taken.
  if (addressLength === 0 || length < tlvsAt || command !== PROXY || transport < 1 || transport > 2) return 'error-v2';
  if (bytes.length < length) return 'more';
  const remote = addressAt(bytes, FIXED_V2, addressLength);
  const local = addressAt(bytes, FIXED_V2 + addressLength, addressLength);
  if (!isUnicast(remote) || !isUnicast(local)) return 'error-v2';
  const portsAt = tlvsAt - 4;
  return {
    version: 2,
    length,
    addresses: {
      remoteIp: remote.text,
      remotePort: bytes.readUInt16BE(portsAt),
      localIp: local.text,
      localPort: bytes.readUInt16BE(portsAt + 2),
    },
    tlvsAt,
    tlvsEnd: length,
  };
}

/** Calls `each` with every TLV of a header. False: they are malformed, and `each` has seen those before the fault. */
export function readTlvs(
  bytes: Buffer,
  { tlvsAt, tlvsEnd }: ProxyProtocolHeader,
  each: (type: number, value: Buffer) => void,
): boolean {
  for (let at = tlvsAt; at < tlvsEnd;) {
    if (at + 3 > tlvsEnd) return false;
    const end = at + 3 + bytes.readUInt16BE(at + 1);
    if (end > tlvsEnd) return false;
    each(bytes[at]!, bytes.subarray(at + 3, end));
    at = end;
  }
  return true;
}

function addressAt(bytes: Buffer, at: number, length: number): IpAddress {
  if (length === 4) return parseIpAddress(bytes.subarray(at, at + 4).join('.'))!;
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(bytes.readUInt16BE(at + i).toString(16));
  return parseIpAddress(groups.join(':'))!;
}

/** A port in decimal, with a plus sign and zeros in front if it must be, as Envoy takes it; -1: none. */
function parsePort(text: string): number {
  const port = /^\+?\d+$/.test(text) ? Number(text) : -1;
  return port > 65_535 ? -1 : port;
}

/** Neither "any" nor broadcast nor multicast, none of which a TCP connection has. */
function isUnicast({ v4, words }: IpAddress): boolean {
  const first = words[0]!;
  if (v4) return first !== 0 && first !== 0xffff_ffff && first >>> 28 !== 0xe;
  return first >>> 24 !== 0xff && (first !== 0 || words[1] !== 0 || words[2] !== 0 || words[3] !== 0);
}
