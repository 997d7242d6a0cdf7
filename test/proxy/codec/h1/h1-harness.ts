import { FakeClock } from '../../../support/fake-clock.ts';
import {
  defaultHttp1Settings,
  type CodecError,
  type Http1Settings,
  type ServerStream,
  type ServerStreamEvents,
  type StreamEvents,
} from '../../../../src/proxy/codec/codec.ts';
import type { ConnectionInput, HalfClosableOutput } from '../../../../src/proxy/codec/connection-io.ts';
import { H1ClientConnection, type ExchangeEnd, type H1ClientStream } from '../../../../src/proxy/codec/h1/client.ts';
import { H1ServerConnection, type H1ServerOptions } from '../../../../src/proxy/codec/h1/server.ts';
import { currentRead } from '../../../../src/proxy/codec/read-buffer.ts';
import { Dispatcher } from '../../../../src/proxy/dispatcher.ts';
import { HeaderMap } from '../../../../src/proxy/http/headers.ts';

/** A socket that records. `full`: every write is over the high watermark. */
export class RecordingOutput implements HalfClosableOutput {
  readonly writes: string[] = [];
  readonly closes: string[] = [];
  halfClosed = false;
  pauses = 0;
  full = false;

  write(data: string | Uint8Array): boolean {
    this.writes.push(typeof data === 'string' ? data : Buffer.from(data).toString('latin1'));
    return !this.full;
  }

  pauseRead(): void {
    this.pauses++;
  }

  resumeRead(): void {
    this.pauses--;
    if (this.pauses < 0) throw new Error('more resumes than pauses');
  }

  endWrite(): void {
    this.halfClosed = true;
  }

  close(how: 'flush' | 'flush-no-delay' | 'abort'): void {
    if (this.closes.length === 0) this.closes.push(how);
  }

  get text(): string {
    return this.writes.join('');
  }
}

/** Collects events in a form that doesn't depend on how data was cut into pieces. */
export class EventLog {
  readonly lines: string[] = [];
  #data = '';

  add(line: string): void {
    this.#flush();
    this.lines.push(line);
  }

  data(chunk: Buffer): void {
    this.#data += chunk.toString('latin1');
  }

  get all(): string[] {
    this.#flush();
    return this.lines;
  }

  #flush(): void {
    if (this.#data !== '') this.lines.push(`data ${this.#data}`);
    this.#data = '';
  }
}

export function describe(headers: HeaderMap): string {
  const { method, path, authority, scheme, protocol, status } = headers;
  const start = status !== 0 ? String(status) : method !== '' ? `${method} ${path}` : '';
  const pseudo = [
    authority && `authority=${authority}`,
    scheme && `scheme=${scheme}`,
    protocol && `protocol=${protocol}`,
  ];
  return [start, ...pseudo, ...[...headers.entries()].map(([name, value]) => `${name}: ${value}`)]
    .filter((part) => part !== '')
    .join(' | ');
}

/** Feeds a connection as a socket does: out of one buffer that is overwritten for each read, unless it is kept. */
export class Feeder {
  readonly #input: ConnectionInput;
  readonly #dispatcher: Dispatcher;
  #buffer = Buffer.alloc(0);

  constructor(input: ConnectionInput, dispatcher: Dispatcher) {
    this.#input = input;
    this.#dispatcher = dispatcher;
  }

