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
import { errorCodeOf, Http2Detail, reasonOf } from './errors.ts';
import { FieldSection, type SectionProblem, type UnderscoreAction } from './field-section.ts';
import { writeFields } from './field-writer.ts';
import {
  DEFAULT_MAX_FRAME_SIZE,
  DEFAULT_WINDOW_SIZE,
  ErrorCode,
  Flag,
  FRAME_HEADER_SIZE,
  FrameType,
  MAX_STREAM_ID,
  MAX_WINDOW_SIZE,
  PREFACE,
} from './frame.ts';
import { FrameReader, type FrameSink } from './frame-reader.ts';
import { FrameWriter } from './frame-writer.ts';
import { HeaderBlock } from './header-block.ts';
import { HpackDecoder } from './hpack/decoder.ts';
import { HpackEncoder } from './hpack/encoder.ts';
import { InboundLimits, type InboundFlood } from './inbound-limits.ts';
import { Keepalive, type KeepaliveOwner } from './keepalive.ts';
import { SendLine } from './send-line.ts';
import { encodeSettings, PeerSettings } from './settings.ts';
import { StreamInput } from './stream-input.ts';
import { H2Stream } from './stream.ts';

const AT = HTTP2_CODEC_STATS.at;

/** What is different between a server and a client. */
export interface SessionSide {
  readonly isServer: boolean;
  /** HEADERS with an identifier of the peer's that is new. Undefined: a connection error. Server only. */
  accept(id: number): H2Stream | 'ignored' | 'refused' | undefined;
  /** The section of `stream` is complete, and no trailers. Writes the fields' verdict or delivers. */
  onSection(stream: H2Stream, section: FieldSection, endStream: boolean): SectionProblem | undefined;
  /** HEADERS of `stream` go out. */
  writeHeaders(encoder: HpackEncoder, stream: H2Stream, headers: HeaderMap): void;
  /** A stream is over; once each. `reason` as in Http2CodecOwner. Not from inside a call of its user, unless that was `reset`. */
  onStreamEnd(stream: H2Stream, reason: StreamResetReason | undefined): void;
  onSettings(): void;
  /** `last`: the last stream that the peer will serve. */
  onGoAway(last: number): void;
  onConnectionError(flood: boolean): void;
  onKeepaliveTimeout(): void;
  /** What `flush` does first: work that was put off. */
  onFlush(): void;
}

export interface SessionOptions {
  readonly output: ConnectionOutput;
  readonly dispatcher: Dispatcher;
  readonly settings: Http2Settings;
  readonly stats: StatBlock;
  readonly random: Random;
  readonly underscores: UnderscoreAction;
  /** How long output of a stream that is over may make no progress; 0 = for ever. */
  readonly flushTimeoutMs: number;
}

/**
 * What the two sides of an HTTP/2 connection have in common (RFC 9113): frames in and out, settings, flow control, the
 * states of streams, and the defences against peers that abuse any of them.
 *
 * Receiving: a stream's data goes to its user as it comes, and its window back to the peer in batches; what a paused
 * stream receives waits here, and its window with it. Sending: data leaves at once where both windows and the socket
 * allow it; what can't waits in its stream's queue, and streams take turns frame by frame.
 */
export class H2Session implements ConnectionInput, FrameSink, KeepaliveOwner {
  readonly dispatcher: Dispatcher;
  readonly settings: Http2Settings;
  readonly stats: StatBlock;
  readonly peer = new PeerSettings();
  readonly flushTimeoutMs: number;
  readonly limits: InboundLimits;
  readonly writer: FrameWriter;
  readonly keepalive: Keepalive | undefined;
  readonly streams = new Map<number, H2Stream>();
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
  readonly #reader: FrameReader;
  readonly #decoder = new HpackDecoder();
  readonly #encoder: HpackEncoder;
  readonly #section: FieldSection;
  readonly #block: HeaderBlock;
  readonly #input: StreamInput;
  readonly #line: SendLine;
  #settingsCame = false;
  #noticeSent = false;
  #close: '' | 'flush' | 'flush-no-delay' | 'abort' = '';
  /** The stream of the frame before; most frames are of the same. */
  #recent: H2Stream | undefined = undefined;
  // Of the DATA frame being read.
  #dataStream: H2Stream | undefined = undefined;
  #dataLength = 0;
  #dataSeen = 0;
  /** Streams that ended inside a call of their users. */
  #ended: H2Stream[] = [];

