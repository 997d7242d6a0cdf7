import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createProxy } from '../../src/index.ts';
import { eventually } from '../support/eventually.ts';
import { HttpClient } from '../support/http-client.ts';
import { clusterAt, proxyConfig, tcp, typescriptFilter } from '../support/proxy-config.ts';
import { Blackhole } from '../support/blackhole.ts';

const LIMIT = 64 * 1024;
const TOTAL = 12 * 1024 * 1024;
const PIECE = 16 * 1024;
/**
 * What may be under way when the reader has stopped: a buffer of the limit's size each way on both sockets of the
 * proxy, with a read's worth over each, and what the kernel keeps, which is about 200 KiB at each end of a Unix socket.
 */
const BOUND = 2 * 1024 * 1024;

/** Sends TOTAL bytes as fast as they are taken; tells how far it has come. */
class Source {
  sent = 0;
  readonly hash = createHash('sha256');
  readonly #socket: Socket;
  readonly #chunked: boolean;
  #number = 0;

  constructor(socket: Socket, chunked: boolean) {
    this.#socket = socket;
    this.#chunked = chunked;
    socket.on('drain', () => this.#more());
    this.#more();
  }

  /** Bytes that this end of the connection got rid of. */
  get taken(): number {
    return this.sent - this.#socket.writableLength;
  }

  #more(): void {
    while (this.sent < TOTAL) {
      const piece = Buffer.alloc(PIECE, String(this.#number++));
      this.hash.update(piece);
      this.sent += PIECE;
      const framed = this.#chunked
        ? Buffer.concat([Buffer.from(`${PIECE.toString(16)}\r\n`), piece, Buffer.from('\r\n')])
        : piece;
      if (this.sent === TOTAL && this.#chunked) this.#socket.write(Buffer.concat([framed, Buffer.from('0\r\n\r\n')]));
      else if (!this.#socket.write(framed)) return;
    }
  }
}

/** Waits until `value()` has stopped to grow. */
async function settled(value: () => number): Promise<number> {
  let last = -1;
  let looks = 0;
  return eventually('the transfer to stop', () => {
    const now = value();
    if (now !== last) looks = 0;
    last = now;
    return now > 0 && ++looks > 40 ? now : undefined;
  });
}

const digest = (body: string): string => createHash('sha256').update(body, 'latin1').digest('hex');
const framing = (chunked: boolean): string => (chunked ? 'transfer-encoding: chunked' : `content-length: ${TOTAL}`);

describe.each([
  ['content-length', false, []],
  ['chunked', true, []],
  ['a filter that sees every chunk', false, [typescriptFilter(join(import.meta.dirname, 'filters.ts'), 'wait')]],
])('a reader that stops: %s', (_, chunked, httpFilters) => {
  let dir: string;
  let backend: Server;

  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'backpressure-'));
    backend = createServer();
    backend.listen(join(dir, 'upstream'));
    await once(backend, 'listening');
  });
  afterEach(() => {
    backend.close();
    rmSync(dir, { recursive: true });
  });

  const start = (routes?: readonly Readonly<Record<string, unknown>>[]) =>
    createProxy({
      config: proxyConfig({
        httpFilters,
        ...(routes && { routes }),
        listener: {
          address: { pipe: { path: join(dir, 'downstream') } },
          per_connection_buffer_limit_bytes: LIMIT,
        },
        clusters: [
          clusterAt('backend', { pipe: { path: join(dir, 'upstream') } }, { per_connection_buffer_limit_bytes: LIMIT }),
        ],
      }),
    });

  test('download', async () => {
    let source: Source | undefined;
    backend.on('connection', (socket: Socket) => {
      socket.on('error', () => {});
      socket.once('data', () => {
        socket.write(`HTTP/1.1 200 OK\r\n${framing(chunked)}\r\n\r\n`);
        source = new Source(socket, chunked);
      });
    });
    await using proxy = await start();
    using client = HttpClient.connect(join(dir, 'downstream'));
    await once(client.socket, 'connect');
    client.socket.pause();
    client.get('/');
    expect(await settled(() => source?.taken ?? 0)).toBeLessThan(BOUND);
    expect(proxy.stat('cluster.backend.upstream_flow_control_paused_reading_total')).toBeGreaterThan(0);
    client.socket.resume();
    const { status, body } = await client.response();
    expect([status, body.length, digest(body)]).toEqual([200, TOTAL, source!.hash.digest('hex')]);
    const counts = ['paused', 'resumed'].map((each) =>
      proxy.stat(`cluster.backend.upstream_flow_control_${each}_reading_total`),
    );
    expect(counts[0]).toBe(counts[1]);
    expect(proxy.stat('cluster.backend.upstream_rq_active')).toBe(0);
  });

  test.each(['', 'retries that keep the body'])('upload %s', async (kind) => {
    let reader: HttpClient['socket'] | undefined;
    let received = '';
    backend.on('connection', (socket: Socket) => {
      reader = socket;
      socket.on('error', () => {});
      socket.pause();
      socket.on('data', (chunk: Buffer) => (received += chunk.toString('latin1')));
      // A listener makes it flow.
      socket.pause();
    });
    const route = { cluster: 'backend', ...(kind !== '' && { retry_policy: { retry_on: '5xx', num_retries: 1 } }) };
    await using proxy = await start([{ match: { prefix: '/' }, route }]);
    using client = HttpClient.connect(join(dir, 'downstream'));
    await once(client.socket, 'connect');
    client.send(`POST / HTTP/1.1\r\nhost: a\r\n${framing(chunked)}\r\n\r\n`);
    const source = new Source(client.socket, chunked);
    expect(await settled(() => source.taken)).toBeLessThan(BOUND);
    expect(received).toBe('');
    reader!.resume();
    const end = chunked ? '0\r\n\r\n' : String(TOTAL / PIECE - 1).at(-1)!;
    await eventually('the upload', () => received.length > TOTAL && received.endsWith(end));
    const text = received.slice(received.indexOf('\r\n\r\n') + 4);
    const body = chunked ? unchunk(text) : text;
    expect([body.length, digest(body)]).toEqual([TOTAL, source.hash.digest('hex')]);
    reader!.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
    expect((await client.response()).status).toBe(200);
    const counts = ['backed_up', 'drained'].map((each) =>
      proxy.stat(`cluster.backend.upstream_flow_control_${each}_total`),
    );
    expect(counts[0]).toBeGreaterThan(0);
    expect(counts[0]).toBe(counts[1]);
    expect(proxy.stat('http.ingress.downstream_rq_2xx')).toBe(1);
  });
});

