const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');

export interface ProxyV2Parts {
  readonly versionAndCommand?: number;
  readonly familyAndTransport?: number;
  /** Addresses, ports and TLVs. */
  readonly body?: Buffer;
  /** Lies about the body's length. */
  readonly length?: number;
}

/** 1.2.3.4:4660 -> 5.6.7.8:22136. */
export const V4 = Buffer.from([1, 2, 3, 4, 5, 6, 7, 8, 0x12, 0x34, 0x56, 0x78]);

/** A PROXY protocol header of version 2. */
export function proxyV2(parts: ProxyV2Parts = {}): Buffer {
  const { versionAndCommand = 0x21, familyAndTransport = 0x11, body = V4, length = body.length } = parts;
  return Buffer.concat([
    SIGNATURE,
    Buffer.from([versionAndCommand, familyAndTransport, length >> 8, length & 255]),
    body,
  ]);
}

export function tlv(type: number, value: string | Buffer, length?: number): Buffer {
  const bytes = Buffer.from(value);
  const size = length ?? bytes.length;
  return Buffer.concat([Buffer.from([type, size >> 8, size & 255]), bytes]);
}
