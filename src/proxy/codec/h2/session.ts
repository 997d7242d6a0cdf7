import type { StatBlock } from '../../../telemetry/stats/stats.ts';
import { HTTP2_CODEC_STATS } from '../../../telemetry/stats/http2-stats.ts';
import type { Random } from '../../../lib/random.ts';
import type { Dispatcher } from '../../dispatcher.ts';
import type { HeaderMap } from '../../http/headers.ts';
import type { StreamResetReason } from '../codec.ts';
import type { ConnectionInput, ConnectionOutput } from '../connection-io.ts';
import { EMPTY } from '../h1/held-input.ts';
import type { Http2Settings } from '../server-codec.ts';
import { ClosedStreams } from './closed-streams.ts';
import { errorCodeOf, Http2Detail } from './errors.ts';
import { writeFields } from './field-writer.ts';
import { DEFAULT_WINDOW_SIZE, ErrorCode, MAX_STREAM_ID, PREFACE } from './frame.ts';
import { FrameWriter } from './frame-writer.ts';
import { HpackEncoder } from './hpack/encoder.ts';
import { InboundFrames } from './inbound-frames.ts';
import { InboundLimits } from './inbound-limits.ts';
import { Keepalive, type KeepaliveOwner } from './keepalive.ts';
import { SendLine } from './send-line.ts';
import type { SessionSide } from './session-side.ts';
import { encodeSettings, PeerSettings } from './settings.ts';
import { StreamInput } from './stream-input.ts';
import type { H2Stream } from './stream.ts';
import { StreamTable } from './stream-table.ts';

const AT = HTTP2_CODEC_STATS.at;

export interface SessionOptions {
  readonly output: ConnectionOutput;
  readonly dispatcher: Dispatcher;
  readonly settings: Http2Settings;
  readonly stats: StatBlock;
  readonly random: Random;
}

/**
 * What the two sides of an HTTP/2 connection have in common (RFC 9113): frames in and out, settings, flow control, the
 * states of streams, and the defences against peers that abuse any of them.
 *
 * Receiving: a stream's data goes to its user as it comes, and its window back to the peer in batches; what a paused
 * stream receives waits here, and its window with it. Sending: data leaves at once where both windows and the socket
 * allow it; what can't waits in its stream's queue, and streams take turns frame by frame.
 */
export class H2Session implements ConnectionInput, KeepaliveOwner {
  readonly dispatcher: Dispatcher;
  readonly settings: Http2Settings;
  readonly stats: StatBlock;
  readonly peer = new PeerSettings();
  readonly limits: InboundLimits;
  readonly writer: FrameWriter;
  readonly encoder: HpackEncoder;
  readonly input: StreamInput;
  readonly line: SendLine;
  readonly keepalive: Keepalive | undefined;
  readonly streams = new StreamTable<H2Stream>();
  readonly closedStreams = new ClosedStreams();
  /** No further byte of the peer is of interest; the connection is about to close. */
  dead = false;
  /** GOAWAY was sent that names the last stream we serve. */
  goneAway = false;
  /** The highest identifier of the peer's streams that we have seen. */
  lastPeerStream = 0;
  /** The highest identifier that we gave to a stream of ours. */
  lastOwnStream = 0;
  readonly #side: SessionSide;
  readonly #output: ConnectionOutput;
  readonly #frames: InboundFrames;
  #noticeSent = false;
  #close: '' | 'flush' | 'flush-no-delay' | 'abort' = '';
  /** Streams that ended in an event, or in a call of their users. */
  #ended: H2Stream[] = [];

