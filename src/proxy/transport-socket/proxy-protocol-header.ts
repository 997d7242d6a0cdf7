import { parseIpAddress, type IpAddress } from '../../lib/ip-address.ts';

/** Type, length and value, as they stand behind the addresses of a PROXY protocol header. */
export interface ProxyProtocolTlv {
  readonly type: number;
  readonly value: Uint8Array;
}

export interface ProxyProtocolAddresses {
  readonly sourceIp: string;
  readonly sourcePort: number;
  readonly destinationIp: string;
  readonly destinationPort: number;
}

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const VERSION_2 = 0x20;
const LOCAL = VERSION_2;
const PROXY = VERSION_2 | 1;
const TCP_OVER_V4 = 0x11;
const TCP_OVER_V6 = 0x21;
const MAX_LENGTH = 0xffff;

/** Version 1: `PROXY TCP4 <source> <destination> <source port> <destination port>`. */
export function proxyProtocolV1(addresses: ProxyProtocolAddresses): Buffer {
  const pair = parsePair(addresses);
  if (pair === undefined) return Buffer.from('PROXY UNKNOWN\r\n', 'latin1');
  const [source, destination] = pair;
  const { sourcePort, destinationPort } = addresses;
  return Buffer.from(
    `PROXY TCP${source.v4 ? 4 : 6} ${source.text} ${destination.text} ${sourcePort} ${destinationPort}\r\n`,
    'latin1',
  );
}

/** Version 2. `addresses` undefined: the connection is our own (LOCAL). TLVs that don't fit into 64 KiB are left out. */
export function proxyProtocolV2(
  addresses: ProxyProtocolAddresses | undefined,
  tlvs: readonly ProxyProtocolTlv[],
): Buffer {
  const pair = addresses === undefined ? undefined : parsePair(addresses);
  const parts: Buffer[] = [];
  if (pair !== undefined) {
    const ports = Buffer.alloc(4);
    ports.writeUInt16BE(addresses!.sourcePort, 0);
    ports.writeUInt16BE(addresses!.destinationPort, 2);
    parts.push(ipBytes(pair[0]), ipBytes(pair[1]), ports);
    let length = parts.reduce((sum, part) => sum + part.length, 0);
    for (const { type, value } of tlvs) {
      length += 3 + value.length;
      if (length > MAX_LENGTH) break;
      parts.push(Buffer.from([type, value.length >> 8, value.length & 0xff]), Buffer.from(value));
    }
  }
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(4);
  head[0] = pair === undefined ? LOCAL : PROXY;
  head[1] = pair === undefined ? 0 : pair[0].v4 ? TCP_OVER_V4 : TCP_OVER_V6;
  head.writeUInt16BE(body.length, 2);
  return Buffer.concat([SIGNATURE, head, body]);
}

/** Both of one family: an IPv4 address beside an IPv6 one is mapped. Undefined: not addresses (Unix sockets). */
function parsePair({ sourceIp, destinationIp }: ProxyProtocolAddresses): readonly [IpAddress, IpAddress] | undefined {
  const source = parseIpAddress(sourceIp);
  const destination = parseIpAddress(destinationIp);
  if (source === undefined || destination === undefined) return undefined;
  if (source.v4 === destination.v4) return [source, destination];
  const mapped = (address: IpAddress): IpAddress =>
    address.v4 ? (parseIpAddress(`::ffff:${address.text}`) ?? address) : address;
  return [mapped(source), mapped(destination)];
}

function ipBytes({ words }: IpAddress): Buffer {
  const bytes = Buffer.alloc(words.length * 4);
  for (const [at, word] of words.entries()) bytes.writeUInt32BE(word, at * 4);
  return bytes;
}
