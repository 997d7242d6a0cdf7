import { HTTP2_CODEC_STATS } from '../../../telemetry/stats/http2-stats.ts';
import { Http2Detail, reasonOf } from './errors.ts';
import { FieldSection, type SectionProblem } from './field-section.ts';
import {
  DEFAULT_MAX_FRAME_SIZE,
  ErrorCode,
  Flag,
  FRAME_HEADER_SIZE,
  FrameType,
  MAX_STREAM_ID,
  MAX_WINDOW_SIZE,
} from './frame.ts';
import { FrameReader, type FrameSink } from './frame-reader.ts';
import { HeaderBlock } from './header-block.ts';
import { HpackDecoder } from './hpack/decoder.ts';
import type { InboundFlood } from './inbound-limits.ts';
import type { H2Session } from './session.ts';
import type { SessionSide } from './session-side.ts';
import { H2Stream } from './stream.ts';

const AT = HTTP2_CODEC_STATS.at;

/**
 * What the peer sends, frame by frame (RFC 9113 section 6): checks what each may be in the state its stream and the
 * connection are in, and tells the session what it means.
 */
export class InboundFrames implements FrameSink {
  readonly #session: H2Session;
  readonly #side: SessionSide;
  readonly #reader: FrameReader;
  readonly #decoder = new HpackDecoder();
  readonly #section: FieldSection;
  readonly #block: HeaderBlock;
  #settingsCame = false;
  /** The stream of the frame before; most frames are of the same. */
  #recent: H2Stream | undefined = undefined;
  // Of the DATA frame being read.
  #dataStream: H2Stream | undefined = undefined;
  #dataLength = 0;
  #dataSeen = 0;

