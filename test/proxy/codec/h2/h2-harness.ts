import { SeededRandom } from '../../../../src/lib/random.ts';
import type { ServerStream, ServerStreamEvents, StreamEvents } from '../../../../src/proxy/codec/codec.ts';
import type { ConnectionInput, ConnectionOutput } from '../../../../src/proxy/codec/connection-io.ts';
import { H2ClientConnection } from '../../../../src/proxy/codec/h2/client.ts';
import { HpackDecoder } from '../../../../src/proxy/codec/h2/hpack/decoder.ts';
import { H2ServerConnection } from '../../../../src/proxy/codec/h2/server.ts';
import type { H2Stream } from '../../../../src/proxy/codec/h2/stream.ts';
import type { Http2Settings } from '../../../../src/proxy/codec/server-codec.ts';
import { Dispatcher } from '../../../../src/proxy/dispatcher.ts';
import { HeaderMap } from '../../../../src/proxy/http/headers.ts';
import { ThreadStats } from '../../../../src/telemetry/stats/arena.ts';
import { HTTP2_CODEC_STATS } from '../../../../src/telemetry/stats/http2-stats.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { parseFrames, PREFACE, settings as settingsFrame, settingsAck, show, T } from '../../../support/h2-frames.ts';
import { defaultHttp2Settings } from '../../../support/http2-settings.ts';
import { fakeRuntime } from '../../../support/route-table.ts';
import { describe, EventLog, Feeder, response, type Serve } from '../h1/h1-harness.ts';

type StatName = (typeof HTTP2_CODEC_STATS.names)[number];

/** A socket that records bytes. `full`: every write is over the high watermark, and stays in its buffer. */
export class ByteOutput implements ConnectionOutput {
  readonly writes: Buffer[] = [];
  readonly closes: string[] = [];
  full = false;
  bufferedBytes = 0;
  onClose: (() => void) | undefined = undefined;
  #read = 0;

  write(data: string | Uint8Array): boolean {
    const bytes = typeof data === 'string' ? Buffer.from(data, 'latin1') : Buffer.from(data);
    this.writes.push(bytes);
    if (this.full) this.bufferedBytes += bytes.length;
    return !this.full;
  }

  pauseRead(): void {}

  resumeRead(): void {}

  close(how: 'flush' | 'flush-no-delay' | 'abort'): void {
    if (this.closes.length > 0) return;
    this.closes.push(how);
    this.onClose?.();
  }

  /** What was written since the last call. */
  take(): Buffer {
    const all = Buffer.concat(this.writes);
    const fresh = all.subarray(this.#read);
    this.#read = all.length;
    return fresh;
  }
}

/** Reads frames as text, header blocks included. */
export class FrameText {
  readonly #decoder = new HpackDecoder();
  #rest = Buffer.alloc(0);
  #preface: boolean;

  constructor(preface: boolean) {
    this.#preface = preface;
  }

  read(bytes: Buffer): string[] {
    let all: Buffer = Buffer.concat([this.#rest, bytes]);
    if (this.#preface && all.length >= PREFACE.length) {
      this.#preface = false;
      all = all.subarray(PREFACE.length);
    }
    const { frames, rest } = parseFrames(all);
    this.#rest = Buffer.from(rest);
    return frames.map((frame) => show(frame, (block) => this.#fields(block)));
  }

  #fields(block: Buffer): string {
    const fields: string[] = [];
    const error = this.#decoder.decode(block, 0, block.length, {
      onField(name, value) {
        fields.push(`${name}: ${value}`);
        return true;
      },
    });
    return error ?? fields.join(', ');
  }
}

abstract class Harness {
  readonly output = new ByteOutput();
  readonly log = new EventLog();
  readonly clock = new FakeClock();
  readonly dispatcher = new Dispatcher(this.clock);
  readonly stats = new ThreadStats().block(HTTP2_CODEC_STATS, 'http2.');
  abstract readonly socket: Feeder;
  readonly #text: FrameText;

  constructor(preface: boolean) {
    this.#text = new FrameText(preface);
  }

  /** Frames that were sent since the last call. */
  frames(): string[] {
    return this.#text.read(this.output.take());
  }

  stat(name: StatName): number {
    return this.stats.get(HTTP2_CODEC_STATS.at[name]) + 0;
  }

  feed(...parts: readonly Buffer[]): this {
    this.socket.feed(Buffer.concat(parts));
    return this;
  }

  /** The socket takes what it has buffered. */
  drain(): void {
    this.output.full = false;
    this.output.bufferedBytes = 0;
    this.socket.drain();
  }
}

export interface H2ServerHarnessOptions {
  readonly settings?: Partial<Http2Settings>;
  readonly runtime?: Readonly<Record<string, number>>;
  /** Leaves preface and SETTINGS to the test. */
  readonly raw?: boolean;
  /** What the client sets. */
  readonly peer?: readonly (readonly [number, number])[];
}

/** A server codec with a client's preface behind it. */
export class H2ServerHarness extends Harness {
  readonly connection: H2ServerConnection;
  readonly socket: Feeder;
  readonly streams: ServerStream[] = [];
  readonly connectionErrors: string[] = [];