  constructor(side: SessionSide, options: SessionOptions) {
    const { settings, stats, dispatcher } = options;
    this.#side = side;
    this.#output = options.output;
    this.dispatcher = dispatcher;
    this.settings = settings;
    this.stats = stats;
    this.limits = new InboundLimits(settings, stats);
    this.writer = new FrameWriter(options.output, dispatcher, this, settings, stats);
    this.encoder = new HpackEncoder(settings.hpackTableSize);
    this.#frames = new InboundFrames(this, side);
    this.input = new StreamInput(this);
    this.line = new SendLine(this);
    this.keepalive =
      settings.keepalive === undefined
        ? undefined
        : new Keepalive(settings.keepalive, dispatcher, options.random, this);
    stats.inc(side.isServer ? AT.nghttp2_downstream_connections : AT.nghttp2_upstream_connections);
    this.#begin();
  }

  #begin(): void {
    const { writer, settings } = this;
    if (!this.#side.isServer) writer.raw(PREFACE);
    writer.settings(encodeSettings(settings, !this.#side.isServer));
    const more = settings.initialConnectionWindowSize - DEFAULT_WINDOW_SIZE;
    if (more > 0) writer.windowUpdate(0, more);
  }

  // ---- from the socket --------------------------------------------------------------------------------------------

  onData(chunk: Buffer): void {
    if (this.dead) return;
    this.keepalive?.onData();
    this.#frames.read(chunk);
    this.line.pump();
    this.#endEnded();
    this.checkOutbound();
  }

  /** As Envoy: who half-closes has gone. The connection's owner closes it, and `onClose` follows. */
  onEnd(): void {}

  onDrain(): void {
    this.writer.drained();
    if (this.dead) return;
    this.line.pump();
    this.line.wake();
    this.#endEnded();
  }

  onClose(): void {
    this.dead = true;
    this.#frames.stop();
    this.keepalive?.close();
    this.#resetAll('connection termination', '', undefined, '');
    this.#endEnded();
    this.writer.close();
  }

  flush(): void {
    this.writer.beginFlush();
    if (!this.dead) this.input.deliver();
    this.#side.onFlush();
    this.#endEnded();
    this.checkOutbound();
    this.writer.write();
    if (this.#close !== '') this.#output.close(this.#close);
  }

  flushFailed(): void {
    this.#output.close('abort');
  }

  /** Streams have output that waits for windows or for the socket. */
  get hasPendingOutput(): boolean {
    return this.writer.gathered > 0 || this.streams.size > 0;
  }

  /** Delivers a header section that is good; for the sides. */
  deliverHeaders(stream: H2Stream, headers: HeaderMap, endStream: boolean, later: boolean): void {
    stream.headersReceived = true;
    if (endStream) stream.remoteEnd = true;
    this.input.headers(stream, headers, endStream, later);
  }

  /** Lets a stream go on whose headers were put off. */
  deliverLater(stream: H2Stream): void {
    this.input.resume(stream);
  }

  /** False: the peer doesn't read what it has asked for. There is no use in sending it anything more. */
  checkOutbound(): boolean {
    if (this.dead) return false;
    const { flooded } = this.writer;
    if (flooded === undefined) return true;
    const frames = flooded === 'frames';
    this.stats.inc(frames ? AT.outbound_flood : AT.outbound_control_flood);
    this.#die('abort');
    this.#side.onConnectionError(true);
    this.#resetAll('protocol error', frames ? Http2Detail.outboundFlood : Http2Detail.controlFlood, undefined, '');
    this.#endEnded();
    return false;
  }

  // ---- from the streams -------------------------------------------------------------------------------------------

  /** Adds a stream that has its identifier. */
  add(stream: H2Stream): void {
    stream.startMs = this.dispatcher.now;
    stream.recvWindow = this.settings.initialStreamWindowSize;
    stream.sendWindow = this.peer.initialWindowSize;
    this.streams.add(stream);
    this.stats.inc(AT.streams_active);
  }

  sendInformational(stream: H2Stream, headers: HeaderMap): void {
    if (this.#side.isServer) this.#writeHeaders(stream, headers, false);
  }

  sendHeaders(stream: H2Stream, headers: HeaderMap, endStream: boolean): void {
    this.#writeHeaders(stream, headers, endStream);
    if (!endStream) return;
    stream.localEnd = stream.localEndSent = true;
    this.#afterLocalEnd(stream);
  }

  #writeHeaders(stream: H2Stream, headers: HeaderMap, endStream: boolean): void {
    const { writer } = this;
    this.encoder.begin(writer.beginHeaders());
    this.#side.writeHeaders(this.encoder, stream, headers);
    this.#countHeaders(stream, writer.endHeaders(stream.id, endStream));
  }

  #countHeaders(stream: H2Stream, bytes: number): void {
    stream.wireBytesSent += bytes;
    stream.headerBytesSent += bytes;
  }

  sendData(stream: H2Stream, chunk: Buffer, endStream: boolean): boolean {
    const writable = this.line.send(stream, stream.dropsBody ? EMPTY : chunk, endStream);
    if (!endStream) return writable;
    stream.localEnd = true;
    this.#afterLocalEnd(stream);
    return writable;
  }

  sendTrailers(stream: H2Stream, trailers: HeaderMap): void {
    stream.localEnd = true;
    // Envoy, too, sends no empty header section.
    if (trailers.names.length === 0) this.line.send(stream, EMPTY, true);
    else if (stream.queue.bytes > 0) stream.pendingTrailers = trailers;
    else this.writeTrailers(stream, trailers);
    this.#afterLocalEnd(stream);
  }

  writeTrailers(stream: H2Stream, trailers: HeaderMap): void {
    const { writer } = this;
    this.encoder.begin(writer.beginHeaders());
    writeFields(this.encoder, trailers, false);
    stream.localEndSent = true;
    this.#countHeaders(stream, writer.endHeaders(stream.id, true));
  }

  reset(stream: H2Stream, reason: StreamResetReason): void {
    if (stream.id !== 0 && !this.dead) {
      this.writer.rstStream(stream.id, errorCodeOf(reason));
      this.closedStreams.resetByUs(stream.id);
    }
    stream.over = true;
    this.#remove(stream);
    this.#side.onStreamEnd(stream, reason);
  }

  resume(stream: H2Stream): void {
    this.input.resume(stream);
  }

  shutdownNotice(): void {
    if (this.#noticeSent || this.goneAway || this.dead) return;
    this.#noticeSent = true;
    this.writer.goAway(MAX_STREAM_ID, ErrorCode.NO_ERROR);
  }

  goAway(): void {
    if (this.goneAway || this.dead) return;
    this.goneAway = true;
    this.writer.goAway(this.lastPeerStream, ErrorCode.NO_ERROR);
    this.stats.inc(AT.goaway_sent);
  }

  // ---- the ends of streams ----------------------------------------------------------------------------------------

  /** END_STREAM of `stream` has been sent, or waits behind its data. */
  #afterLocalEnd(stream: H2Stream): void {
    if (this.#side.isServer) {
      // The answer is given: what is left of the request is of no interest.
      stream.over = true;
      this.input.discard(stream);
      this.line.watch(stream);
    }
    this.closeIfDone(stream);
  }

  /** Its last data has left. */
  onOutputDone(stream: H2Stream): void {
    stream.localEndSent = true;
    this.closeIfDone(stream);
  }

  /** The user has had all of the message. */
  onInputDone(stream: H2Stream): void {
    stream.remoteDone = true;
    this.closeIfDone(stream);
  }

  closeIfDone(stream: H2Stream): void {
    if (stream.closed || !stream.localEndSent) return;
    if (this.#side.isServer) {
      if (!stream.remoteEnd) {
        this.writer.rstStream(stream.id, ErrorCode.NO_ERROR);
        this.closedStreams.resetByUs(stream.id);
      }
    } else {
      if (!stream.remoteDone) return;
      stream.over = true;
    }
    this.#remove(stream);
    this.#ended.push(stream);
    this.writer.schedule();
  }

  /** Tells of streams whose last event or call is over. */
  #endEnded(): void {
    while (this.#ended.length > 0) {
      const ended = this.#ended;
      this.#ended = [];
      for (const stream of ended) this.#side.onStreamEnd(stream, undefined);
    }
  }

  /** The peer did something to `stream` that it mustn't. The stream ends, the connection goes on. */
  streamError(stream: H2Stream, code: number, reason: StreamResetReason, detail: string): void {
    this.writer.rstStream(stream.id, code);
    this.closedStreams.resetByUs(stream.id);
    this.endStream(stream, reason, detail);
  }

  /** The peer won't serve it. */
  refuse(stream: H2Stream): void {
    this.endStream(stream, 'remote refused stream reset', Http2Detail.remoteRefused);
  }

  endStream(stream: H2Stream, reason: StreamResetReason, detail: string): void {
    this.#remove(stream);
    const told = stream.over || (!this.#side.isServer && stream.remoteDone);
    stream.over = true;
    if (!told) stream.events.onReset(reason, detail);
    this.#side.onStreamEnd(stream, reason);
  }

  #remove(stream: H2Stream): void {
    if (stream.closed) return;
    stream.closed = true;
    this.forgetOutput(stream);
    this.input.discard(stream);
    if (stream.flushTimer !== undefined) this.dispatcher.disarm(stream.flushTimer);
    if (stream.id === 0 || !this.streams.delete(stream.id)) return;
    this.stats.dec(AT.streams_active);
  }

  forgetOutput(stream: H2Stream): void {
    const { bytes } = stream.queue;
    stream.pendingTrailers = undefined;
    if (bytes === 0) return;
    this.stats.add(AT.pending_send_bytes, -bytes);
    stream.queue.clear();
  }

  #resetAll(reason: StreamResetReason, detail: string, first: H2Stream | undefined, firstDetail: string): void {
    if (first !== undefined && !first.closed) this.endStream(first, reason, firstDetail);
    for (const stream of this.streams.list()) if (!stream.closed) this.endStream(stream, reason, detail);
  }

