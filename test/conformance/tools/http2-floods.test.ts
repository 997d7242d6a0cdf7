import { createServer } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { F, GET, POST, PREFACE, T, block, frame, headers } from '../../support/h2-frames.ts';
import { processCost } from '../../support/process-cost.ts';
import { listener, proxyConfig } from '../../support/proxy-config.ts';
import type { ProxyProcess } from '../../support/proxy-process.ts';
import { startSubject, subjectName } from '../../support/subject.ts';

/** One attack: the bytes that are sent over and over once the connection stands. */
interface Flood {
  readonly name: string;
  /** Sent once, before. */
  readonly opening?: Buffer;
  /** The `n`th piece of the attack. */
  readonly piece: (n: number) => Buffer;
  /** The counter that tells of it, in the scope `http2.`; undefined: it is a plain protocol error. */
  readonly counter?: string;
  /** The attacker reads nothing. */
  readonly deaf?: boolean;
  /** The attack is within the protocol: the connection may live on, at bounded cost. */
  readonly survives?: boolean;
}

const request = block(GET);
const get = (stream: number, flags: number = F.END_HEADERS | F.END_STREAM): Buffer =>
  frame(T.HEADERS, flags, stream, request);
const many = (count: number, make: (i: number) => Buffer): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, i) => make(i)));
const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
/** A literal with incremental indexing, a name of one letter and a value of 4,000 bytes. */
const bigEntry = Buffer.concat([
  Buffer.from([0x40, 1, 0x78, 0x7f, 0xa1, 0x1e]),
  Buffer.alloc(127 + 0x21 + (0x1e << 7), 'y'),
]);

const FLOODS: readonly Flood[] = [
  {
    name: 'rapid reset',
    piece: (n) =>
      many(100, (i) => {
        const stream = 2 * (n * 100 + i) + 1;
        return Buffer.concat([get(stream), frame(T.RST_STREAM, 0, stream, u32(8))]);
      }),
  },
  {
    name: 'CONTINUATION without end',
    opening: frame(T.HEADERS, F.END_STREAM, 1, request),
    piece: () =>
      many(50, () =>
        frame(T.CONTINUATION, 0, 1, Buffer.concat([Buffer.from([0, 1, 0x78, 100]), Buffer.alloc(100, 'y')])),
      ),
  },
  {
    name: 'empty CONTINUATION',
    opening: frame(T.HEADERS, F.END_STREAM, 1, request),
    piece: () => many(500, () => frame(T.CONTINUATION, 0, 1)),
  },
  {
    name: 'PING',
    piece: () => many(500, () => frame(T.PING, 0, 0, Buffer.alloc(8))),
    counter: 'outbound_control_flood',
    deaf: true,
  },
  {
    name: 'SETTINGS',
    piece: () => many(500, () => frame(T.SETTINGS, 0, 0)),
    counter: 'outbound_control_flood',
    deaf: true,
  },
  {
    name: 'empty DATA',
    opening: headers(1, POST, false),
    piece: () => many(500, () => frame(T.DATA, 0, 1)),
    counter: 'inbound_empty_frames_flood',
  },
  {
    name: 'PRIORITY',
    opening: get(1),
    piece: () => many(500, () => frame(T.PRIORITY, 0, 1, Buffer.from([0, 0, 0, 3, 1]))),
    counter: 'inbound_priority_frames_flood',
  },
  {
    name: 'WINDOW_UPDATE',
    opening: get(1),
    piece: () => many(500, () => frame(T.WINDOW_UPDATE, 0, 0, u32(1))),
    counter: 'inbound_window_update_frames_flood',
  },
  {
    name: 'HPACK bomb',
    piece: (n) => {
      const references = Buffer.alloc(12_000, 0x80 | 62);
      return frame(T.HEADERS, F.END_HEADERS | F.END_STREAM, 2 * n + 1, Buffer.concat([request, bigEntry, references]));
    },
  },
  {
    name: 'headers without a name',
    piece: (n) =>
      frame(
        T.HEADERS,
        F.END_HEADERS | F.END_STREAM,
        2 * n + 1,
        Buffer.concat([request, Buffer.alloc(3000, Buffer.from([0x10, 0, 0]))]),
      ),
  },
  {
    name: 'requests whose responses nobody reads',
    piece: (n) => many(100, (i) => get(2 * (n * 100 + i) + 1)),
    counter: 'outbound_flood',
    deaf: true,
    survives: true,
  },
];

