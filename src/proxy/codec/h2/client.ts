import type { Random } from '../../../lib/random.ts';
import type { StatBlock } from '../../../telemetry/stats/stats.ts';
import type { Dispatcher } from '../../dispatcher.ts';
import type { HeaderMap } from '../../http/headers.ts';
import type { Http2Codec, Http2CodecOwner } from '../../upstream/pool/http2-codec.ts';
import type { StreamEvents, StreamResetReason } from '../codec.ts';
import type { ConnectionOutput } from '../connection-io.ts';
import type { Http2Settings } from '../server-codec.ts';
import type { FieldSection, SectionProblem } from './field-section.ts';
import { writeRequest } from './field-writer.ts';
import { MAX_STREAM_ID } from './frame.ts';
import type { HpackEncoder } from './hpack/encoder.ts';
import type { SessionSide } from './session-side.ts';
import { H2Session } from './session.ts';
import { H2Stream } from './stream.ts';

/**
 * The client side of one HTTP/2 connection (RFC 9113). The preface and SETTINGS leave at the end of the turn that made
 * it.
 *
 * A response may be complete before its request is; then the stream's user goes on sending, or resets. An HTTP/1.1
 * upgrade request goes out as extended CONNECT (RFC 8441), and a 200 to it comes back as 101, both as in Envoy.
 */
export class H2ClientConnection implements Http2Codec, SessionSide {
  readonly isServer = false;
  readonly #session: H2Session;
  readonly #owner: Http2CodecOwner;
  /** The next stream's identifier (section 5.1.1). */
  #nextId = 1;
  #peerGone = false;
  /** Streams that were asked for when the connection could take none any more. */
  #stillborn: H2Stream[] = [];

  constructor(
    output: ConnectionOutput,
    dispatcher: Dispatcher,
    settings: Http2Settings,
    owner: Http2CodecOwner,
    stats: StatBlock,
    random: Random,
  ) {
    this.#owner = owner;
    this.#session = new H2Session(this, {
      output,
      dispatcher,
      settings,
      stats,
      random,
    });
  }

  // ---- from the socket and the pool -------------------------------------------------------------------------------

  onData(chunk: Buffer): void {
    this.#session.onData(chunk);
  }

  onEnd(): void {
    this.#session.onEnd();
  }

  onDrain(): void {
    this.#session.onDrain();
  }

  onClose(): void {
    this.#session.onClose();
    this.#endStillborn();
  }

  flush(): void {
    this.#session.flush();
  }

  flushFailed(): void {
    this.#session.flushFailed();
  }

  get maxConcurrentStreams(): number {
    return Math.min(this.#session.peer.maxConcurrentStreams, this.#session.settings.maxConcurrentStreams);
  }

  get peerAllowsConnect(): boolean {
    return this.#session.peer.enableConnectProtocol;
  }

  newStream(events: StreamEvents): H2Stream {
    const session = this.#session;
    const stream = new H2Stream(session);
    stream.events = events;
    if (session.dead || this.#peerGone || this.#nextId > MAX_STREAM_ID) {
      // The connection went while the caller decided; the stream hears of it when that is done.
      stream.headersSent = true;
      this.#stillborn.push(stream);
      session.writer.schedule();
      return stream;
    }
    session.keepalive?.onNewStream();
    session.limits.streamOpened();
    return stream;
  }

  goAway(): void {
    this.#session.goAway();
    this.#closeIfDone();
  }

  // ---- from the session -------------------------------------------------------------------------------------------

  /** We have said that we take no pushes. */
  accept(_id: number): undefined {
    return undefined;
  }

  onSection(stream: H2Stream, section: FieldSection, endStream: boolean): SectionProblem | undefined {
    const problem = section.endResponse(endStream, stream.isHead);
    if (problem !== undefined) return problem;
    const { headers } = section;
    const { status } = headers;
    if (status < 200) {
      stream.events.onInformational?.(headers);
      return undefined;
    }
    stream.bodiless = stream.isHead || status === 204 || status === 304;
    stream.expectedLength = section.contentLength;
    if (stream.upgrade !== '' && status === 200) {
      headers.status = 101;
      headers.names.push('upgrade', 'connection');
      headers.values.push(stream.upgrade, 'upgrade');
    }
    this.#session.deliverHeaders(stream, headers, endStream, false);
    return undefined;
  }

  writeHeaders(encoder: HpackEncoder, stream: H2Stream, headers: HeaderMap): void {
    const session = this.#session;
    stream.id = this.#nextId;
    this.#nextId += 2;
    session.lastOwnStream = stream.id;
    session.add(stream);
    stream.isHead = headers.method === 'HEAD';
    if (headers.method !== 'CONNECT') stream.upgrade = headers.protocol;
    writeRequest(encoder, headers);
  }

  onStreamEnd(stream: H2Stream, reason: StreamResetReason | undefined): void {
    this.#owner.onStreamEnd(stream, reason);
    this.#closeIfDone();
  }

  onSettings(): void {
    this.#owner.onSettings();
  }

  onGoAway(last: number): void {
    const session = this.#session;
    if (!this.#peerGone) {
      this.#peerGone = true;
      this.#owner.onGoAway();
    }
    for (const stream of session.streams.list()) {
      if (stream.id > last && !stream.closed) session.refuse(stream);
    }
  }

  onConnectionError(_flood: boolean): void {
    this.#owner.onProtocolError();
  }

  onKeepaliveTimeout(): void {
    this.#owner.onKeepaliveTimeout();
  }

  onFlush(): void {
    this.#endStillborn();
  }

  /** After our GOAWAY the connection has served its purpose with its last stream. */
  #closeIfDone(): void {
    const session = this.#session;
    if (session.goneAway && !session.dead && session.streams.size === 0) session.closeGracefully();
  }

  #endStillborn(): void {
    while (this.#stillborn.length > 0) {
      const stream = this.#stillborn.shift()!;
      if (stream.over) continue;
      stream.over = true;
      stream.events.onReset('connection termination', '');
      this.#owner.onStreamEnd(stream, 'connection termination');
    }
  }
}