  constructor(session: H2Session, side: SessionSide) {
    const { settings, stats } = session;
    this.#session = session;
    this.#side = side;
    this.#reader = new FrameReader(this, side.isServer);
    this.#section = new FieldSection(settings, side.isServer && settings.allowConnect, () =>
      stats.inc(AT.dropped_headers_with_underscores),
    );
    this.#block = new HeaderBlock(settings.maxHeadersBytes);
  }

  read(chunk: Buffer): void {
    this.#reader.read(chunk);
  }

  /** No further byte is looked at. */
  stop(): void {
    this.#reader.stop();
    this.#recent = undefined;
  }

  onBadPreface(): boolean {
    return this.#session.fail(ErrorCode.PROTOCOL_ERROR);
  }

  onBadPadding(): boolean {
    return this.#session.fail(ErrorCode.PROTOCOL_ERROR);
  }

  onFrameHeader(type: number, flags: number, id: number, length: number): boolean {
    if (length > DEFAULT_MAX_FRAME_SIZE) return this.#session.fail(ErrorCode.FRAME_SIZE_ERROR);
    if (!this.#settingsCame && (type !== FrameType.SETTINGS || (flags & Flag.ACK) !== 0))
      return this.#session.fail(ErrorCode.PROTOCOL_ERROR);
    // Nothing comes between the parts of a header block (section 6.10).
    if (this.#block.open !== (type === FrameType.CONTINUATION ? id : 0))
      return this.#session.fail(ErrorCode.PROTOCOL_ERROR);
    if (this.#session.keepalive !== undefined && !(type === FrameType.PING && (flags & Flag.ACK) !== 0))
      this.#session.keepalive.onFrame();
    if (type === FrameType.DATA) return this.#onDataHeader(id, length);
    if (type === FrameType.CONTINUATION && this.#block.open === 0) return this.#session.fail(ErrorCode.PROTOCOL_ERROR);
    const flood = this.#session.limits.frame(type);
    return flood === undefined || this.#onFlood(flood, id);
  }

  onFrame(type: number, flags: number, id: number, bytes: Buffer, from: number, to: number): boolean {
    switch (type) {
      case FrameType.HEADERS:
        return this.#onHeaders(flags, id, bytes, from, to);
      case FrameType.PRIORITY:
        if (id === 0) return this.#session.fail(ErrorCode.PROTOCOL_ERROR);
        if (to - from !== 5) return this.#session.fail(ErrorCode.FRAME_SIZE_ERROR);
        return dependency(bytes, from) !== id || this.#session.fail(ErrorCode.PROTOCOL_ERROR);
      case FrameType.RST_STREAM:
        return this.#onRstStream(id, bytes, from, to);
      case FrameType.SETTINGS:
        return this.#onSettings(flags, id, bytes, from, to);
      case FrameType.PUSH_PROMISE:
        // No client may send one, and no server to which we have said that we take none.
        return this.#session.fail(ErrorCode.PROTOCOL_ERROR, false, this.#session.streams.get(id), Http2Detail.frame);
      case FrameType.PING:
        if (id !== 0) return this.#session.fail(ErrorCode.PROTOCOL_ERROR);
        if (to - from !== 8) return this.#session.fail(ErrorCode.FRAME_SIZE_ERROR);
        if ((flags & Flag.ACK) !== 0) {
          this.#session.keepalive?.onPingAck();
          return true;
        }
        this.#session.writer.ping(bytes, from, true);
        return this.#session.checkOutbound();
      case FrameType.GOAWAY: {
        if (id !== 0) return this.#session.fail(ErrorCode.PROTOCOL_ERROR);
        if (to - from < 8) return this.#session.fail(ErrorCode.FRAME_SIZE_ERROR);
        this.#side.onGoAway(bytes.readUInt32BE(from) & MAX_STREAM_ID);
        return !this.#session.dead;
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
    return fromPeer ? id > this.#session.lastPeerStream : id > this.#session.lastOwnStream;
  }

  #find(id: number): H2Stream | undefined {
    const recent = this.#recent;
    if (recent !== undefined && recent.id === id && !recent.closed) return recent;
    return (this.#recent = this.#session.streams.get(id));
  }

  // ---- DATA -------------------------------------------------------------------------------------------------------

  #onDataHeader(id: number, length: number): boolean {
    if (id === 0) return this.#session.fail(ErrorCode.PROTOCOL_ERROR);
    if (!this.#session.input.receive(length)) return this.#session.fail(ErrorCode.FLOW_CONTROL_ERROR);
    this.#dataLength = length;
    this.#dataSeen = 0;
    const stream = this.#find(id);
    this.#dataStream = stream;
    if (stream === undefined) {
      if (this.#isIdle(id)) return this.#session.fail(ErrorCode.PROTOCOL_ERROR);
      if (!this.#session.closedStreams.wasResetByUs(id)) this.#session.writer.rstStream(id, ErrorCode.STREAM_CLOSED);
      return true;
    }
    stream.wireBytesReceived += FRAME_HEADER_SIZE + length;
    if (stream.remoteEnd) {
      this.#session.streamError(stream, ErrorCode.STREAM_CLOSED, 'protocol error', Http2Detail.frame);
      return !this.#session.dead;
    }
    if (!stream.headersReceived) return this.#session.fail(ErrorCode.PROTOCOL_ERROR, false, stream, Http2Detail.frame);
    stream.recvWindow -= length;
    if (stream.recvWindow < 0)
      this.#session.streamError(stream, ErrorCode.FLOW_CONTROL_ERROR, 'protocol error', Http2Detail.remoteReset);
    return !this.#session.dead;
  }

  onDataPart(id: number, flags: number, bytes: Buffer, from: number, to: number, last: boolean): boolean {
    const stream = this.#dataStream;
    const size = to - from;
    this.#dataSeen += size;
    if (last) {
      const flood = this.#session.limits.payload(this.#dataSeen, flags);
      if (flood !== undefined) return this.#onFlood(flood, id);
    }
    const padding = last ? this.#dataLength - this.#dataSeen : 0;
    if (stream === undefined || stream.over) {
      // Its window isn't given back any more, that of the connection is.
      this.#session.input.consume(undefined, size + padding);
      if (last && stream !== undefined && (flags & Flag.END_STREAM) !== 0 && !stream.closed) {
        stream.remoteEnd = true;
        this.#session.closeIfDone(stream);
      }
      return true;
    }
    if (padding > 0) this.#session.input.consume(stream, padding);
    const endStream = last && (flags & Flag.END_STREAM) !== 0;
    stream.receivedLength += size;
    const expected = stream.bodiless ? 0 : stream.expectedLength;
    if (expected !== -1 && (stream.receivedLength > expected || (endStream && stream.receivedLength < expected))) {
      this.#session.input.consume(undefined, size);
      this.#session.streamError(stream, ErrorCode.PROTOCOL_ERROR, 'protocol error', Http2Detail.remoteReset);
      return !this.#session.dead;
    }
    if (endStream) stream.remoteEnd = true;
    if (size > 0 || endStream) this.#session.input.data(stream, bytes, from, to, endStream);
    return !this.#session.dead;
  }

  // ---- header blocks ----------------------------------------------------------------------------------------------

  #onHeaders(flags: number, id: number, bytes: Buffer, start: number, end: number): boolean {
    if (id === 0) return this.#session.fail(ErrorCode.PROTOCOL_ERROR);
    let from = start;
    let to = end;
    if ((flags & Flag.PADDED) !== 0) {
      if (from === to) return this.#session.fail(ErrorCode.FRAME_SIZE_ERROR);
      to -= bytes[from++]!;
    }
    if ((flags & Flag.PRIORITY) !== 0) {
      if (to - from < 5) return this.#session.fail(to < from ? ErrorCode.PROTOCOL_ERROR : ErrorCode.FRAME_SIZE_ERROR);
      if (dependency(bytes, from) === id) return this.#session.fail(ErrorCode.PROTOCOL_ERROR);
      from += 5;
    }
    if (from > to) return this.#session.fail(ErrorCode.PROTOCOL_ERROR);
    const endHeaders = (flags & Flag.END_HEADERS) !== 0;
    const flood = this.#session.limits.payload(to - from, flags);
    if (flood !== undefined) return this.#onFlood(flood, id);
    let stream = this.#find(id);
    let ignored = false;
    if (stream === undefined) {
      const peers = (id & 1) === 1;
      if (this.#side.isServer && !peers) return this.#session.fail(ErrorCode.PROTOCOL_ERROR);
      if (this.#isIdle(id)) {
        const accepted = this.#side.accept(id);
        if (accepted === undefined) return this.#session.fail(ErrorCode.PROTOCOL_ERROR);
        this.#session.lastPeerStream = id;
        this.#session.closedStreams.opened(id);
        if (accepted instanceof H2Stream) stream = accepted;
        else {
          ignored = true;
          this.#session.closedStreams.resetByUs(id);
          if (accepted === 'refused') this.#session.writer.rstStream(id, ErrorCode.REFUSED_STREAM);
        }
      } else if (this.#session.closedStreams.wasResetByUs(id)) {
        ignored = true;
      } else {
        const wasUsed = this.#session.closedStreams.wasUsed(id, this.#side.isServer);
        return this.#session.fail(wasUsed ? ErrorCode.STREAM_CLOSED : ErrorCode.PROTOCOL_ERROR);
      }
    } else if (stream.remoteEnd) {
      ignored = true;
      this.#session.streamError(stream, ErrorCode.STREAM_CLOSED, 'protocol error', Http2Detail.frame);
      if (this.#session.dead) return false;
    }
    const bytesOnWire = FRAME_HEADER_SIZE + end - start;
    if (endHeaders) {
      this.#session.limits.headersEnded();
      return this.#onBlock(ignored ? undefined : stream, flags, bytes, from, to, bytesOnWire);
    }
    this.#block.begin(ignored ? undefined : stream, id, flags, bytesOnWire);
    return this.#block.add(bytes, from, to) || this.#onBlockTooLarge();
  }

  #onContinuation(flags: number, id: number, bytes: Buffer, from: number, to: number): boolean {
    const block = this.#block;
    const endHeaders = (flags & Flag.END_HEADERS) !== 0;
    const flood = this.#session.limits.payload(to - from, 0);
    if (flood !== undefined) return this.#onFlood(flood, id);
    block.wireBytes += FRAME_HEADER_SIZE + to - from;
    if (!block.add(bytes, from, to)) return this.#onBlockTooLarge();
    if (!endHeaders) return true;
    this.#session.limits.headersEnded();
    const { stream, wireBytes } = block;
    const whole = block.take();
    // It may have been reset meanwhile.
    return this.#onBlock(stream?.closed ? undefined : stream, block.flags, whole, 0, whole.length, wireBytes);
  }

  /** More than any header list that we would take. */
  #onBlockTooLarge(): boolean {
    this.#session.stats.inc(AT.header_list_size_too_large);
    const { stream } = this.#block;
    this.#block.take();
    return this.#session.fail(ErrorCode.ENHANCE_YOUR_CALM, true, stream, Http2Detail.headersTooLarge);
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
    if (isTrailers && this.#side.isServer) this.#session.stats.inc(AT.trailers);
    section.begin(isTrailers ? 'trailers' : this.#side.isServer ? 'request' : 'response');
    if (this.#decoder.decode(bytes, from, to, section) !== undefined)
      return this.#session.fail(ErrorCode.COMPRESSION_ERROR);
    if (stream === undefined) return true;
    stream.wireBytesReceived += wireBytes;
    stream.headerBytesReceived += wireBytes;
    const endStream = (flags & Flag.END_STREAM) !== 0;
    if (stream.over) {
      if (endStream) {
        stream.remoteEnd = true;
        this.#session.closeIfDone(stream);
      }
      return !this.#session.dead;
    }
    const problem = isTrailers
      ? this.#onTrailers(stream, section, endStream)
      : this.#side.onSection(stream, section, endStream);
    return (problem === undefined || this.#onProblem(stream, problem)) && !this.#session.dead;
  }

  #onTrailers(stream: H2Stream, section: FieldSection, endStream: boolean): SectionProblem | undefined {
    const problem = section.endTrailers(endStream);
    if (problem !== undefined) return problem;
    stream.remoteEnd = true;
    if (!stream.bodiless && stream.expectedLength !== -1 && stream.receivedLength < stream.expectedLength) {
      this.#session.streamError(stream, ErrorCode.PROTOCOL_ERROR, 'protocol error', Http2Detail.remoteReset);
      return undefined;
    }
    this.#session.input.trailers(stream, section.headers);
    return undefined;
  }

  #onProblem(stream: H2Stream, problem: SectionProblem): boolean {
    const { stats } = this.#session;
    switch (problem) {
      case 'header':
      case 'messaging':
        stats.inc(AT.rx_messaging_error);
        if (!this.#session.settings.overrideStreamErrorOnInvalidHttpMessage)
          return this.#session.fail(ErrorCode.PROTOCOL_ERROR, false, stream, Http2Detail[problem]);
        this.#session.streamError(stream, ErrorCode.PROTOCOL_ERROR, 'protocol error', Http2Detail[problem]);
        return true;
      case 'count':
        stats.inc(AT.header_overflow);
        this.#session.streamError(stream, ErrorCode.INTERNAL_ERROR, 'remote reset', Http2Detail.tooManyHeaders);
        return true;
      case 'bytes':
        stats.inc(AT.header_list_size_too_large);
        this.#session.streamError(stream, ErrorCode.INTERNAL_ERROR, 'remote reset', Http2Detail.headersTooLarge);
        return true;
      case 'cookies':
        stats.inc(AT.cookies_total_bytes_too_large);
        this.#session.streamError(stream, ErrorCode.INTERNAL_ERROR, 'remote reset', Http2Detail.cookiesTooLarge);
        return true;
      case 'underscore':
        stats.inc(AT.requests_rejected_with_underscores_in_headers);
        this.#session.streamError(stream, ErrorCode.INTERNAL_ERROR, 'remote reset', Http2Detail.underscore);
        return true;
    }
  }

  // ---- other frames -----------------------------------------------------------------------------------------------

  #onRstStream(id: number, bytes: Buffer, from: number, to: number): boolean {
    if (id === 0) return this.#session.fail(ErrorCode.PROTOCOL_ERROR);
    if (to - from !== 4) return this.#session.fail(ErrorCode.FRAME_SIZE_ERROR);
    const stream = this.#find(id);
    if (stream === undefined) return !this.#isIdle(id) || this.#session.fail(ErrorCode.PROTOCOL_ERROR);
    const code = bytes.readUInt32BE(from);
    this.#session.stats.inc(AT.rx_reset);
    stream.wireBytesReceived += FRAME_HEADER_SIZE + 4;
    const reason = reasonOf(code);
    const complete = !this.#side.isServer && stream.remoteEnd;
    if (complete && (code === ErrorCode.NO_ERROR || stream.remoteDone)) {
      // A response that is complete stands; only the rest of the request has nowhere to go (section 8.1).
      this.#session.forgetOutput(stream);
      stream.localEnd = stream.localEndSent = true;
      this.#session.closeIfDone(stream);
      return !this.#session.dead;
    }
    const detail = code === ErrorCode.REFUSED_STREAM ? Http2Detail.remoteRefused : Http2Detail.remoteReset;
    this.#session.endStream(stream, reason, detail);
    return !this.#session.dead;
  }

  #onSettings(flags: number, id: number, bytes: Buffer, from: number, to: number): boolean {
    if (id !== 0)
      return this.#session.fail(ErrorCode.PROTOCOL_ERROR, false, this.#session.streams.get(id), Http2Detail.frame);
    if ((flags & Flag.ACK) !== 0) {
      if (to > from) return this.#session.fail(ErrorCode.FRAME_SIZE_ERROR);
      this.#decoder.setMaxTableSize(this.#session.settings.hpackTableSize);
      return true;
    }
    if ((to - from) % 6 !== 0) return this.#session.fail(ErrorCode.FRAME_SIZE_ERROR);
    this.#settingsCame = true;
    const { peer } = this.#session;
    const window = peer.initialWindowSize;
    const error = peer.apply(bytes, from, to, !this.#side.isServer);
    if (error !== ErrorCode.NO_ERROR) return this.#session.fail(error);
    this.#session.encoder.setPeerMaxTableSize(peer.headerTableSize);
    this.#session.writer.maxFrameSize = peer.maxFrameSize;
    if (peer.initialWindowSize !== window && !this.#session.line.changeWindows(peer.initialWindowSize - window))
      return this.#session.fail(ErrorCode.FLOW_CONTROL_ERROR);
    this.#session.writer.settingsAck();
    this.#side.onSettings();
    return this.#session.checkOutbound();
  }

  #onWindowUpdate(id: number, bytes: Buffer, from: number, to: number): boolean {
    if (to - from !== 4) return this.#session.fail(ErrorCode.FRAME_SIZE_ERROR);
    const increment = bytes.readUInt32BE(from) & MAX_WINDOW_SIZE;
    if (id === 0) {
      if (increment === 0) return this.#session.fail(ErrorCode.PROTOCOL_ERROR);
      return this.#session.line.addConnectionWindow(increment) || this.#session.fail(ErrorCode.FLOW_CONTROL_ERROR);
    }
    const stream = this.#find(id);
    if (stream === undefined) return !this.#isIdle(id) || this.#session.fail(ErrorCode.PROTOCOL_ERROR);
    if (increment === 0) return this.#session.fail(ErrorCode.PROTOCOL_ERROR, false, stream, Http2Detail.frame);
    if (!this.#session.line.addWindow(stream, increment))
      this.#session.streamError(stream, ErrorCode.FLOW_CONTROL_ERROR, 'protocol error', Http2Detail.frame);
    return !this.#session.dead;
  }

  #onFlood(flood: InboundFlood, id: number): boolean {
    if (flood === 'empty frames') {
      const stream = this.#session.streams.get(id);
      const others = Http2Detail.emptyFramesFlood;
      return this.#session.fail(ErrorCode.ENHANCE_YOUR_CALM, true, stream, Http2Detail.emptyFrames, others);
    }
    const detail = flood === 'PRIORITY' ? Http2Detail.priorityFlood : Http2Detail.windowUpdateFlood;
    return this.#session.fail(ErrorCode.ENHANCE_YOUR_CALM, true, undefined, '', detail);
  }
}

/** The stream that a priority field makes its own depend on; deprecated, but checked (section 5.3). */
function dependency(bytes: Buffer, from: number): number {
  return bytes.readUInt32BE(from) & MAX_STREAM_ID;
}