const ATTACK_MS = 3000;

describe('HTTP/2 floods', () => {
  const upstream = createServer((incoming, response) => {
    incoming.resume();
    response.end('x'.repeat(1000));
  });
  let proxy: ProxyProcess;
  let port = 0;

  beforeAll(async () => {
    await once(upstream.listen(0, '127.0.0.1'), 'listening');
    const address = upstream.address() as { port: number };
    const hcm = { codec_type: 'HTTP2', http2_protocol_options: { max_concurrent_streams: 100 } };
    proxy = await startSubject(proxyConfig({ upstream: address.port, listeners: [listener('ingress', { hcm })] }));
    port = proxy.ports.get('ingress')!;
  });

  afterAll(async () => {
    await proxy[Symbol.asyncDispose]();
    upstream.close();
    upstream.closeAllConnections();
  });

  /** Sends until the proxy ends the connection or the time is over; how long that was, and how much was sent. */
  async function attack(flood: Flood): Promise<{ ended: boolean; ms: number; sent: number }> {
    const socket: Socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    if (flood.deaf !== true) socket.resume();
    await once(socket, 'connect');
    socket.write(Buffer.concat([PREFACE, frame(T.SETTINGS, 0, 0), flood.opening ?? Buffer.alloc(0)]));
    const began = performance.now();
    let n = 0;
    let sent = 0;
    while (!socket.destroyed && !socket.readableEnded && performance.now() - began < ATTACK_MS) {
      const piece = flood.piece(n++);
      sent += piece.length;
      const flushed = socket.write(piece);
      await new Promise<void>((resolve) => {
        if (flushed) return void setImmediate(resolve);
        const timer = setTimeout(resolve, 100);
        socket.once('drain', () => (clearTimeout(timer), resolve()));
      });
      if (socket.writableLength > 1 << 20) await new Promise((resolve) => setTimeout(resolve, 50));
    }
    // A deaf attacker notices the end only when it reads.
    socket.resume();
    if (!socket.destroyed)
      await Promise.race([once(socket, 'close'), new Promise((resolve) => setTimeout(resolve, 500))]);
    const ended = socket.destroyed || socket.readableEnded;
    socket.destroy();
    return { ended, ms: performance.now() - began, sent };
  }

  for (const flood of FLOODS)
    test(`${flood.name}: costs its sender the connection, and nobody else anything`, async () => {
      const counters = await proxy.counters();
      const before = processCost(proxy.pid);
      const session = connectHttp2(`http://127.0.0.1:${port}`);
      const statuses: number[] = [];
      const run = { over: false };
      const others = (async () => {
        while (!run.over) {
          const stream = session.request({ ':path': '/' });
          stream.resume();
          const [response] = (await once(stream, 'response')) as [{ ':status'?: number }];
          statuses.push(response[':status'] ?? 0);
          await once(stream, 'close');
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
      })();
      const { ended, ms, sent } = await attack(flood);
      run.over = true;
      await others;
      session.destroy();
      const after = processCost(proxy.pid);
      console.log(
        `${subjectName}: ${flood.name}: ${ended ? 'ended' : 'lives'} after ${ms.toFixed(0)} ms and ${(sent / 1024).toFixed(0)} KiB, ` +
          `${(after.cpuMs - before.cpuMs).toFixed(0)} ms CPU, RSS ${before.rssMiB.toFixed(0)} -> ${after.rssMiB.toFixed(0)} MiB, ` +
          `${statuses.length} others served`,
      );
      expect(new Set(statuses)).toEqual(new Set([200]));
      if (flood.survives !== true) expect(ended).toBe(true);
      if (flood.counter !== undefined && flood.survives !== true) {
        const name = `http2.${flood.counter}`;
        const now = await proxy.counters();
        const delta = [...now]
          .filter(([key]) => key.endsWith(name))
          .map(([key, value]) => value - (counters.get(key) ?? 0));
        expect(delta, name).toEqual([1]);
      }
      expect(after.rssMiB - before.rssMiB).toBeLessThan(100);
    }, 20_000);
});
