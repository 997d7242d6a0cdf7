import { once } from 'node:events';
import { createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { HpackDecoder } from '../../../../../src/proxy/codec/h2/hpack/decoder.ts';
import { HpackEncoder } from '../../../../../src/proxy/codec/h2/hpack/encoder.ts';
import { decodeBlock, encodeBlock, type Field } from './hpack-harness.ts';

/** Blocks from and to another implementation: that of Node, which is nghttp2. It gets fields from us and sends them back. */
let server: Http2Server;
let socket: Socket;

beforeEach(async () => {
  server = createServer();
  server.on('stream', (stream: ServerHttp2Stream, _, __, raw: string[]) => {
    const back: Record<string, string[]> = {};
    for (let i = 0; i < raw.length; i += 2) {
      if (!raw[i]!.startsWith(':')) (back[raw[i]!] ??= []).push(raw[i + 1]!);
      else back[`x-${raw[i]!.slice(1)}`] = [raw[i + 1]!];
    }
    stream.respond({ ':status': 200, ...back }, { endStream: true });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  await once(socket, 'connect');
});

afterEach(async () => {
  socket.destroy();
  server.close();
  await once(server, 'close');
});

function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** Sends the requests one by one; returns each response's fields. */
async function exchange(requests: readonly Field[][]): Promise<Field[][]> {
  const encoder = new HpackEncoder();
  const decoder = new HpackDecoder();
  const responses: Field[][] = [];
  let held = Buffer.alloc(0);
  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  socket.write(frame(4, 0, 0, Buffer.alloc(0)));
  const send = (): void => {
    const at = responses.length;
    if (at < requests.length) socket.write(frame(1, 0x5, 1 + 2 * at, encodeBlock(encoder, requests[at]!)));
  };
  send();
  for await (const chunk of socket) {
    held = Buffer.concat([held, chunk as Buffer]);
    for (;;) {
      if (held.length < 9 || held.length < 9 + held.readUIntBE(0, 3)) break;
      const payload = held.subarray(9, 9 + held.readUIntBE(0, 3));
      const type = held[3]!;
      if (type === 7 || type === 3) throw new Error(`frame ${type}: ${payload.toString('hex')}`);
      if (type === 1) {
        const { error, fields } = decodeBlock(decoder, payload);
        expect(error).toBe(undefined);
        responses.push(fields);
        send();
      }
      held = held.subarray(9 + payload.length);
    }
    if (responses.length === requests.length) break;
  }
  return responses;
}

describe('another implementation', () => {
  test('reads what we write and is understood', async () => {
    const every = Array.from({ length: 256 }, (_, code) => code).filter(
      (code) => code === 9 || (code > 31 && code !== 127),
    );
    const requests = Array.from({ length: 120 }, (_, i): Field[] => [
      [':method', i % 3 === 0 ? 'POST' : 'GET'],
      [':scheme', 'http'],
      [':path', `/path/${i % 7}`],
      [':authority', 'example.com'],
      ['user-agent', `agent ${i % 5}`],
      // Each character in some surroundings or other.
      [
        'x-text',
        `a${every
          .map((code) => String.fromCharCode(code))
          .slice((i * 31) % 200, ((i * 31) % 200) + (i % 60))
          .join('')}z`,
      ],
      ...(i % 4 === 0 ? [['authorization', 'Bearer x'] as const] : []),
      ['x-request-id', `id-${i}`],
      ['x-long', 'long'.repeat(i * 10)],
    ]);
    const responses = await exchange(requests);
    responses.forEach((response, i) => {
      const expected = new Map(requests[i]!.map(([name, value]) => [name.replace(':', 'x-'), value]));
      expected.set(':status', '200');
      const { date, ...rest } = Object.fromEntries(response);
      expect(date).toBeDefined();
      expect(rest).toEqual(Object.fromEntries(expected));
    });
  });
});