  constructor(side: SessionSide, options: SessionOptions) {
    const { settings, stats, dispatcher } = options;
    this.#side = side;
    this.#output = options.output;
    this.dispatcher = dispatcher;
    this.settings = settings;
    this.stats = stats;
    this.flushTimeoutMs = options.flushTimeoutMs;
    this.limits = new InboundLimits(settings, stats);
    this.writer = new FrameWriter(options.output, dispatcher, this, settings, stats);
    this.#reader = new FrameReader(this, side.isServer);
    this.#encoder = new HpackEncoder(settings.hpackTableSize);
    this.#section = new FieldSection(settings, side.isServer && settings.allowConnect, options.underscores, () =>
      stats.inc(AT.dropped_headers_with_underscores),
    );
    this.#block = new HeaderBlock(settings.maxHeadersBytes);
    this.#input = new StreamInput(this);
    this.#line = new SendLine(this);
    this.keepalive =
      settings.keepalive === undefined ? undefined : new Keepalive(settings.keepalive, dispatcher, options.random, this);
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
    this.#reader.read(chunk);
    this.#line.pump();
    this.#checkOutbound();
  }

  /** As Envoy: who half-closes has gone. The connection's owner closes it, and `onClose` follows. */
  onEnd(): void {}

  onDrain(): void {
    this.writer.blocked = false;
    if (this.dead) return;
    this.#line.pump();
    this.#line.wake();
  }

  onClose(): void {
    this.dead = true;
    this.#reader.stop();
    this.keepalive?.close();
    const { isServer } = this.#side;
    this.stats.dec(isServer ? AT.nghttp2_downstream_connections : AT.nghttp2_upstream_connections);
    this.#resetAll('connection termination', '', undefined, '');
    this.#endEnded();
    this.writer.close();
  }

  flush(): void {
    this.writer.beginFlush();
    if (!this.dead) {
      this.#input.deliver();
      this.#side.onFlush();
    }
    this.#endEnded();
    this.#checkOutbound();
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

  // ---- frames -----------------------------------------------------------------------------------------------------

  onBadPreface(): boolean {
    return this.fail(ErrorCode.PROTOCOL_ERROR);
  }

  onBadPadding(): boolean {
    return this.fail(ErrorCode.PROTOCOL_ERROR);
  }

  onFrameHeader(type: number, flags: number, id: number, length: number): boolean {
    if (length > DEFAULT_MAX_FRAME_SIZE) return this.fail(ErrorCode.FRAME_SIZE_ERROR);
    if (!this.#settingsCame && (type !== FrameType.SETTINGS || (flags & Flag.ACK) !== 0))
      return this.fail(ErrorCode.PROTOCOL_ERROR);
    // Nothing comes between the parts of a header block (section 6.10).
    if (this.#block.open !== (type === FrameType.CONTINUATION ? id : 0)) return this.fail(ErrorCode.PROTOCOL_ERROR);
    if (this.keepalive !== undefined && !(type === FrameType.PING && (flags & Flag.ACK) !== 0)) this.keepalive.onFrame();
    if (type === FrameType.DATA) return this.#onDataHeader(id, length);
    if (type === FrameType.CONTINUATION && this.#block.open === 0) return this.fail(ErrorCode.PROTOCOL_ERROR);
    const flood = this.limits.frame(type);
    return flood === undefined || this.#onFlood(flood, id);
  }

  onFrame(type: number, flags: number, id: number, bytes: Buffer, from: number, to: number): boolean {
    switch (type) {
      case FrameType.HEADERS:
        return this.#onHeaders(flags, id, bytes, from, to);
      case FrameType.PRIORITY:
        if (id === 0) return this.fail(ErrorCode.PROTOCOL_ERROR);
        if (to - from !== 5) return this.fail(ErrorCode.FRAME_SIZE_ERROR);
        return dependency(bytes, from) !== id || this.fail(ErrorCode.PROTOCOL_ERROR);
      case FrameType.RST_STREAM:
        return this.#onRstStream(id, bytes, from, to);
      case FrameType.SETTINGS:
        return this.#onSettings(flags, id, bytes, from, to);
      case FrameType.PUSH_PROMISE:
        // No client may send one, and no server to which we have said that we take none.
        return this.fail(ErrorCode.PROTOCOL_ERROR, false, this.streams.get(id), Http2Detail.frame);
      case FrameType.PING:
        if (id !== 0) return this.fail(ErrorCode.PROTOCOL_ERROR);
        if (to - from !== 8) return this.fail(ErrorCode.FRAME_SIZE_ERROR);
        if ((flags & Flag.ACK) !== 0) {
          this.keepalive?.onPingAck();
          return true;
        }
        this.writer.ping(bytes, from, true);
        return this.#checkOutbound();
      case FrameType.GOAWAY: {
        if (id !== 0) return this.fail(ErrorCode.PROTOCOL_ERROR);
        if (to - from < 8) return this.fail(ErrorCode.FRAME_SIZE_ERROR);
        this.#side.onGoAway(bytes.readUInt32BE(from) & MAX_STREAM_ID);
        return !this.dead;
      }
      case FrameType.WINDOW_UPDATE:
        return this.#onWindowUpdate(id, bytes, from, to);
      case FrameType.CONTINUATION:
        return this.#onContinuation(flags, id, bytes, from, to);
      default:
        // Extension frames mean nothing to us (section 5.5).
        return true;
    }
  }

  /** Whether no stream of this identifier has been opened. */
  #isIdle(id: number): boolean {
    const fromPeer = (id & 1) === (this.#side.isServer ? 1 : 0);
    return fromPeer ? id > this.lastPeerStream : id > this.lastOwnStream;
  }

  #find(id: number): H2Stream | undefined {
    const recent = this.#recent;
    if (recent !== undefined && recent.id === id && !recent.closed) return recent;
    return (this.#recent = this.streams.get(id));
  }

  // ---- DATA -------------------------------------------------------------------------------------------------------

  #onDataHeader(id: number, length: number): boolean {
    if (id === 0) return this.fail(ErrorCode.PROTOCOL_ERROR);
    if (!this.#input.receive(length)) return this.fail(ErrorCode.FLOW_CONTROL_ERROR);
    this.#dataLength = length;
    this.#dataSeen = 0;
    const stream = this.#find(id);
    this.#dataStream = stream;
    if (stream === undefined) {
      if (this.#isIdle(id)) return this.fail(ErrorCode.PROTOCOL_ERROR);
      if (!this.closedStreams.wasResetByUs(id)) this.writer.rstStream(id, ErrorCode.STREAM_CLOSED);
      return true;
    }
    stream.wireBytesReceived += FRAME_HEADER_SIZE + length;
    if (stream.remoteEnd) {
      this.streamError(stream, ErrorCode.STREAM_CLOSED, 'protocol error', Http2Detail.frame);
      return !this.dead;
    }
    if (!stream.headersReceived) return this.fail(ErrorCode.PROTOCOL_ERROR, false, stream, Http2Detail.frame);
    stream.recvWindow -= length;
    if (stream.recvWindow < 0)
      this.streamError(stream, ErrorCode.FLOW_CONTROL_ERROR, 'protocol error', Http2Detail.remoteReset);
    return !this.dead;
  }

  onDataPart(id: number, flags: number, bytes: Buffer, from: number, to: number, last: boolean): boolean {
    const stream = this.#dataStream;
    const size = to - from;
    this.#dataSeen += size;
    if (last) {
      const flood = this.limits.payload(this.#dataSeen, flags);
      if (flood !== undefined) return this.#onFlood(flood, id);
    }
    const padding = last ? this.#dataLength - this.#dataSeen : 0;
    if (stream === undefined || stream.over) {
      // Its window isn't given back any more, that of the connection is.
      this.#input.consume(undefined, size + padding);
      if (last && stream !== undefined && (flags & Flag.END_STREAM) !== 0 && !stream.closed) {
        stream.remoteEnd = true;
        this.#closeIfDone(stream);
      }
      return true;
    }
    if (padding > 0) this.#input.consume(stream, padding);
    const endStream = last && (flags & Flag.END_STREAM) !== 0;
    stream.receivedLength += size;
    const expected = stream.bodiless ? 0 : stream.expectedLength;
    if (expected !== -1 && (stream.receivedLength > expected || (endStream && stream.receivedLength < expected))) {
      this.#input.consume(undefined, size);
      this.streamError(stream, ErrorCode.PROTOCOL_ERROR, 'protocol error', Http2Detail.remoteReset);
      return !this.dead;
    }
    if (endStream) stream.remoteEnd = true;
    if (size > 0 || endStream) this.#input.data(stream, bytes, from, to, endStream);
    return !this.dead;
  }

  // ---- header blocks ----------------------------------------------------------------------------------------------

  #onHeaders(flags: number, id: number, bytes: Buffer, start: number, end: number): boolean {
    if (id === 0) return this.fail(ErrorCode.PROTOCOL_ERROR);
    let from = start;
    let to = end;
    if ((flags & Flag.PADDED) !== 0) {
      if (from === to) return this.fail(ErrorCode.FRAME_SIZE_ERROR);
      to -= bytes[from++]!;
    }
    if ((flags & Flag.PRIORITY) !== 0) {
      if (to - from < 5) return this.fail(to < from ? ErrorCode.PROTOCOL_ERROR : ErrorCode.FRAME_SIZE_ERROR);
      if (dependency(bytes, from) === id) return this.fail(ErrorCode.PROTOCOL_ERROR);
      from += 5;
    }
    if (from > to) return this.fail(ErrorCode.PROTOCOL_ERROR);
    const endHeaders = (flags & Flag.END_HEADERS) !== 0;
    const flood = this.limits.payload(to - from, flags);
    if (flood !== undefined) return this.#onFlood(flood, id);
    let stream = this.#find(id);
    let ignored = false;
    if (stream === undefined) {
      const peers = (id & 1) === 1;
      if (this.#side.isServer && !peers) return this.fail(ErrorCode.PROTOCOL_ERROR);
      if (this.#isIdle(id)) {
        const accepted = this.#side.accept(id);
        if (accepted === undefined) return this.fail(ErrorCode.PROTOCOL_ERROR);
        this.lastPeerStream = id;
        this.closedStreams.opened(id);
        if (accepted instanceof H2Stream) stream = accepted;
        else {
          ignored = true;
          this.closedStreams.resetByUs(id);
          if (accepted === 'refused') this.writer.rstStream(id, ErrorCode.REFUSED_STREAM);
        }
      } else if (this.closedStreams.wasResetByUs(id)) ignored = true;
      else if (!this.closedStreams.wasUsed(id, this.#side.isServer)) return this.fail(ErrorCode.PROTOCOL_ERROR);
      else {
        ignored = true;
        this.writer.rstStream(id, ErrorCode.STREAM_CLOSED);
      }
    } else if (stream.remoteEnd) {
      ignored = true;
      this.streamError(stream, ErrorCode.STREAM_CLOSED, 'protocol error', Http2Detail.frame);
      if (this.dead) return false;
    }
    const bytesOnWire = FRAME_HEADER_SIZE + end - start;
    if (endHeaders) {
      this.limits.headersEnded();
      return this.#onBlock(ignored ? undefined : stream, flags, bytes, from, to, bytesOnWire);
    }
    this.#block.begin(ignored ? undefined : stream, id, flags, bytesOnWire);
    return this.#block.add(bytes, from, to) || this.#onBlockTooLarge();
  }

  #onContinuation(flags: number, id: number, bytes: Buffer, from: number, to: number): boolean {
    const block = this.#block;
    const endHeaders = (flags & Flag.END_HEADERS) !== 0;
    const flood = this.limits.payload(to - from, 0);
    if (flood !== undefined) return this.#onFlood(flood, id);
    block.wireBytes += FRAME_HEADER_SIZE + to - from;
    if (!block.add(bytes, from, to)) return this.#onBlockTooLarge();
    if (!endHeaders) return true;
    this.limits.headersEnded();
    const { stream, wireBytes } = block;
    const whole = block.take();
    // It may have been reset meanwhile.
    return this.#onBlock(stream?.closed ? undefined : stream, block.flags, whole, 0, whole.length, wireBytes);
  }

  /** More than any header list that we would take. */
  #onBlockTooLarge(): boolean {
    this.stats.inc(AT.header_list_size_too_large);
    const { stream } = this.#block;
    this.#block.take();
    return this.fail(ErrorCode.ENHANCE_YOUR_CALM, true, stream, Http2Detail.headersTooLarge);
  }

  /** `stream` undefined: the block only matters to the state of HPACK. */
  #onBlock(
    stream: H2Stream | undefined,
    flags: number,
    bytes: Buffer,
    from: number,
    to: number,
    wireBytes: number,
  ): boolean {
    const section = this.#section;
    const isTrailers = stream?.headersReceived === true;
    if (isTrailers && this.#side.isServer) this.stats.inc(AT.trailers);
    section.begin(isTrailers ? 'trailers' : this.#side.isServer ? 'request' : 'response');
    if (this.#decoder.decode(bytes, from, to, section) !== undefined) return this.fail(ErrorCode.COMPRESSION_ERROR);
    if (stream === undefined) return true;
    stream.wireBytesReceived += wireBytes;
    stream.headerBytesReceived += wireBytes;
    const endStream = (flags & Flag.END_STREAM) !== 0;
    if (stream.over) {
      if (endStream) {
        stream.remoteEnd = true;
        this.#closeIfDone(stream);
      }
      return !this.dead;
    }
    const problem = isTrailers
      ? this.#onTrailers(stream, section, endStream)
      : this.#side.onSection(stream, section, endStream);
    return (problem === undefined || this.#onProblem(stream, problem)) && !this.dead;
  }

  #onTrailers(stream: H2Stream, section: FieldSection, endStream: boolean): SectionProblem | undefined {
    const problem = section.endTrailers(endStream);
    if (problem !== undefined) return problem;
    stream.remoteEnd = true;
    if (!stream.bodiless && stream.expectedLength !== -1 && stream.receivedLength < stream.expectedLength) {
      this.streamError(stream, ErrorCode.PROTOCOL_ERROR, 'protocol error', Http2Detail.remoteReset);
      return undefined;
    }
    this.#input.trailers(stream, section.headers);
    return undefined;
  }

  /** Delivers a header section that is good; for the sides. */
  deliverHeaders(stream: H2Stream, headers: HeaderMap, endStream: boolean, later: boolean): void {
    stream.headersReceived = true;
    if (endStream) stream.remoteEnd = true;
    this.#input.headers(stream, headers, endStream, later);
  }

  /** Lets a stream go on whose headers were put off. */
  deliverLater(stream: H2Stream): void {
    this.#input.resume(stream);
  }

  #onProblem(stream: H2Stream, problem: SectionProblem): boolean {
    const { stats } = this;
    switch (problem) {
      case 'header':
      case 'messaging':
        stats.inc(AT.rx_messaging_error);
        if (!this.settings.overrideStreamErrorOnInvalidHttpMessage)
          return this.fail(ErrorCode.PROTOCOL_ERROR, false, stream, Http2Detail[problem]);
        this.streamError(stream, ErrorCode.PROTOCOL_ERROR, 'protocol error', Http2Detail[problem]);
        return true;
      case 'count':
        stats.inc(AT.header_overflow);
        this.streamError(stream, ErrorCode.INTERNAL_ERROR, 'remote reset', Http2Detail.tooManyHeaders);
        return true;
      case 'bytes':
        stats.inc(AT.header_list_size_too_large);
        this.streamError(stream, ErrorCode.INTERNAL_ERROR, 'remote reset', Http2Detail.headersTooLarge);
        return true;
      case 'cookies':
        stats.inc(AT.cookies_total_bytes_too_large);
        this.streamError(stream, ErrorCode.INTERNAL_ERROR, 'remote reset', Http2Detail.cookiesTooLarge);
        return true;
      case 'underscore':
        stats.inc(AT.requests_rejected_with_underscores_in_headers);
        this.streamError(stream, ErrorCode.INTERNAL_ERROR, 'remote reset', Http2Detail.underscore);
        return true;
    }
  }

  // ---- other frames -----------------------------------------------------------------------------------------------

  #onRstStream(id: number, bytes: Buffer, from: number, to: number): boolean {
    if (id === 0) return this.fail(ErrorCode.PROTOCOL_ERROR);
    if (to - from !== 4) return this.fail(ErrorCode.FRAME_SIZE_ERROR);
    const stream = this.#find(id);
    if (stream === undefined) return !this.#isIdle(id) || this.fail(ErrorCode.PROTOCOL_ERROR);
    const code = bytes.readUInt32BE(from);
    this.stats.inc(AT.rx_reset);
    stream.wireBytesReceived += FRAME_HEADER_SIZE + 4;
    const reason = reasonOf(code);
    const complete = !this.#side.isServer && stream.remoteEnd;
    if (complete && (code === ErrorCode.NO_ERROR || stream.remoteDone)) {
      // A response that is complete stands; only the rest of the request has nowhere to go (section 8.1).
      this.#forgetOutput(stream);
      stream.localEnd = stream.localEndSent = true;
      this.#closeIfDone(stream);
      return !this.dead;
    }
    const detail = code === ErrorCode.REFUSED_STREAM ? Http2Detail.remoteRefused : Http2Detail.remoteReset;
    this.#endStream(stream, reason, detail);
    return !this.dead;
  }

  #onSettings(flags: number, id: number, bytes: Buffer, from: number, to: number): boolean {
    if (id !== 0) return this.fail(ErrorCode.PROTOCOL_ERROR, false, this.streams.get(id), Http2Detail.frame);
    if ((flags & Flag.ACK) !== 0) {
      if (to > from) return this.fail(ErrorCode.FRAME_SIZE_ERROR);
      this.#decoder.setMaxTableSize(this.settings.hpackTableSize);
      return true;
    }
    if ((to - from) % 6 !== 0) return this.fail(ErrorCode.FRAME_SIZE_ERROR);
    this.#settingsCame = true;
    const { peer } = this;
    const window = peer.initialWindowSize;
    const error = peer.apply(bytes, from, to, !this.#side.isServer);
    if (error !== ErrorCode.NO_ERROR) return this.fail(error);
    this.#encoder.setPeerMaxTableSize(peer.headerTableSize);
    this.writer.maxFrameSize = peer.maxFrameSize;
    if (peer.initialWindowSize !== window && !this.#line.changeWindows(peer.initialWindowSize - window))
      return this.fail(ErrorCode.FLOW_CONTROL_ERROR);
    this.writer.settingsAck();
    this.#side.onSettings();
    return this.#checkOutbound();
  }

  #onWindowUpdate(id: number, bytes: Buffer, from: number, to: number): boolean {
    if (to - from !== 4) return this.fail(ErrorCode.FRAME_SIZE_ERROR);
    const increment = bytes.readUInt32BE(from) & MAX_WINDOW_SIZE;
    if (id === 0) {
      if (increment === 0) return this.fail(ErrorCode.PROTOCOL_ERROR);
      return this.#line.addConnectionWindow(increment) || this.fail(ErrorCode.FLOW_CONTROL_ERROR);
    }
    const stream = this.#find(id);
    if (stream === undefined) return !this.#isIdle(id) || this.fail(ErrorCode.PROTOCOL_ERROR);
    if (increment === 0) return this.fail(ErrorCode.PROTOCOL_ERROR, false, stream, Http2Detail.frame);
    if (!this.#line.addWindow(stream, increment))
      this.streamError(stream, ErrorCode.FLOW_CONTROL_ERROR, 'protocol error', Http2Detail.frame);
    return !this.dead;
  }

  #onFlood(flood: InboundFlood, id: number): boolean {
    if (flood === 'empty frames') {
      const stream = this.streams.get(id);
      const others = Http2Detail.emptyFramesFlood;
      return this.fail(ErrorCode.ENHANCE_YOUR_CALM, true, stream, Http2Detail.emptyFrames, others);
    }
    const detail = flood === 'PRIORITY' ? Http2Detail.priorityFlood : Http2Detail.windowUpdateFlood;
    return this.fail(ErrorCode.ENHANCE_YOUR_CALM, true, undefined, '', detail);
  }

  /** False: the peer doesn't read what it has asked for. There is no use in sending it anything more. */
  #checkOutbound(): boolean {
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
    this.streams.set(stream.id, stream);
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
    this.#encoder.begin(writer.beginHeaders());
    this.#side.writeHeaders(this.#encoder, stream, headers);
    this.#countHeaders(stream, writer.endHeaders(stream.id, endStream));
  }

  #countHeaders(stream: H2Stream, bytes: number): void {
    stream.wireBytesSent += bytes;
    stream.headerBytesSent += bytes;
  }

  sendData(stream: H2Stream, chunk: Buffer, endStream: boolean): boolean {
    const writable = this.#line.send(stream, stream.dropsBody ? EMPTY : chunk, endStream);
    if (!endStream) return writable;
    stream.localEnd = true;
    this.#afterLocalEnd(stream);
    return writable;
  }

  sendTrailers(stream: H2Stream, trailers: HeaderMap): void {
    stream.localEnd = true;
    // Envoy, too, sends no empty header section.
    if (trailers.names.length === 0) this.#line.send(stream, EMPTY, true);
    else if (stream.queue.bytes > 0) stream.pendingTrailers = trailers;
    else this.writeTrailers(stream, trailers);
    this.#afterLocalEnd(stream);
  }

  writeTrailers(stream: H2Stream, trailers: HeaderMap): void {
    const { writer } = this;
    this.#encoder.begin(writer.beginHeaders());
    writeFields(this.#encoder, trailers, false);
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
    this.#input.resume(stream);
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
      this.#input.discard(stream);
      this.#line.watch(stream);
    }
    this.#closeIfDone(stream);
  }

  /** Its last data has left. */
  onOutputDone(stream: H2Stream): void {
    stream.localEndSent = true;
    this.#closeIfDone(stream);
  }

  /** The user has had all of the message. */
  onInputDone(stream: H2Stream): void {
    stream.remoteDone = true;
    this.#closeIfDone(stream);
  }

  #closeIfDone(stream: H2Stream): void {
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
    this.#endStream(stream, reason, detail);
  }

  /** The peer won't serve it. */
  refuse(stream: H2Stream): void {
    this.#endStream(stream, 'remote refused stream reset', Http2Detail.remoteRefused);
  }

  #endStream(stream: H2Stream, reason: StreamResetReason, detail: string): void {
    this.#remove(stream);
    const told = stream.over || (!this.#side.isServer && stream.remoteDone);
    stream.over = true;
    if (!told) stream.events.onReset(reason, detail);
    this.#side.onStreamEnd(stream, reason);
  }

  #remove(stream: H2Stream): void {
    if (stream.closed) return;
    stream.closed = true;
    this.#forgetOutput(stream);
    this.#input.discard(stream);
    if (stream.flushTimer !== undefined) this.dispatcher.disarm(stream.flushTimer);
    if (this.#recent === stream) this.#recent = undefined;
    if (stream.id === 0 || !this.streams.delete(stream.id)) return;
    this.stats.dec(AT.streams_active);
  }

  #forgetOutput(stream: H2Stream): void {
    const { bytes } = stream.queue;
    stream.pendingTrailers = undefined;
    if (bytes === 0) return;
    this.stats.add(AT.pending_send_bytes, -bytes);
    stream.queue.clear();
  }

  #resetAll(reason: StreamResetReason, detail: string, first: H2Stream | undefined, firstDetail: string): void {
    if (first !== undefined && !first.closed) this.#endStream(first, reason, firstDetail);
    for (const stream of [...this.streams.values()]) if (!stream.closed) this.#endStream(stream, reason, detail);
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
    this.#reader.stop();
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
    this.#endStream(stream, 'local reset', '');
  }
}

/** The stream that a priority field makes its own depend on; deprecated, but checked (section 5.3). */
function dependency(bytes: Buffer, from: number): number {
  return bytes.readUInt32BE(from) & MAX_STREAM_ID;
}
