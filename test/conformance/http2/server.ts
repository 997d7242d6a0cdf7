import { createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { systemClock } from '../../../src/lib/clock.ts';
import { SystemRandom } from '../../../src/lib/random.ts';
import { defaultHttp2Settings } from '../../support/http2-settings.ts';
import type { ServerStream, ServerStreamEvents } from '../../../src/proxy/codec/codec.ts';
import type { ConnectionOutput } from '../../../src/proxy/codec/connection-io.ts';
import { H2ServerConnection } from '../../../src/proxy/codec/h2/server.ts';
import { currentRead, keepRead } from '../../../src/proxy/codec/read-buffer.ts';
import type { Http2Settings } from '../../../src/proxy/codec/server-codec.ts';
import { Dispatcher } from '../../../src/proxy/dispatcher.ts';
import { HeaderMap } from '../../../src/proxy/http/headers.ts';
import { ThreadStats } from '../../../src/telemetry/stats/arena.ts';
import { HTTP2_CODEC_STATS } from '../../../src/telemetry/stats/http2-stats.ts';

/** Runs HTTP/2 with nothing but sockets around the codec: each request is answered with 200 and what was sent to it. */
export class Http2EchoServer {
  readonly stats = new ThreadStats().block(HTTP2_CODEC_STATS, 'http2.');
  readonly dispatcher = new Dispatcher(systemClock, { afterInput: (callback) => setImmediate(callback) });
  readonly settings: Http2Settings;
  readonly #server: Server;
  readonly #random = new SystemRandom();

  constructor(settings: Partial<Http2Settings> = {}) {
    this.settings = { ...defaultHttp2Settings, ...settings };
    this.#server = createServer({ noDelay: true }, (socket) => this.#serve(socket));
  }

  async listen(port = 0): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(socket: Socket): void {
    const { dispatcher } = this;
    const output = new SocketOutput(socket);
    const input = new H2ServerConnection(
      output,
      this.settings,
      { newStream: (stream) => new Echo(stream), onConnectionError: () => {} },
      {
        dispatcher,
        stats: this.stats,
        random: this.#random,
        runtime: {
          getNumber: (_key, value) => value,
          getBoolean: (_key, value) => value,
          getString: () => undefined,
          featureEnabled: () => false,
        },
      },
    );
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      currentRead.kept = false;
      dispatcher.turn(() => input.onData(chunk));
    });
    socket.on('drain', () => dispatcher.turn(() => input.onDrain()));
    socket.on('close', () => dispatcher.turn(() => input.onClose()));
  }
}

export class SocketOutput implements ConnectionOutput {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  write(data: string | Uint8Array): boolean {
    const accepted = typeof data === 'string' ? this.#socket.write(data, 'latin1') : this.#socket.write(data);
    if (this.#socket.writableLength !== 0) keepRead();
    return accepted;
  }

  pauseRead(): void {
    this.#socket.pause();
  }

  resumeRead(): void {
    this.#socket.resume();
  }

  close(how: 'flush' | 'flush-no-delay' | 'abort'): void {
    if (how === 'abort') this.#socket.destroy();
    else this.#socket.end();
  }
}

class Echo implements ServerStreamEvents {
  readonly #stream: ServerStream;
  #paused = false;

  constructor(stream: ServerStream) {
    this.#stream = stream;
  }

  onHeaders(_headers: HeaderMap, endStream: boolean): void {
    const response = HeaderMap.of([['content-type', 'text/plain']]);
    response.status = 200;
    this.#stream.sendHeaders(response, false);
    if (endStream) this.#stream.sendData(Buffer.from('hello, world'), true);
  }

  onData(chunk: Buffer, endStream: boolean): void {
    if (this.#stream.sendData(chunk, endStream) || endStream || this.#paused) return;
    this.#paused = true;
    this.#stream.pause();
  }

  onTrailers(trailers: HeaderMap): void {
    this.#stream.sendTrailers(trailers);
  }

  onWritable(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#stream.resume();
  }

  onReset(): void {}

  onProtocolError(): void {}
}

if (import.meta.filename === process.argv[1]) {
  const port = await new Http2EchoServer().listen(Number(process.argv[2] ?? 0));
  process.stdout.write(`listening on ${port}\n`);
}