  feed(bytes: string | Buffer): void {
    const chunk = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
    if (this.#buffer.length < chunk.length) this.#buffer = Buffer.alloc(Math.max(chunk.length, 256));
    chunk.copy(this.#buffer);
    currentRead.kept = false;
    this.#dispatcher.turn(() => this.#input.onData(this.#buffer.subarray(0, chunk.length)));
    if (currentRead.kept) this.#buffer = Buffer.alloc(0);
    else this.#buffer.fill(0x21);
  }

  end(): void {
    this.#dispatcher.turn(() => this.#input.onEnd());
  }

  drain(): void {
    this.#dispatcher.turn(() => this.#input.onDrain());
  }

  close(): void {
    this.#dispatcher.turn(() => this.#input.onClose());
  }

  turn(body: () => void): void {
    this.#dispatcher.turn(body);
  }
}

export function response(status: number, fields: readonly (readonly [string, string])[] = []): HeaderMap {
  const headers = HeaderMap.of(fields);
  headers.status = status;
  return headers;
}

export function request(method: string, path: string, fields: readonly (readonly [string, string])[] = []): HeaderMap {
  const headers = HeaderMap.of(fields);
  headers.method = method;
  headers.path = path;
  headers.authority = 'h';
  return headers;
}

/** What a test does with the requests that come in. */
export interface Serve {
  onHeaders?(stream: ServerStream, headers: HeaderMap, endStream: boolean): void;
  onData?(stream: ServerStream, chunk: Buffer, endStream: boolean): void;
  onEnd?(stream: ServerStream): void;
}

/** Answers each complete request with an empty 204. */
export const answerAll: Serve = { onEnd: (stream) => stream.sendHeaders(response(204), true) };

export class ServerHarness {
  readonly output = new RecordingOutput();
  readonly log = new EventLog();
  readonly dispatcher = new Dispatcher(new FakeClock());
  readonly connection: H1ServerConnection;
  readonly socket: Feeder;
  readonly streams: ServerStream[] = [];

  constructor(serve: Serve = answerAll, settings: Partial<Http1Settings> = {}, options: H1ServerOptions = {}) {
    const { log, streams } = this;
    this.connection = new H1ServerConnection(
      this.output,
      this.dispatcher,
      { ...defaultHttp1Settings, ...settings },
      {
        newStream(stream): ServerStreamEvents {
          log.add('stream');
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
            onProtocolError(error: CodecError) {
              log.add(`error ${error.status} ${error.detail}`);
              stream.sendHeaders(response(error.status), true);
            },
          };
        },
      },
      options,
    );
    this.socket = new Feeder(this.connection, this.dispatcher);
  }

  /** The stream that came last. */
  get stream(): ServerStream {
    return this.streams.at(-1)!;
  }
}

export class ClientHarness {
  readonly output = new RecordingOutput();
  readonly log = new EventLog();
  readonly dispatcher = new Dispatcher(new FakeClock());
  readonly connection: H1ClientConnection;
  readonly socket: Feeder;
  readonly ends: ExchangeEnd[] = [];
  protocolErrors = 0;

  constructor(settings: Partial<Http1Settings> = {}) {
    this.connection = new H1ClientConnection(
      this.output,
      this.dispatcher,
      { ...defaultHttp1Settings, ...settings },
      {
        onExchangeEnd: (end) => this.ends.push(end),
        onProtocolError: () => this.protocolErrors++,
      },
    );
    this.socket = new Feeder(this.connection, this.dispatcher);
  }

  open(extra: Partial<StreamEvents> = {}): H1ClientStream {
    const { log } = this;
    const end = (endStream: boolean): void => {
      if (endStream) log.add('end');
    };
    return this.connection.newStream({
      onInformational: (headers) => log.add(`informational ${describe(headers)}`),
      onHeaders(headers, endStream) {
        log.add(`headers ${describe(headers)}`);
        end(endStream);
        extra.onHeaders?.(headers, endStream);
      },
      onData(chunk, endStream) {
        log.data(chunk);
        end(endStream);
        extra.onData?.(chunk, endStream);
      },
      onTrailers: (trailers) => log.add(`trailers ${describe(trailers)}`),
      onReset: (reason, detail) => log.add(`reset ${reason} ${detail}`.trim()),
      onWritable: () => log.add('writable'),
    });
  }

  /** Sends a request without a body. */
  get(headers: HeaderMap = request('GET', '/')): H1ClientStream {
    const stream = this.open();
    this.socket.turn(() => stream.sendHeaders(headers, true));
    return stream;
  }
}
