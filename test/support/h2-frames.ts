/** HTTP/2 frames as tests write and read them, independent of the codec under test (RFC 9113 section 4). */

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

export const T = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

export const F = { END_STREAM: 1, ACK: 1, END_HEADERS: 4, PADDED: 8, PRIORITY: 32 } as const;

const NAMES = Object.keys(T);
const ERRORS = [
  'NO_ERROR',
  'PROTOCOL_ERROR',
  'INTERNAL_ERROR',
  'FLOW_CONTROL_ERROR',
  'SETTINGS_TIMEOUT',
  'STREAM_CLOSED',
  'FRAME_SIZE_ERROR',
  'REFUSED_STREAM',
  'CANCEL',
  'COMPRESSION_ERROR',
  'CONNECT_ERROR',
  'ENHANCE_YOUR_CALM',
  'INADEQUATE_SECURITY',
  'HTTP_1_1_REQUIRED',
];

export type Fields = readonly (readonly [name: string, value: string])[];

/** One frame. */
export function frame(type: number, flags: number, stream: number, payload: Buffer | string = ''): Buffer {
  const body = typeof payload === 'string' ? Buffer.from(payload, 'latin1') : payload;
  const header = Buffer.alloc(9);
  header.writeUIntBE(body.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(stream >>> 0, 5);
  return Buffer.concat([header, body]);
}

/** A header block of literals that are neither indexed nor Huffman-coded (RFC 7541 section 6.2.2). */
export function block(fields: Fields): Buffer {
  const parts: Buffer[] = [];
  const text = (value: string): void => {
    parts.push(integer(value.length, 7), Buffer.from(value, 'latin1'));
  };
  for (const [name, value] of fields) {
    parts.push(Buffer.from([0]));
    text(name);
    text(value);
  }
  return Buffer.concat(parts);
}

function integer(value: number, prefix: number): Buffer {
  const max = 2 ** prefix - 1;
  if (value < max) return Buffer.from([value]);
  const bytes = [max];
  let rest = value - max;
  while (rest >= 128) {
    bytes.push((rest % 128) | 128);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return Buffer.from(bytes);
}

export const GET: Fields = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'h'],
];
export const POST: Fields = [[':method', 'POST'], ...GET.slice(1)];

export function headers(stream: number, fields: Fields, endStream = true, flags = 0): Buffer {
  return frame(T.HEADERS, F.END_HEADERS | (endStream ? F.END_STREAM : 0) | flags, stream, block(fields));
}

export function data(stream: number, payload: Buffer | string, endStream = false): Buffer {
  return frame(T.DATA, endStream ? F.END_STREAM : 0, stream, payload);
}

export function settings(entries: readonly (readonly [id: number, value: number])[] = []): Buffer {
  return frame(T.SETTINGS, 0, 0, Buffer.concat(entries.map(([id, value]) => Buffer.concat([u16(id), u32(value)]))));
}

export const settingsAck: Buffer = frame(T.SETTINGS, F.ACK, 0);

export function windowUpdate(stream: number, increment: number): Buffer {
  return frame(T.WINDOW_UPDATE, 0, stream, u32(increment));
}

export function reset(stream: number, code: number): Buffer {
  return frame(T.RST_STREAM, 0, stream, u32(code));
}

export function ping(payload = '12345678', flags = 0): Buffer {
  return frame(T.PING, flags, 0, payload);
}

export function goAway(last: number, code: number): Buffer {
  return frame(T.GOAWAY, 0, 0, Buffer.concat([u32(last), u32(code)]));
}

export function u32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(value >>> 0);
  return buffer;
}

function u16(value: number): Buffer {
  const buffer = Buffer.alloc(2);
  buffer.writeUInt16BE(value);
  return buffer;
}

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** Cuts bytes into frames; `rest` is what isn't a whole one yet. */
export function parseFrames(bytes: Buffer): { frames: Frame[]; rest: Buffer } {
  const frames: Frame[] = [];
  let at = 0;
  while (bytes.length - at >= 9) {
    const end = at + 9 + bytes.readUIntBE(at, 3);
    if (end > bytes.length) break;
    frames.push({
      type: bytes[at + 3]!,
      flags: bytes[at + 4]!,
      stream: bytes.readUInt32BE(at + 5),
      payload: bytes.subarray(at + 9, end),
    });
    at = end;
  }
  return { frames, rest: bytes.subarray(at) };
}

/** A frame in one line. `decode` shows header blocks, which depend on all those before. */
export function show({ type, flags, stream, payload }: Frame, decode?: (block: Buffer) => string): string {
  const end = (flags & F.END_STREAM) !== 0 ? ' END' : '';
  switch (type) {
    case T.DATA:
      return `DATA ${stream} ${payload.length > 40 ? `${payload.length} bytes` : payload.toString('latin1')}${end}`;
    case T.HEADERS:
      return `HEADERS ${stream}${decode === undefined ? '' : ` ${decode(payload)}`}${end}`;
    case T.RST_STREAM:
      return `RST_STREAM ${stream} ${errorName(payload.readUInt32BE(0))}`;
    case T.SETTINGS: {
      if ((flags & F.ACK) !== 0) return 'SETTINGS ACK';
      const entries: string[] = [];
      for (let i = 0; i + 6 <= payload.length; i += 6)
        entries.push(`${payload.readUInt16BE(i)}=${payload.readUInt32BE(i + 2)}`);
      return `SETTINGS ${entries.join(' ')}`.trimEnd();
    }
    case T.PING:
      return `PING ${payload.toString('latin1')}${(flags & F.ACK) !== 0 ? ' ACK' : ''}`;
    case T.GOAWAY:
      return `GOAWAY ${payload.readUInt32BE(0)} ${errorName(payload.readUInt32BE(4))}`;
    case T.WINDOW_UPDATE:
      return `WINDOW_UPDATE ${stream} ${payload.readUInt32BE(0)}`;
    default:
      return `${NAMES[type] ?? `TYPE ${type}`} ${stream} ${payload.length} bytes`;
  }
}

function errorName(code: number): string {
  return ERRORS[code] ?? String(code);
}
