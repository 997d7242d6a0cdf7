import { Timer, type TimerTask } from '../../../lib/timer-wheel.ts';
import type { Random } from '../../../lib/random.ts';
import type { StatBlock } from '../../../telemetry/stats/stats.ts';
import { HTTP2_CODEC_STATS } from '../../../telemetry/stats/http2-stats.ts';
import type { RuntimeReader } from '../../../filters/http/filter.ts';
import type { Dispatcher } from '../../dispatcher.ts';
import type { HeaderMap } from '../../http/headers.ts';
import type { StreamResetReason } from '../codec.ts';
import type { ConnectionOutput } from '../connection-io.ts';
import type { Http2Settings, ServerCodec, ServerCodecOwner } from '../server-codec.ts';
import type { FieldSection, SectionProblem } from './field-section.ts';
import { writeResponse } from './field-writer.ts';
import type { HpackEncoder } from './hpack/encoder.ts';
import { PrematureResets } from './premature-resets.ts';
import type { SessionSide } from './session-side.ts';
import { H2Session } from './session.ts';
import { H2Stream } from './stream.ts';

const AT = HTTP2_CODEC_STATS.at;

export interface H2ServerEnvironment {
  readonly dispatcher: Dispatcher;
  /** HTTP2_CODEC_STATS under `http2.`. */
  readonly stats: StatBlock;
  readonly random: Random;
  readonly runtime: RuntimeReader;
}

/**
 * The server side of one HTTP/2 connection (RFC 9113), behind its preface.
 *
 * A response that ends before its request is the end of the stream's events; the peer is told to stop with
 * RST_STREAM(NO_ERROR). Extended CONNECT (RFC 8441) is offered as the HTTP/1.1 upgrade it stands for (method GET,
 * `upgrade` and `connection`, `headers.protocol`), and a 101 to it leaves as 200, both as in Envoy.
 */
export class H2ServerConnection implements ServerCodec, SessionSide, TimerTask {
  readonly isServer = true;
  readonly #session: H2Session;
  readonly #owner: ServerCodecOwner;
  readonly #environment: H2ServerEnvironment;
  readonly #premature: PrematureResets;
  /** Requests that may start in one cycle (Envoy's http.max_requests_per_io_cycle); the others wait for the next. */
  readonly #maxRequestsACycle: number;
  #requestsThisCycle = 0;
  readonly #deferred: H2Stream[] = [];
  #cycleTimer: Timer | undefined = undefined;

  constructor(
    output: ConnectionOutput,
    settings: Http2Settings,
    owner: ServerCodecOwner,
    environment: H2ServerEnvironment,
  ) {
    const { dispatcher, stats, random, runtime } = environment;
    this.#owner = owner;
    this.#environment = environment;
    this.#premature = new PrematureResets(runtime);
    this.#maxRequestsACycle = runtime.getNumber('http.max_requests_per_io_cycle', Infinity);
    this.#session = new H2Session(this, {
      output,
      dispatcher,
      settings,
      stats,
      random,
    });
  }

  // ---- from the socket and the connection manager -----------------------------------------------------------------

  onData(chunk: Buffer): void {
    this.#requestsThisCycle = 0;
    this.#session.onData(chunk);
  }

  onEnd(): void {
    this.#session.onEnd();
  }

  onDrain(): void {
    this.#session.onDrain();
  }

  onClose(): void {
    if (this.#cycleTimer !== undefined) this.#environment.dispatcher.disarm(this.#cycleTimer);
    this.#deferred.length = 0;
    this.#session.onClose();
  }

  flush(): void {
    this.#session.flush();
  }

  flushFailed(): void {
    this.#session.flushFailed();
  }

  get hasPendingOutput(): boolean {
    return this.#session.hasPendingOutput;
  }

  shutdownNotice(): void {
    this.#session.shutdownNotice();
  }

  goAway(): void {
    this.#session.goAway();
  }

  // ---- from the session -------------------------------------------------------------------------------------------

  accept(id: number): H2Stream | 'ignored' | 'refused' | undefined {
    const session = this.#session;
    // The client has been told that it won't be served (section 6.8).
    if (session.goneAway) return 'ignored';
    if (session.streams.size >= session.settings.maxConcurrentStreams) {
      session.stats.inc(AT.stream_refused_errors);
      return 'refused';
    }
    const stream = new H2Stream(session);
    stream.id = id;
    session.add(stream);
    stream.events = this.#owner.newStream(stream);
    return stream;
  }

  onSection(stream: H2Stream, section: FieldSection, endStream: boolean): SectionProblem | undefined {
    const problem = section.endRequest(endStream);
    if (problem !== undefined) return problem;
    const { headers } = section;
    stream.isHead = headers.method === 'HEAD';
    stream.dropsBody = stream.isHead;
    stream.expectedLength = section.contentLength;
    // What CONNECT carries anyway.
    if (headers.protocol === 'bytestream') headers.protocol = '';
    if (headers.protocol !== '') {
      stream.upgrade = headers.protocol;
      headers.method = 'GET';
      headers.names.push('upgrade', 'connection');
      headers.values.push(headers.protocol, 'upgrade');
    }
    const later = this.#requestsThisCycle >= this.#maxRequestsACycle;
    if (later) this.#defer(stream);
    else this.#requestsThisCycle++;
    this.#session.deliverHeaders(stream, headers, endStream, later);
    return undefined;
  }

  writeHeaders(encoder: HpackEncoder, stream: H2Stream, headers: HeaderMap): void {
    let { status } = headers;
    if (status === 101 && stream.upgrade !== '') status = 200;
    if (status === 204 || status === 304) stream.dropsBody = true;
    writeResponse(encoder, headers, status);
  }

  onStreamEnd(stream: H2Stream, reason: StreamResetReason | undefined): void {
    const session = this.#session;
    if (session.dead) return;
    const lifetimeMs = session.dispatcher.now - stream.startMs;
    const wasReset = reason !== undefined && !stream.headersSent;
    if (!this.#premature.streamEnded(wasReset, lifetimeMs)) return;
    // As Envoy: at once, and without a word.
    session.abort();
    this.#owner.onTooManyPrematureResets?.();
  }

  onSettings(): void {}

  /** A client that goes away sends no more requests; those that it has sent are served. */
  onGoAway(_last: number): void {}

  onConnectionError(flood: boolean): void {
    this.#owner.onConnectionError(flood);
  }

  onKeepaliveTimeout(): void {}

  onFlush(): void {}

  // ---- requests that are put off ----------------------------------------------------------------------------------

  #defer(stream: H2Stream): void {
    this.#deferred.push(stream);
    if (this.#deferred.length > 1) return;
    this.#cycleTimer ??= new Timer(this);
    this.#environment.dispatcher.arm(this.#cycleTimer, 0);
  }

  /** The next cycle. */
  onTimer(timer: Timer): void {
    this.#requestsThisCycle = 0;
    const deferred = this.#deferred;
    let at = 0;
    for (; at < deferred.length && this.#requestsThisCycle < this.#maxRequestsACycle; at++) {
      const stream = deferred[at]!;
      if (stream.closed || stream.over) continue;
      this.#requestsThisCycle++;
      this.#session.deliverLater(stream);
    }
    deferred.splice(0, at);
    if (deferred.length > 0) this.#environment.dispatcher.arm(timer, 0);
  }
}
