/** What a ClientHello is made of; everything has a default. */
export interface ClientHelloParts {
  readonly version?: number;
  readonly ciphers?: readonly number[];
  readonly compression?: Buffer;
  readonly sessionId?: Buffer;
  /** Type and data; undefined: no extensions block at all. */
  readonly extensions?: readonly (readonly [number, Buffer])[] | undefined;
}

const u16 = (value: number): Buffer => Buffer.from([value >> 8, value & 255]);
const with8 = (data: Buffer): Buffer => Buffer.concat([Buffer.from([data.length]), data]);
const with16 = (data: Buffer): Buffer => Buffer.concat([u16(data.length), data]);

/** The body of a ClientHello message. */
export function helloBody(parts: ClientHelloParts = {}): Buffer {
  const {
    version = 0x0303,
    ciphers = [0x1301, 0xc02f],
    compression = Buffer.alloc(1),
    sessionId = Buffer.alloc(0),
  } = parts;
  const extensions = 'extensions' in parts ? parts.extensions : [];
  return Buffer.concat([
    u16(version),
    Buffer.alloc(32, 'r'),
    with8(sessionId),
    with16(Buffer.concat(ciphers.map(u16))),
    with8(compression),
    extensions === undefined
      ? Buffer.alloc(0)
      : with16(Buffer.concat(extensions.map(([type, data]) => Buffer.concat([u16(type), with16(data)])))),
  ]);
}

/** A handshake message; `length` lies about its length. */
export function handshake(body: Buffer, type = 1, length = body.length): Buffer {
  return Buffer.concat([Buffer.from([type, length >> 16, (length >> 8) & 255, length & 255]), body]);
}

/** A record; `length` lies about its length. */
export function record(body: Buffer, type = 22, version = 0x0301, length = body.length): Buffer {
  return Buffer.concat([Buffer.from([type]), u16(version), u16(length), body]);
}

/** All that a client sends first. */
export function clientHello(parts: ClientHelloParts = {}): Buffer {
  return record(handshake(helloBody(parts)));
}

export function serverName(name: string | Buffer, type = 0): readonly [number, Buffer] {
  return [0, with16(Buffer.concat([Buffer.from([type]), with16(Buffer.from(name))]))];
}

export function alpn(...names: string[]): readonly [number, Buffer] {
  return [16, with16(Buffer.concat(names.map((name) => with8(Buffer.from(name, 'latin1')))))];
}
