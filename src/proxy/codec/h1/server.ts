import type {
  CodecError,
  Http1Settings,
  HttpProtocol,
  ServerStream,
  ServerStreamEvents,
  ServerStreamFactory,
  StreamResetReason,
} from '../codec.ts';
import type { ConnectionOutput } from '../connection-io.ts';
import type { ServerCodec } from '../server-codec.ts';
import type { Dispatcher } from '../../dispatcher.ts';
import type { HeaderMap } from '../../http/headers.ts';
import { Tunnel, UntilCloseBody } from './body-kind.ts';
import { BodyFailed, BodyReader, type BodyReaderOwner } from './body-reader.ts';
import { CR, LF, TOKEN } from './chars.ts';
import { Http1Error } from './errors.ts';
import { acceptRequest } from './framing.ts';
import { Failed, HeadParser, NeedMore } from './head-parser.ts';
import { HeldInput } from './held-input.ts';
import { MessageWriter } from './message-writer.ts';
import { HeadSerializer } from './serializer.ts';

/** Between requests. */
const IDLE = 0;
const HEAD = 1;
const BODY = 2;
/** The request was read; the response is awaited, input behind it waits. */
const SERVING = 3;
/** Accepted CONNECT or upgrade: raw bytes. */
const TUNNEL = 4;
/** No further input is of interest: the connection closes after what is being sent. */
const DEAF = 5;

export interface H1ServerOptions {
  /** How many bytes behind the request that is being served are read before reading stops. Default 64 KiB. */
  readonly readAheadBytes?: number;
}

/**
 * The server side of one HTTP/1 connection. Requests are served one after the other, in order; a pipelined one starts
 * when the response before it is complete.
 *
 * A response that ends before its request does closes the connection, and is the end of the stream's events.
 * Hop-by-hop fields are dealt with here: the map of a request has none, except `te: trailers` and, where
 * `headers.protocol` tells of an upgrade, `connection` and `upgrade`. After a 101, and after a 2xx to CONNECT, data of
 * the stream is raw bytes in both directions.
 */
export class H1ServerConnection implements ServerCodec, BodyReaderOwner {
  readonly #output: ConnectionOutput;
  readonly #settings: Http1Settings;
  readonly #factory: ServerStreamFactory;
  readonly #readAhead: number;
  readonly #head: HeadParser;
  readonly #body: BodyReader;
  readonly #serializer: HeadSerializer;
  readonly #writer: MessageWriter;
  readonly #held = new HeldInput();
  #state: number = IDLE;
  #stream: H1ServerStream | undefined = undefined;
  #close: '' | 'flush' | 'flush-no-delay' | 'abort' = '';
  /** Reading is paused because of read-ahead. */
  #aheadPaused = false;
  /** Inside a call from the socket's side: input is being processed already. */
  #reading = false;

  constructor(
    output: ConnectionOutput,
    dispatcher: Dispatcher,
    settings: Http1Settings,
    factory: ServerStreamFactory,
    options: H1ServerOptions = {},
  ) {
    this.#output = output;
    this.#settings = settings;
    this.#factory = factory;
    this.#readAhead = options.readAheadBytes ?? 64 * 1024;
    this.#head = new HeadParser('request', settings);
    this.#body = new BodyReader(this, this.#head, settings.enableTrailers);
    this.#serializer = new HeadSerializer(settings);
    this.#writer = new MessageWriter(output, dispatcher, this);
  }

  // ---- from the socket --------------------------------------------------------------------------------------------