  constructor(serve: Serve = {}, { settings = {}, runtime = {}, raw = false, peer = [] }: H2ServerHarnessOptions = {}) {
    super(false);
    const { log, streams } = this;
    this.connection = new H2ServerConnection(
      this.output,
      { ...defaultHttp2Settings, ...settings },
      {
        newStream(stream): ServerStreamEvents {
          log.add(`stream`);
          streams.push(stream);
          return {
            onHeaders(headers, endStream) {
              log.add(`headers ${describe(headers)}`);
              if (endStream) log.add('end');
              serve.onHeaders?.(stream, headers, endStream);
              if (endStream) serve.onEnd?.(stream);
            },
            onData(chunk, endStream) {
              log.data(chunk);
              if (endStream) log.add('end');
              serve.onData?.(stream, chunk, endStream);
              if (endStream) serve.onEnd?.(stream);
            },
            onTrailers(trailers) {
              log.add(`trailers ${describe(trailers)}`);
              serve.onEnd?.(stream);
            },
            onReset: (reason, detail) => log.add(`reset ${reason} ${detail}`.trim()),
            onWritable: () => log.add('writable'),
            onProtocolError: (error) => log.add(`error ${error.status}`),
          };
        },
        onConnectionError: (flood) => this.connectionErrors.push(flood ? 'flood' : 'protocol'),
        onTooManyPrematureResets: () => this.connectionErrors.push('premature resets'),
      },
      {
        dispatcher: this.dispatcher,
        stats: this.stats,
        random: new SeededRandom(1),
        runtime: fakeRuntime(runtime),
      },
    );
    this.socket = new Feeder(this.connection, this.dispatcher);
    if (raw) return;
    this.feed(PREFACE, settingsFrame(peer), settingsAck);
    this.frames();
  }

  get stream(): ServerStream {
    return this.streams.at(-1)!;
  }

  turn(body: () => void): void {
    this.socket.turn(body);
  }
}

/** A client codec whose server has sent its SETTINGS. */
export class H2ClientHarness extends Harness {
  readonly connection: H2ClientConnection;
  readonly socket: Feeder;
  readonly ends: string[] = [];
  readonly owner: string[] = [];

  constructor({ settings = {}, raw = false, peer = [] }: Omit<H2ServerHarnessOptions, 'runtime'> = {}) {
    super(true);
    this.connection = new H2ClientConnection(
      this.output,
      this.dispatcher,
      { ...defaultHttp2Settings, ...settings },
      {
        onStreamEnd: (_stream, reason) => this.ends.push(reason ?? 'complete'),
        onSettings: () => this.owner.push('settings'),
        onGoAway: () => this.owner.push('goaway'),
        onProtocolError: () => this.owner.push('protocol error'),
        onKeepaliveTimeout: () => this.owner.push('keepalive timeout'),
      },
      this.stats,
      new SeededRandom(1),
    );
    this.socket = new Feeder(this.connection, this.dispatcher);
    if (raw) return;
    this.feed(settingsFrame(peer), settingsAck);
    this.owner.length = 0;
    this.frames();
  }

  open(extra: Partial<StreamEvents> = {}): H2Stream {
    const { log } = this;
    return this.connection.newStream({
      onInformational: (headers) => log.add(`informational ${describe(headers)}`),
      onHeaders(headers, endStream) {
        log.add(`headers ${describe(headers)}`);
        if (endStream) log.add('end');
        extra.onHeaders?.(headers, endStream);
      },
      onData(chunk, endStream) {
        log.data(chunk);
        if (endStream) log.add('end');
        extra.onData?.(chunk, endStream);
      },
      onTrailers: (trailers) => log.add(`trailers ${describe(trailers)}`),
      onReset: (reason, detail) => log.add(`reset ${reason} ${detail}`.trim()),
      onWritable: () => log.add('writable'),
    });
  }

  /** Sends `headers` on a new stream. */
  start(headers: HeaderMap = h2Request('GET', '/'), endStream = true): H2Stream {
    let stream: H2Stream | undefined;
    this.socket.turn(() => {
      stream = this.open();
      stream.sendHeaders(headers, endStream);
    });
    return stream!;
  }
}

export function h2Request(
  method: string,
  path: string,
  fields: readonly (readonly [string, string])[] = [],
): HeaderMap {
  const headers = HeaderMap.of(fields);
  headers.method = method;
  headers.path = path;
  headers.authority = 'h';
  headers.scheme = 'http';
  return headers;
}

/** Carries bytes between a client and a server until both are silent. */
export class Wire {
  readonly #ends: readonly { output: ByteOutput; input: ConnectionInput; dispatcher: Dispatcher }[];

  constructor(client: H2ClientHarness, server: H2ServerHarness) {
    this.#ends = [
      { output: client.output, input: server.connection, dispatcher: server.dispatcher },
      { output: server.output, input: client.connection, dispatcher: client.dispatcher },
    ];
  }

  /** `cut`: the most bytes a read takes. */
  run(cut = Infinity): void {
    for (let silent = 0; silent < 2;) {
      silent = 0;
      for (const { output, input, dispatcher } of this.#ends) {
        const bytes = output.take();
        if (bytes.length === 0) silent++;
        for (let at = 0; at < bytes.length; at += cut) {
          const part = Buffer.from(bytes.subarray(at, Math.min(bytes.length, at + cut)));
          dispatcher.turn(() => input.onData(part));
        }
      }
    }
  }
}

export { response, T };
