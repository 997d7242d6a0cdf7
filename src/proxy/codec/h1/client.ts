import type { CodecError, Http1Settings, StreamEvents, StreamHandle, StreamResetReason } from '../codec.ts';
import type { ConnectionInput, ConnectionOutput, HalfClosableOutput } from '../connection-io.ts';
import type { Dispatcher } from '../../dispatcher.ts';
import type { HeaderMap } from '../../http/headers.ts';
import { Tunnel, UntilCloseBody } from './body-kind.ts';
import { BodyFailed, BodyReader, type BodyReaderOwner } from './body-reader.ts';
import { hasOption } from './connection-header.ts';
import { Http1Error } from './errors.ts';
import { acceptResponse } from './framing.ts';
import { Failed, HeadParser, NeedMore } from './head-parser.ts';
import { EMPTY, HeldInput } from './held-input.ts';
import { MessageWriter } from './message-writer.ts';
import { HeadSerializer } from './serializer.ts';

/** No stream: any byte is unsolicited. */
const IDLE = 0;
const HEAD = 1;
const BODY = 2;
/** The response was read; the request is still being sent. */
const SENDING = 3;
const DEAF = 4;

/**
 * How an exchange ended. `reusable`: both messages are complete and the next may follow. `close`: complete, but the
 * connection can carry no other. `close-notify`: the same, because the upstream said so with `connection: close`.
 * `reset`: not complete.
 */
export type ExchangeEnd = 'reusable' | 'close' | 'close-notify' | 'reset';

/** A connection may be able to end one direction only. */
type ClientOutput = ConnectionOutput & Partial<HalfClosableOutput>;

/** Who has a client connection: its pool. */
export interface H1ClientOwner {
  /**
   * Once a stream, after its last event, or from within its `reset()`. Unless it is `reusable` the connection closes
   * itself. It may be called while the connection still processes a chunk: start no stream before `onData` returned.
   */
  onExchangeEnd(end: ExchangeEnd): void;
  /** The upstream broke the protocol, during an exchange or by sending something outside of one. */
  onProtocolError(): void;
}

/**
 * The client side of one HTTP/1 connection: one exchange at a time.
 *
 * A response may be complete before its request is; then the stream's user goes on sending, or resets. After a 101 to
 * an upgrade request, and after a 2xx to CONNECT, data is raw bytes both ways. As in Envoy, the end of a CONNECT's
 * payload is a half-close, that of an upgrade's has no form on the wire, and an upstream that ends a tunnel resets it.
 */
export class H1ClientConnection implements ConnectionInput, BodyReaderOwner {
  readonly #output: ClientOutput;
  readonly #settings: Http1Settings;
  readonly #owner: H1ClientOwner;
  readonly #head: HeadParser;
  readonly #body: BodyReader;
  readonly #serializer: HeadSerializer;
  readonly #writer: MessageWriter;
  readonly #held = new HeldInput();
  #state: number = IDLE;
  #stream: H1ClientStream | undefined = undefined;
  #close: '' | 'flush' | 'abort' = '';
  #upstreamCloses = false;
  #ended = false;
  #closed = false;
  /** Complete both ways, but from inside a call of the stream's user: told at the end of the turn. */
  #endPending = false;
  /** The payload of a CONNECT is complete: said to the upstream at the end of the turn. */
  #halfCloses = false;

  constructor(output: ClientOutput, dispatcher: Dispatcher, settings: Http1Settings, owner: H1ClientOwner) {
    this.#output = output;
    this.#settings = settings;
    this.#owner = owner;
    this.#head = new HeadParser('response', settings);
    this.#body = new BodyReader(this, this.#head, settings.enableTrailers);
    this.#serializer = new HeadSerializer(settings);
    this.#writer = new MessageWriter(output, dispatcher, this);
  }

  /** Starts the next exchange. Only when the one before has ended `reusable`. */
  newStream(events: StreamEvents): H1ClientStream {
    const stream = new H1ClientStream(this, events);
    this.#stream = stream;
    if (this.#state !== IDLE) {
      // The connection went while the caller decided; the stream hears of it when that is done.
      this.#writer.schedule();
      return stream;
    }
    this.#state = HEAD;
    this.#upstreamCloses = false;
    this.#head.begin();
    this.#writer.wireBytes = 0;
    return stream;
  }

  // ---- from the socket --------------------------------------------------------------------------------------------