  onData(chunk: Buffer): void {
    if (this.#state === DEAF) return;
    if (this.#held.bytes > 0 || this.#stalled()) this.#hold(chunk, 0);
    else this.#read(chunk);
  }

  onEnd(): void {
    // As Envoy: a client that half-closes has gone. Its connection's owner closes it, and `onClose` follows.
  }

  onDrain(): void {
    const stream = this.#stream;
    this.#writer.blocked = false;
    if (stream?.waits) {
      stream.waits = false;
      stream.events.onWritable();
    }
    if (this.#held.bytes > 0) this.#writer.schedule();
  }

  onClose(): void {
    const stream = this.#stream;
    this.#state = DEAF;
    this.#stream = undefined;
    this.#held.clear();
    if (stream === undefined) return;
    stream.wireBytesSent = this.#writer.wireBytes;
    stream.over = true;
    stream.events.onReset('connection termination', '');
  }

  flush(): void {
    if (this.#held.bytes > 0 && !this.#stalled()) this.#readHeld();
    this.#writer.flush();
    if (this.#close !== '') this.#output.close(this.#close);
  }

  flushFailed(): void {
    this.#output.close('abort');
  }

  /** An HTTP/1 client hears of it with the next response. */
  shutdownNotice(): void {}

  goAway(): void {}

  // ---- reading ----------------------------------------------------------------------------------------------------

  /** Whether input has to wait. */
  #stalled(): boolean {
    const stream = this.#stream;
    if (stream === undefined) return this.#writer.blocked;
    return this.#state === SERVING || stream.pauses > 0;
  }

  stopped(): boolean {
    const stream = this.#stream;
    return stream === undefined || stream.pauses > 0 || this.#state === DEAF;
  }

  #readHeld(): void {
    const chunks = this.#held.take();
    if (this.#aheadPaused) {
      this.#aheadPaused = false;
      this.#output.resumeRead();
    }
    for (let i = 0; i < chunks.length; i++) {
      if (this.#state === DEAF) return;
      if (this.#held.bytes > 0 || this.#stalled()) this.#hold(chunks[i]!, 0);
      else this.#read(chunks[i]!);
    }
  }

  #hold(chunk: Buffer, from: number): void {
    this.#held.add(chunk, from, chunk.length);
    if (this.#held.bytes > this.#readAhead && !this.#aheadPaused) {
      this.#aheadPaused = true;
      this.#output.pauseRead();
    }
  }

  #read(chunk: Buffer): void {
    const reading = this.#reading;
    this.#reading = true;
    const to = chunk.length;
    let at = 0;
    while (at < to) {
      switch (this.#state) {
        case IDLE: {
          let code = 0;
          while (at < to && ((code = chunk[at]!) === CR || code === LF)) at++;
          if (at === to || !this.#begin(code)) break;
          continue;
        }
        case HEAD: {
          const stream = this.#stream!;
          const end = this.#head.feed(chunk, at, to);
          if (end === Failed) {
            stream.wireBytesReceived += to - at;
            this.#fail(this.#head.error);
            break;
          }
          stream.wireBytesReceived += (end === NeedMore ? to : end) - at;
          if (end === NeedMore) break;
          at = end;
          this.#onHead(stream);
          if (stream.pauses > 0) break;
          continue;
        }
        case BODY:
        case TUNNEL: {
          const stream = this.#stream!;
          const end = this.#body.read(chunk, at, to, stream.events);
          stream.wireBytesReceived += (end === BodyFailed ? to : end) - at;
          if (end === BodyFailed) {
            // The stream may have ended in an event just before.
            if (this.#stream === stream) this.#fail(this.#body.error);
            break;
          }
          at = end;
          if (stream.pauses > 0) break;
          continue;
        }
        default:
          break;
      }
      break;
    }
    this.#reading = reading;
    if (at < to && this.#state !== DEAF && this.#state !== HEAD) this.#hold(chunk, at);
  }

  /** The first byte of a request. False: nothing can be read now. */
  #begin(code: number): boolean {
    // A client that doesn't take its responses gets no more of them.
    if (this.#writer.blocked) return false;
    const stream = new H1ServerStream(this);
    this.#stream = stream;
    this.#state = HEAD;
    this.#head.begin();
    this.#writer.wireBytes = 0;
    stream.events = this.#factory.newStream(stream);
    // Garbage (a TLS handshake, say) is refused at once instead of being searched for an end of line.
    if (TOKEN[code] !== 1 && this.#stream === stream) {
      stream.wireBytesReceived++;
      this.#fail(Http1Error.codecError);
    }
    return this.#stream === stream;
  }

  #onHead(stream: H1ServerStream): void {
    const head = this.#head;
    stream.headerBytesReceived = head.fieldBytes;
    const error = acceptRequest(head, this.#settings);
    if (error !== undefined) return this.#fail(error);
    const { headers } = head;
    stream.method = headers.method;
    if (head.version === 10) stream.protocol = 'HTTP/1.0';
    stream.clientCloses = head.closes;
    this.#body.begin();
    const { complete } = this.#body;
    // What comes behind CONNECT or an upgrade has no meaning before it is answered.
    this.#state = complete || head.body === Tunnel ? SERVING : BODY;
    stream.requestComplete = complete;
    stream.events.onHeaders(headers, complete);
  }

  onBodyComplete(): void {
    this.#stream!.requestComplete = true;
    this.#state = SERVING;
  }

  #fail(error: CodecError): void {
    const stream = this.#stream!;
    this.#state = DEAF;
    this.#held.clear();
    stream.failed = true;
    stream.events.onProtocolError(error);
  }

  // ---- from the stream --------------------------------------------------------------------------------------------

  sendInformational(stream: H1ServerStream, headers: HeaderMap): void {
    // An HTTP/1.0 client would take it for the response (RFC 9110 section 15.2).
    if (stream.protocol === 'HTTP/1.0') return;
    this.#writer.informational(this.#serializer.response(headers, false, '', false, false, false));
  }

  sendHeaders(stream: H1ServerStream, headers: HeaderMap, endStream: boolean): void {
    const serializer = this.#serializer;
    const text = serializer.response(
      headers,
      !endStream,
      stream.method,
      stream.protocol === 'HTTP/1.0',
      !stream.clientCloses,
      stream.closesConnection,
    );
    if (serializer.asksToClose) stream.mustClose = true;
    this.#writer.head(text, serializer);
    if (serializer.body === UntilCloseBody) stream.closeDelimited = true;
    if (serializer.body === Tunnel) {
      stream.mustClose = true;
      // A 101 that nobody asked for can't be helped any more; nothing is read as if it had been.
      if (this.#body.kind === Tunnel) this.#state = TUNNEL;
      if (this.#held.bytes > 0) this.#writer.schedule();
    }
    if (endStream) this.#endResponse(stream);
  }

  sendData(stream: H1ServerStream, chunk: Buffer, endStream: boolean): boolean {
    const writable = this.#writer.data(chunk, endStream);
    if (endStream || this.#writer.broken) this.#endResponse(stream);
    else if (!writable) stream.waits = true;
    return writable;
  }

  sendTrailers(stream: H1ServerStream, trailers: HeaderMap): void {
    this.#writer.trailers(trailers, this.#serializer, this.#settings.enableTrailers);
    this.#endResponse(stream);
  }

  reset(stream: H1ServerStream): void {
    this.#release(stream);
    // Without a length or chunks the end of the connection would look like the end of the response.
    this.#die(stream.closeDelimited ? 'abort' : 'flush');
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

  #endResponse(stream: H1ServerStream): void {
    if (this.#writer.broken) {
      this.#release(stream);
      return this.#die('abort');
    }
    this.#finish(stream);
  }

  /** The response is complete; perhaps the request is not, then the connection can't be used again. */
  #finish(stream: H1ServerStream): void {
    this.#release(stream);
    if (!stream.requestComplete || stream.linger) return this.#die('flush');
    if (stream.mustClose) return this.#die('flush-no-delay');
    this.#state = IDLE;
    // If input is being processed that goes on with what there is; otherwise this turn's end does.
    if (this.#held.bytes > 0 && !this.#reading) this.#writer.schedule();
  }

  #release(stream: H1ServerStream): void {
    stream.wireBytesSent = this.#writer.wireBytes;
    stream.over = true;
    this.#stream = undefined;
    for (; stream.pauses > 0; stream.pauses--) this.#output.resumeRead();
  }

  #die(how: 'flush' | 'flush-no-delay' | 'abort'): void {
    this.#state = DEAF;
    this.#held.clear();
    if (this.#aheadPaused) {
      this.#aheadPaused = false;
      this.#output.resumeRead();
    }
    this.#close = how;
    this.#writer.schedule();
  }
}

const NO_EVENTS = undefined as unknown as ServerStreamEvents;

/** One request and its response. Once both are over it does nothing. */
class H1ServerStream implements ServerStream {
  events: ServerStreamEvents = NO_EVENTS;
  protocol: HttpProtocol = 'HTTP/1.1';
  method = '';
  wireBytesReceived = 0;
  /** Bytes of the request's fields as Envoy counts them for %DOWNSTREAM_HEADER_BYTES_RECEIVED%. */
  headerBytesReceived = 0;
  pauses = 0;
  clientCloses = false;
  /** Malformed: nothing behind it can be read. */
  failed = false;
  mustClose = false;
  linger = false;
  requestComplete = false;
  /** Was told to wait for `onWritable`. */
  waits = false;
  closeDelimited = false;
  over = false;
  readonly #connection: H1ServerConnection;
  #headersSent = false;
  #sent = 0;

  constructor(connection: H1ServerConnection) {
    this.#connection = connection;
  }

  /** Also true while the request isn't complete: a response that goes out then ends the connection. */
  get closesConnection(): boolean {
    return this.clientCloses || this.mustClose || this.failed || !this.requestComplete;
  }

  get wireBytesSent(): number {
    return this.over ? this.#sent : this.#connection.wireBytesSent;
  }

  set wireBytesSent(bytes: number) {
    this.#sent = bytes;
  }

  closeAfterResponse(linger: boolean): void {
    this.mustClose = true;
    this.linger = linger;
  }

  sendInformational(headers: HeaderMap): void {
    if (!this.over && !this.#headersSent) this.#connection.sendInformational(this, headers);
  }

  sendHeaders(headers: HeaderMap, endStream: boolean): void {
    if (this.over || this.#headersSent) return;
    this.#headersSent = true;
    this.#connection.sendHeaders(this, headers, endStream);
  }

  sendData(chunk: Buffer, endStream: boolean): boolean {
    return this.over || this.#connection.sendData(this, chunk, endStream);
  }

  sendTrailers(trailers: HeaderMap): void {
    if (!this.over) this.#connection.sendTrailers(this, trailers);
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