function unchunk(text: string): string {
  let body = '';
  for (let at = 0; ;) {
    const lineEnd = text.indexOf('\r\n', at);
    const size = Number.parseInt(text.slice(at, lineEnd), 16);
    if (size === 0) return body;
    body += text.slice(lineEnd + 2, lineEnd + 2 + size);
    at = lineEnd + 2 + size + 2;
  }
}

describe('an upload that has nowhere to go yet', () => {
  let dir: string;
  beforeEach(() => void (dir = mkdtempSync(join(tmpdir(), 'backpressure-'))));
  afterEach(() => rmSync(dir, { recursive: true }));

  test.each([
    ['a pool that connects', [], 'blackhole'],
    ['a filter that waits', [typescriptFilter(join(import.meta.dirname, 'filters.ts'), 'wait')], 'blackhole'],
  ])('is stopped: %s', async (_, httpFilters, name) => {
    await using blackhole = await Blackhole.open();
    const config = proxyConfig({
      httpFilters,
      routes: [{ match: { prefix: '/' }, route: { cluster: name } }],
      listener: { address: { pipe: { path: join(dir, 'downstream') } }, per_connection_buffer_limit_bytes: LIMIT },
      clusters: [clusterAt(name, tcp(blackhole.port), { per_connection_buffer_limit_bytes: LIMIT })],
    });
    await using proxy = await createProxy({ config });
    using client = HttpClient.connect(join(dir, 'downstream'));
    await once(client.socket, 'connect');
    client.send(`POST / HTTP/1.1\r\nhost: a\r\nx-wait: request:60000\r\n${framing(false)}\r\n\r\n`);
    const source = new Source(client.socket, false);
    expect(await settled(() => source.taken)).toBeLessThan(BOUND);
    expect(proxy.stat('http.ingress.downstream_rq_active')).toBe(1);
  });
});

test('pipelined requests behind one that is served are read ahead only so far', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'backpressure-'));
  try {
    const backend = createServer((socket) => void socket.on('error', () => {}).resume());
    backend.listen(join(dir, 'upstream'));
    await once(backend, 'listening');
    const config = proxyConfig({
      listener: { address: { pipe: { path: join(dir, 'downstream') } }, per_connection_buffer_limit_bytes: LIMIT },
      clusters: [clusterAt('backend', { pipe: { path: join(dir, 'upstream') } })],
    });
    await using proxy = await createProxy({ config });
    using client = HttpClient.connect(join(dir, 'downstream'));
    await once(client.socket, 'connect');
    const pipelined = Buffer.from('GET / HTTP/1.1\r\nhost: a\r\n\r\n'.repeat(1000));
    let sent = 0;
    const more = (): void => {
      do sent += pipelined.length;
      while (sent < TOTAL && client.socket.write(pipelined));
    };
    client.socket.on('drain', more);
    more();
    expect(await settled(() => sent - client.socket.writableLength)).toBeLessThan(BOUND);
    expect(proxy.stat('http.ingress.downstream_rq_total')).toBe(1);
    backend.close();
  } finally {
    rmSync(dir, { recursive: true });
  }
});
