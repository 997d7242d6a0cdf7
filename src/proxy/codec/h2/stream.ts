import type { Timer } from '../../../lib/timer-wheel.ts';
import type { HeaderMap } from '../../http/headers.ts';
import type { Http2CodecStream } from '../../upstream/pool/http2-codec.ts';
import type { HttpProtocol, ServerStream, ServerStreamEvents, StreamEvents, StreamResetReason } from '../codec.ts';
import type { HeldInput } from '../h1/held-input.ts';
import { SendQueue } from './send-queue.ts';
import type { H2Session } from './session.ts';

const NO_EVENTS = undefined as unknown as StreamEvents;

/**
 * One stream of either side: what the session knows of it, and the handle that its user drives. Once it is over for its
 * user the handle does nothing, though the session may still have data of it to send.
 */
export class H2Stream implements ServerStream, Http2CodecStream {
  readonly protocol: HttpProtocol = 'HTTP/2';
  /** Streams end alone. */
  readonly closesConnection = false;
  /** 0: a client's that has not sent its headers. */
  id = 0;
  events: StreamEvents = NO_EVENTS;
  /** The same; on the server side only. */
  serverEvents: ServerStreamEvents | undefined = undefined;
  /** No further event, and no further call has an effect. */
  over = false;
  /** Not among the session's streams any more. */
  closed = false;
  /** When it began, by the dispatcher's clock. */
  startMs = 0;

  // What comes in.
  recvWindow = 0;
  /** Bytes whose window the peer hasn't got back yet. */
  credit = 0;
  pauses = 0;
  /** Events that wait for `resume`, in this order: headers, data, trailers or end. */
  heldHeaders: HeaderMap | undefined = undefined;
  held: HeldInput | undefined = undefined;
  heldTrailers: HeaderMap | undefined = undefined;
  /** The end of the message waits as well. */
  heldEnd = false;
  /** Among the streams that the session is to go on delivering from. */
  resuming = false;
  /** The final header section has come. */
  headersReceived = false;
  /** END_STREAM has come. */
  remoteEnd = false;
  /** Its user has had the end, or all there will be of it. */
  remoteDone = false;
  /** What content-length promised; -1 = nothing. */
  expectedLength = -1;
  receivedLength = 0;

  // What goes out.
  sendWindow = 0;
  readonly queue = new SendQueue();
  pendingTrailers: HeaderMap | undefined = undefined;
  /** In the line of streams that have something to send and a window for it. */
  inLine = false;
  /** Was told to wait for `onWritable`. */
  waits = false;
  /** The final header section was sent. */
  headersSent = false;
  /** Its user is done sending. */
  localEnd = false;
  /** END_STREAM was sent. */
  localEndSent = false;
  /** Of output that is left when the user is done. */
  flushTimer: Timer | undefined = undefined;

  // Of the message.
  /** The request's method is HEAD. */
  isHead = false;
  /** What comes has no body, whatever its fields say. */
  bodiless = false;
  /** What is sent must have no body; one that is given is dropped. */
  dropsBody = false;
  /** The token of an HTTP/1.1 upgrade that extended CONNECT stands for; '' = none. */
  upgrade = '';

  wireBytesReceived = 0;
  wireBytesSent = 0;
  headerBytesReceived = 0;
  headerBytesSent = 0;
  readonly #session: H2Session;

  constructor(session: H2Session) {
    this.#session = session;
  }

  /** As Envoy: `connection: close` of a response makes the connection drain. */
  closeAfterResponse(_linger: boolean): void {
    if (!this.over) this.#session.shutdownNotice();
  }

  sendInformational(headers: HeaderMap): void {
    if (!this.over && !this.headersSent) this.#session.sendInformational(this, headers);
  }

  sendHeaders(headers: HeaderMap, endStream: boolean): void {
    if (this.over || this.headersSent) return;
    this.headersSent = true;
    this.#session.sendHeaders(this, headers, endStream);
  }

  sendData(chunk: Buffer, endStream: boolean): boolean {
    return this.over || this.localEnd || !this.headersSent || this.#session.sendData(this, chunk, endStream);
  }

  sendTrailers(trailers: HeaderMap): void {
    if (!this.over && !this.localEnd && this.headersSent) this.#session.sendTrailers(this, trailers);
  }

  reset(reason: StreamResetReason): void {
    if (!this.over) this.#session.reset(this, reason);
  }

  pause(): void {
    if (!this.over) this.pauses++;
  }

  resume(): void {
    if (this.over || this.pauses === 0) return;
    if (--this.pauses === 0) this.#session.resume(this);
  }
}