  // ---- the end of the connection ----------------------------------------------------------------------------------

  /**
   * A connection error (section 5.4.1): GOAWAY, every stream is reset, and the connection closes. `stream`: whose fault
   * it is, with a detail of its own. Returns false.
   */
  fail(
    code: number,
    flood = false,
    stream: H2Stream | undefined = undefined,
    detail = '',
    others: string = Http2Detail.connection,
  ): false {
    if (this.dead) return false;
    this.writer.goAway(this.lastPeerStream, code);
    this.#die(this.#side.isServer ? 'flush' : 'flush-no-delay');
    this.#side.onConnectionError(flood);
    this.#resetAll('protocol error', others, stream, detail);
    return false;
  }

  /** Ends the connection when all that was written has left. */
  closeGracefully(): void {
    this.#die('flush-no-delay');
  }

  #die(how: 'flush' | 'flush-no-delay' | 'abort'): void {
    this.dead = true;
    this.#frames.stop();
    this.keepalive?.close();
    this.#close = how;
    this.writer.schedule();
  }

  abort(): void {
    this.#die('abort');
  }

  // ---- keepalive --------------------------------------------------------------------------------------------------

  /** The payload is the time, which helps who reads a capture, as Envoy's does. */
  sendPing(): void {
    const payload = Buffer.alloc(8);
    payload.writeBigUInt64BE(BigInt(Math.floor(this.dispatcher.epochNow)));
    this.writer.ping(payload, 0, false);
  }

  onKeepaliveTimeout(): void {
    this.stats.inc(AT.keepalive_timeout);
    this.#side.onKeepaliveTimeout();
    this.#die('abort');
  }

  /** `stream`'s output made no progress for too long. */
  onFlushTimeout(stream: H2Stream): void {
    this.stats.inc(AT.tx_flush_timeout);
    this.writer.rstStream(stream.id, ErrorCode.INTERNAL_ERROR);
    this.closedStreams.resetByUs(stream.id);
    this.endStream(stream, 'local reset', '');
  }
}
