import { Timer, type TimerTask } from '../../../lib/timer-wheel.ts';
import { HTTP2_CODEC_STATS } from '../../../telemetry/stats/http2-stats.ts';
import { EMPTY } from '../h1/held-input.ts';
import { DEFAULT_MAX_FRAME_SIZE, DEFAULT_WINDOW_SIZE, MAX_WINDOW_SIZE } from './frame.ts';
import type { H2Session } from './session.ts';
import type { H2Stream } from './stream.ts';

const AT = HTTP2_CODEC_STATS.at;

/**
 * DATA on its way out: within the windows of its stream and of the connection (RFC 9113 section 5.2), and only while
 * the socket takes it. What can't leave at once waits in its stream's queue; streams that could send stand in line and
 * take turns, one frame each.
 */
export class SendLine {
  readonly #session: H2Session;
  readonly #limit: number;
  readonly #flushTimeoutMs: number;
  /** What we may send on the connection. */
  #window = DEFAULT_WINDOW_SIZE;
  #line: H2Stream[] = [];
  #first = 0;
  /** Streams whose users wait for `onWritable`. */
  #waiting: H2Stream[] = [];

  constructor(session: H2Session) {
    this.#session = session;
    this.#limit = session.settings.bufferLimitBytes;
    this.#flushTimeoutMs = session.settings.streamFlushTimeoutMs ?? 0;
  }

  /** Takes `chunk`. False: its sender is to wait for `onWritable`. Sets `localEndSent` if END_STREAM has left. */
  send(stream: H2Stream, chunk: Buffer, endStream: boolean): boolean {
    const { writer } = this.#session;
    const size = chunk.length;
    let at = 0;
    if (stream.queue.bytes === 0) {
      if (size === 0) {
        if (endStream) this.#write(stream, EMPTY, 0, 0, true);
        return true;
      }
      if (this.#first === this.#line.length) {
        while (!writer.blocked) {
          const count = Math.min(size - at, stream.sendWindow, this.#window, DEFAULT_MAX_FRAME_SIZE);
          if (count <= 0) break;
          this.#write(stream, chunk, at, at + count, endStream && at + count === size);
          at += count;
          if (at === size) return !writer.blocked || endStream || this.#wait(stream);
        }
      }
    }
    stream.queue.add(chunk, at);
    this.#session.stats.add(AT.pending_send_bytes, size - at);
    this.#standInLine(stream);
    return (!writer.blocked && (this.#limit === 0 || stream.queue.bytes <= this.#limit)) || this.#wait(stream);
  }

  /** Sends what waits, as far as it may leave now. */
  pump(): void {
    const line = this.#line;
    if (this.#first === line.length) {
      if (this.#waiting.length > 0) this.wake();
      return;
    }
    const { writer } = this.#session;
    while (this.#first < line.length && !writer.blocked && this.#window > 0) {
      const stream = line[this.#first++]!;
      stream.inLine = false;
      const { queue } = stream;
      if (stream.closed || queue.bytes === 0 || stream.sendWindow <= 0) continue;
      const { head, offset } = queue;
      const count = Math.min(head.length - offset, stream.sendWindow, this.#window, DEFAULT_MAX_FRAME_SIZE);
      const last = count === queue.bytes;
      this.#write(
        stream,
        head,
        offset,
        offset + count,
        last && stream.localEnd && stream.pendingTrailers === undefined,
      );
      queue.advance(count);
      this.#session.stats.add(AT.pending_send_bytes, -count);
      if (!last) this.#standInLine(stream);
      else this.#finish(stream);
    }
    if (this.#first === line.length) {
      line.length = 0;
      this.#first = 0;
    } else if (this.#first > 64) {
      line.splice(0, this.#first);
      this.#first = 0;
    }
    this.wake();
  }

  /** Tells those who wait and need not any more. */
  wake(): void {
    const { writer } = this.#session;
    if (this.#waiting.length === 0 || writer.blocked) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const stream of waiting) {
      if (!stream.waits) continue;
      if (stream.over || stream.closed) {
        stream.waits = false;
      } else if (stream.queue.bytes > this.#limit >>> 1 || writer.blocked) {
        this.#waiting.push(stream);
      } else {
        stream.waits = false;
        stream.events.onWritable();
      }
    }
  }

  /** False: more than a window can be. */
  addConnectionWindow(increment: number): boolean {
    this.#window += increment;
    return this.#window <= MAX_WINDOW_SIZE;
  }

  /** False: more than a window can be. */
  addWindow(stream: H2Stream, increment: number): boolean {
    stream.sendWindow += increment;
    this.#standInLine(stream);
    return stream.sendWindow <= MAX_WINDOW_SIZE;
  }

  /** The peer's SETTINGS_INITIAL_WINDOW_SIZE has changed by `delta` (section 6.9.2). False: more than a window can be. */
  changeWindows(delta: number): boolean {
    for (const stream of this.#session.streams.list()) if (!this.addWindow(stream, delta)) return false;
    return true;
  }

  /** The user of `stream` is done; what is left has to make progress within the flush timeout. */
  watch(stream: H2Stream): void {
    if (stream.localEndSent || stream.closed || this.#flushTimeoutMs === 0) return;
    stream.flushTimer = new Timer(new StreamFlush(this.#session, stream));
    this.#session.dispatcher.arm(stream.flushTimer, this.#flushTimeoutMs);
  }

  #write(stream: H2Stream, bytes: Buffer, from: number, to: number, endStream: boolean): void {
    const session = this.#session;
    stream.sendWindow -= to - from;
    this.#window -= to - from;
    session.limits.dataFramesSent++;
    stream.wireBytesSent += session.writer.data(stream.id, bytes, from, to, endStream);
    if (endStream) stream.localEndSent = true;
    else if (stream.flushTimer !== undefined) session.dispatcher.arm(stream.flushTimer, this.#flushTimeoutMs);
  }

  /** Its queue is empty. */
  #finish(stream: H2Stream): void {
    const trailers = stream.pendingTrailers;
    if (trailers !== undefined) {
      stream.pendingTrailers = undefined;
      this.#session.writeTrailers(stream, trailers);
    }
    if (stream.localEndSent) this.#session.onOutputDone(stream);
  }

  #standInLine(stream: H2Stream): void {
    if (stream.inLine || stream.queue.bytes === 0 || stream.sendWindow <= 0) return;
    stream.inLine = true;
    this.#line.push(stream);
  }

  #wait(stream: H2Stream): false {
    if (!stream.waits) {
      stream.waits = true;
      this.#waiting.push(stream);
    }
    return false;
  }
}

/** Ends a stream whose peer doesn't let its last data out. */
class StreamFlush implements TimerTask {
  readonly #session: H2Session;
  readonly #stream: H2Stream;

  constructor(session: H2Session, stream: H2Stream) {
    this.#session = session;
    this.#stream = stream;
  }

  onTimer(): void {
    if (!this.#stream.closed) this.#session.onFlushTimeout(this.#stream);
  }
}