  onData(chunk: Buffer): void {
    if (this.#state === DEAF) return;
    if (this.#held.bytes > 0 || this.#paused) this.#held.add(chunk, 0, chunk.length);
    else this.#read(chunk);
  }

  onEnd(): void {
    this.#ended = true;
    // What is held comes first.
    if (this.#held.bytes === 0) this.#onEnded();
  }

  onDrain(): void {
    const stream = this.#stream;
    this.#writer.blocked = false;
    if (stream === undefined || !stream.waits) return;
    stream.waits = false;
    stream.events.onWritable();
  }

  onClose(): void {
    const responded = this.#state === SENDING;
    this.#state = DEAF;
    this.#closed = true;
    this.#held.clear();
    const stream = this.#stream;
    if (stream === undefined) return;
    this.#release(stream);
    // A response that is complete stands; only the rest of the request has nowhere to go.
    if (!responded) stream.events.onReset('connection termination', '');
    this.#owner.onExchangeEnd('reset');
  }

  flush(): void {
    if (this.#held.bytes > 0 && !this.#paused) this.#readHeld();
    this.#writer.flush();
    if (this.#halfCloses) {
      this.#halfCloses = false;
      this.#output.endWrite?.();
    }
    if (this.#endPending) {
      this.#endPending = false;
      if (this.#stream !== undefined) this.#finish(this.#stream);
    }
    if (this.#close !== '') this.#output.close(this.#close);
    if (this.#closed) this.onClose();
  }

  flushFailed(): void {
    this.#output.close('abort');
  }

  // ---- reading ----------------------------------------------------------------------------------------------------

  get #paused(): boolean {
    return this.#stream !== undefined && this.#stream.pauses > 0;
  }

  stopped(): boolean {
    return this.#stream === undefined || this.#stream.pauses > 0 || this.#state === DEAF;
  }

  #readHeld(): void {
    const chunks = this.#held.take();
    for (let i = 0; i < chunks.length; i++) {
      if (this.#state === DEAF) return;
      if (this.#held.bytes > 0 || this.#paused) this.#held.add(chunks[i]!, 0, chunks[i]!.length);
      else this.#read(chunks[i]!);
    }
    if (this.#ended && this.#held.bytes === 0) this.#onEnded();
  }

  #read(chunk: Buffer): void {
    const to = chunk.length;
    let at = 0;
    while (at < to) {
      const stream = this.#stream;
      if (this.#state === DEAF) return;
      // Bytes that no request asked for must not become the next request's response.
      if (stream === undefined || this.#state === SENDING) return this.#refuse(stream, Http1Error.codecError);
      if (stream.pauses > 0) return this.#held.add(chunk, at, to);
      if (this.#state === HEAD) {
        const end = this.#head.feed(chunk, at, to);
        stream.wireBytesReceived += (end < 0 ? to : end) - at;
        if (end === NeedMore) return;
        if (end === Failed) return this.#refuse(stream, this.#head.error);
        at = end;
        this.#onHead(stream, at === to);
      } else {
        const end = this.#body.read(chunk, at, to, stream.events);
        stream.wireBytesReceived += (end === BodyFailed ? to : end) - at;
        if (end === BodyFailed) {
          if (this.#stream === stream) this.#refuse(stream, this.#body.error);
          return;
        }
        at = end;
        if (this.#state === SENDING && this.#stream === stream) this.#onResponseEnd(stream, at === to);
      }
    }
  }

  #onHead(stream: H1ClientStream, last: boolean): void {
    const head = this.#head;
    const error = stream.headersSent
      ? acceptResponse(head, stream.method, stream.upgrade, this.#settings)
      : Http1Error.codecError;
    if (error !== undefined) return this.#refuse(stream, error);
    const { headers } = head;
    if (headers.status < 200 && headers.status !== 101) {
      head.begin();
      stream.events.onInformational?.(headers);
      return;
    }
    stream.headerBytesReceived = head.fieldBytes;
    this.#upstreamCloses = head.closes;
    if (this.#settings.forwardReasonPhrase) headers.reason = head.reason;
    this.#body.begin();
    const { complete } = this.#body;
    this.#state = complete ? SENDING : BODY;
    if (head.body === Tunnel) stream.tunnel = true;
    stream.events.onHeaders(headers, complete);
    if (complete && this.#stream === stream) this.#onResponseEnd(stream, last);
  }

  onBodyComplete(): void {
    this.#state = SENDING;
  }

  /** `last`: nothing came behind it. */
  #onResponseEnd(stream: H1ClientStream, last: boolean): void {
    if (!stream.requestComplete) return;
    if (!last) {
      this.#upstreamCloses = true;
      this.#owner.onProtocolError();
    }
    this.#finish(stream);
  }

  #onEnded(): void {
    const stream = this.#stream;
    if (this.#state === DEAF) return;
    if (stream === undefined) return this.#die('abort');
    if (this.#state === BODY && this.#body.kind === UntilCloseBody) {
      this.#state = SENDING;
      this.#upstreamCloses = true;
      stream.events.onData(EMPTY, true);
      if (this.#stream === stream && stream.requestComplete) this.#finish(stream);
    } else if ((this.#state === BODY && this.#body.kind !== Tunnel) || (this.#state === HEAD && this.#head.started)) {
      this.#refuse(stream, Http1Error.codecError);
    } else {
      this.#die('abort');
    }
  }

  #refuse(stream: H1ClientStream | undefined, error: CodecError): void {
    this.#owner.onProtocolError();
    const responded = this.#state === SENDING;
    this.#die('abort');
    if (stream === undefined) return;
    this.#release(stream);
    if (!responded) stream.events.onReset('protocol error', error.detail);
    this.#owner.onExchangeEnd('reset');
  }

  // ---- from the stream --------------------------------------------------------------------------------------------

  sendHeaders(stream: H1ClientStream, headers: HeaderMap, endStream: boolean): void {
    const serializer = this.#serializer;
    stream.method = headers.method;
    stream.upgrade = headers.protocol !== '' && headers.method !== 'CONNECT';
    this.#writer.head(serializer.request(headers, !endStream), serializer);
    if (endStream) this.#endRequest(stream);
  }

  sendData(stream: H1ClientStream, chunk: Buffer, endStream: boolean): boolean {
    const writable = this.#writer.data(chunk, endStream);
    if (endStream) this.#endRequest(stream);
    else if (this.#writer.broken) this.#broken(stream);
    else if (!writable) stream.waits = true;
    return writable;
  }

  sendTrailers(stream: H1ClientStream, trailers: HeaderMap): void {
    this.#writer.trailers(trailers, this.#serializer, this.#settings.enableTrailers);
    this.#endRequest(stream);
  }

  reset(stream: H1ClientStream): void {
    this.#die('abort');
    this.#release(stream);
    this.#owner.onExchangeEnd('reset');
  }

  pause(): void {
    this.#output.pauseRead();
  }

  resume(): void {
    this.#output.resumeRead();
    if (this.#held.bytes > 0) this.#writer.schedule();
  }

  get wireBytesSent(): number {
    return this.#writer.wireBytes;
  }

  #endRequest(stream: H1ClientStream): void {
    stream.requestComplete = true;
    if (this.#writer.broken) return this.#broken(stream);
    if (stream.tunnel && stream.method === 'CONNECT') {
      this.#halfCloses = true;
      return this.#writer.schedule();
    }
    if (this.#state !== SENDING) return;
    this.#endPending = true;
    this.#writer.schedule();
  }

  /** What was sent isn't what its head announced: nothing more can go over this connection, its end tells the user. */
  #broken(stream: H1ClientStream): void {
    stream.requestComplete = true;
    this.#die('abort');
  }

  // ---- the end ----------------------------------------------------------------------------------------------------

  #finish(stream: H1ClientStream): void {
    const reusable = !this.#upstreamCloses && !stream.tunnel && !this.#ended;
    this.#state = reusable ? IDLE : DEAF;
    if (!reusable) this.#die(stream.tunnel ? 'flush' : 'abort');
    this.#release(stream);
    this.#owner.onExchangeEnd(reusable ? 'reusable' : hasClose(this.#head) ? 'close-notify' : 'close');
  }

  #release(stream: H1ClientStream): void {
    stream.wireBytesSent = this.#writer.wireBytes;
    stream.over = true;
    this.#stream = undefined;
    for (; stream.pauses > 0; stream.pauses--) this.#output.resumeRead();
  }

  #die(how: 'flush' | 'abort'): void {
    this.#state = DEAF;
    this.#held.clear();
    this.#close = how;
    this.#writer.schedule();
  }
}

function hasClose(head: HeadParser): boolean {
  return hasOption(head.connection, 'close') || hasOption(head.proxyConnection, 'close');
}

/** One exchange, as its user drives it. Once it is over it does nothing. */
export class H1ClientStream implements StreamHandle {
  readonly events: StreamEvents;
  method = '';
  upgrade = false;
  tunnel = false;
  requestComplete = false;
  headersSent = false;
  pauses = 0;
  /** Was told to wait for `onWritable`. */
  waits = false;
  over = false;
  wireBytesReceived = 0;
  /** Bytes of the response's fields as Envoy counts them. */
  headerBytesReceived = 0;
  readonly #connection: H1ClientConnection;
  #sent = 0;

  constructor(connection: H1ClientConnection, events: StreamEvents) {
    this.#connection = connection;
    this.events = events;
  }

  get wireBytesSent(): number {
    return this.over ? this.#sent : this.#connection.wireBytesSent;
  }

  set wireBytesSent(bytes: number) {
    this.#sent = bytes;
  }

  /** Clients send none. */
  sendInformational(_headers: HeaderMap): void {}

  sendHeaders(headers: HeaderMap, endStream: boolean): void {
    if (this.over || this.headersSent) return;
    this.headersSent = true;
    this.#connection.sendHeaders(this, headers, endStream);
  }

  sendData(chunk: Buffer, endStream: boolean): boolean {
    return this.over || this.requestComplete || this.#connection.sendData(this, chunk, endStream);
  }

  sendTrailers(trailers: HeaderMap): void {
    if (!this.over && !this.requestComplete) this.#connection.sendTrailers(this, trailers);
  }

  reset(_reason: StreamResetReason): void {
    if (!this.over) this.#connection.reset(this);
  }

  pause(): void {
    if (this.over) return;
    this.pauses++;
    this.#connection.pause();
  }

  resume(): void {
    if (this.over || this.pauses === 0) return;
    this.pauses--;
    this.#connection.resume();
  }
}
