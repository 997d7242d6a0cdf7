import type { StatBlock } from '../../../telemetry/stats/stats.ts';
import { HTTP2_CODEC_STATS } from '../../../telemetry/stats/http2-stats.ts';
import type { Dispatcher, Flushable } from '../../dispatcher.ts';
import type { ConnectionOutput } from '../connection-io.ts';
import { currentRead, writeOther } from '../read-buffer.ts';
import type { Http2Settings } from '../server-codec.ts';
import { DEFAULT_MAX_FRAME_SIZE, Flag, FRAME_HEADER_SIZE, FrameType } from './frame.ts';
import { ByteWriter } from './hpack/byte-writer.ts';
import { OutboundLimits } from './outbound-limits.ts';

const AT = HTTP2_CODEC_STATS.at;

/** What is gathered is written before the turn ends when there is more of it than this. */
const WRITE_AT = 64 * 1024;
const CAPACITY = WRITE_AT + DEFAULT_MAX_FRAME_SIZE;
/** Up to this much is copied where sockets keep what they are given: less than a new buffer to gather in costs. */
const COPIED = 8 * 1024;
const MAX_SPARE = 4;

/** Memory to gather in, of connections that have nothing to write now. A pure cache. */
const spare: ByteWriter[] = [];

/** Gathers the frames that a connection sends during a turn, so that they leave in one write. */
export class FrameWriter {
  /** The socket is over its high watermark: no DATA is to be added. */
  blocked = false;
  /** The peer's SETTINGS_MAX_FRAME_SIZE. Used for header blocks; DATA stays in small frames, so that streams take turns. */
  maxFrameSize = DEFAULT_MAX_FRAME_SIZE;
  readonly #output: ConnectionOutput;
  readonly #dispatcher: Dispatcher;
  readonly #owner: Flushable;
  readonly #stats: StatBlock;
  readonly #limits: OutboundLimits;
  #out: ByteWriter | undefined = undefined;
  #dirty = false;
  /** The socket kept what it was given last. */
  #kept = false;
  /** Where the header of the frame added last stands, if that is DATA which may be added to; else -1. */
  #dataAt = -1;
  #dataStream = 0;
  #dataLength = 0;
  #headersAt = 0;

  constructor(
    output: ConnectionOutput,
    dispatcher: Dispatcher,
    owner: Flushable,
    settings: Http2Settings,
    stats: StatBlock,
  ) {
    this.#output = output;
    this.#dispatcher = dispatcher;
    this.#owner = owner;
    this.#stats = stats;
    this.#limits = new OutboundLimits(output, settings, stats);
  }

  /** Has the owner's `flush` called at the end of this turn. */
  schedule(): void {
    if (this.#dirty) return;
    this.#dirty = true;
    this.#dispatcher.markDirty(this.#owner);
  }

  /** Bytes that wait to be written at the end of the turn. */
  get gathered(): number {
    return this.#out === undefined ? 0 : this.#out.size;
  }

  /** Which limit on frames that the peer doesn't read is exceeded. */
  get flooded(): 'frames' | 'control frames' | undefined {
    return this.#limits.flood(this.blocked);
  }

  /** The socket has sent all that it had. */
  drained(): void {
    this.blocked = false;
    this.#limits.settle(false);
  }

  // ---- frames -----------------------------------------------------------------------------------------------------

  /** Bytes that are no frame of the above: the preface. */
  raw(bytes: Buffer): void {
    const out = this.#room(bytes.length);
    out.bytes.set(bytes, out.size);
    out.size += bytes.length;
  }

  settings(payload: Buffer): void {
    this.#start(payload.length, FrameType.SETTINGS, 0, 0, false);
    const out = this.#out!;
    out.bytes.set(payload, out.size);
    out.size += payload.length;
  }

  settingsAck(): void {
    this.#start(0, FrameType.SETTINGS, Flag.ACK, 0, true);
  }

  /** `bytes[at..at + 8)`. */
  ping(bytes: Buffer, at: number, ack: boolean): void {
    this.#start(8, FrameType.PING, ack ? Flag.ACK : 0, 0, ack);
    const out = this.#out!;
    bytes.copy(out.bytes, out.size, at, at + 8);
    out.size += 8;
  }

  goAway(lastStream: number, code: number): void {
    this.#start(8, FrameType.GOAWAY, 0, 0, false);
    this.#word(lastStream);
    this.#word(code);
  }

  rstStream(stream: number, code: number): void {
    this.#start(4, FrameType.RST_STREAM, 0, stream, true);
    this.#word(code);
    this.#stats.inc(AT.tx_reset);
  }

  windowUpdate(stream: number, increment: number): void {
    this.#start(4, FrameType.WINDOW_UPDATE, 0, stream, false);
    this.#word(increment);
  }

  /** Begins a header block; the encoder adds it to what is returned, then comes `endHeaders`. */
  beginHeaders(): ByteWriter {
    const out = this.#room(FRAME_HEADER_SIZE);
    this.#headersAt = out.size;
    out.size += FRAME_HEADER_SIZE;
    return out;
  }

  /** Makes HEADERS, and CONTINUATION where it takes more than a frame. Returns their bytes on the wire. */
  endHeaders(stream: number, endStream: boolean): number {
    const out = this.#out!;
    const at = this.#headersAt;
    const length = out.size - at - FRAME_HEADER_SIZE;
    const end = endStream ? Flag.END_STREAM : 0;
    this.#limits.add(false);
    if (length <= this.maxFrameSize) {
      writeHeader(out.bytes, at, length, FrameType.HEADERS, end | Flag.END_HEADERS, stream);
      return length + FRAME_HEADER_SIZE;
    }
    const block = Buffer.from(out.bytes.subarray(at + FRAME_HEADER_SIZE, out.size));
    out.size = at;
    for (let from = 0; from < length; from += this.maxFrameSize) {
      const to = Math.min(length, from + this.maxFrameSize);
      const flags = (from === 0 ? end : 0) | (to === length ? Flag.END_HEADERS : 0);
      out.reserve(FRAME_HEADER_SIZE + to - from);
      writeHeader(
        out.bytes,
        out.size,
        to - from,
        from === 0 ? FrameType.HEADERS : FrameType.CONTINUATION,
        flags,
        stream,
      );
      out.bytes.set(block.subarray(from, to), out.size + FRAME_HEADER_SIZE);
      out.size += FRAME_HEADER_SIZE + to - from;
      if (from > 0) this.#limits.add(false);
    }
    return out.size - at;
  }

  /** One frame of `chunk[from..to)`, at most DEFAULT_MAX_FRAME_SIZE, copied. Returns the bytes it adds to the wire. */
  data(stream: number, chunk: Buffer, from: number, to: number, endStream: boolean): number {
    const length = to - from;
    const open = this.#dataAt;
    if (open !== -1 && this.#dataStream === stream && this.#dataLength + length <= DEFAULT_MAX_FRAME_SIZE) {
      // What came in pieces of a few bytes doesn't leave as frames of a few bytes.
      const out = this.#room(length);
      chunk.copy(out.bytes, out.size, from, to);
      out.size += length;
      this.#dataLength += length;
      writeHeader(out.bytes, open, this.#dataLength, FrameType.DATA, endStream ? Flag.END_STREAM : 0, stream);
      if (endStream) this.#dataAt = -1;
      else if (out.size > WRITE_AT) this.write();
      else this.#dataAt = open;
      return length;
    }
    const out = this.#room(FRAME_HEADER_SIZE + length);
    const at = out.size;
    this.#limits.add(false);
    writeHeader(out.bytes, at, length, FrameType.DATA, endStream ? Flag.END_STREAM : 0, stream);
    chunk.copy(out.bytes, at + FRAME_HEADER_SIZE, from, to);
    out.size = at + FRAME_HEADER_SIZE + length;
    if (!endStream) {
      this.#dataAt = at;
      this.#dataStream = stream;
      this.#dataLength = length;
    }
    if (out.size > WRITE_AT) this.write();
    return FRAME_HEADER_SIZE + length;
  }

  #start(length: number, type: number, flags: number, stream: number, control: boolean): void {
    const out = this.#room(FRAME_HEADER_SIZE + length);
    writeHeader(out.bytes, out.size, length, type, flags, stream);
    out.size += FRAME_HEADER_SIZE;
    this.#limits.add(control);
  }

  #word(value: number): void {
    const out = this.#out!;
    const { bytes } = out;
    let at = out.size;
    bytes[at++] = value >>> 24;
    bytes[at++] = value >>> 16;
    bytes[at++] = value >>> 8;
    bytes[at++] = value;
    out.size = at;
  }

  #room(count: number): ByteWriter {
    let out = this.#out;
    if (out === undefined) {
      out = this.#out = spare.pop() ?? new ByteWriter(CAPACITY);
      this.schedule();
    }
    out.reserve(count);
    this.#dataAt = -1;
    return out;
  }

  // ---- writing ----------------------------------------------------------------------------------------------------

  /** The owner's turn to be flushed has come: what is added from now on schedules it anew. */
  beginFlush(): void {
    this.#dirty = false;
  }

  /** Writes what was gathered. */
  write(): void {
    const out = this.#out;
    if (out !== undefined) {
      this.#out = undefined;
      this.#dataAt = -1;
      if (out.size > 0) this.#send(out);
      else if (spare.length < MAX_SPARE) spare.push(out);
    }
  }

  #send(out: ByteWriter): void {
    const copied = this.#kept && out.size <= COPIED;
    const bytes = out.bytes.subarray(0, out.size);
    if (!writeOther(this.#output, copied ? Buffer.from(bytes) : bytes)) this.blocked = true;
    this.#kept = currentRead.otherKept;
    this.#limits.written(bytes.length, this.blocked);
    if ((copied || !this.#kept) && spare.length < MAX_SPARE && out.bytes.length <= 2 * CAPACITY) {
      out.size = 0;
      spare.push(out);
    }
  }

  /** The connection is gone. */
  close(): void {
    const out = this.#out;
    this.#out = undefined;
    this.#dataAt = -1;
    if (out !== undefined && spare.length < MAX_SPARE) {
      out.size = 0;
      spare.push(out);
    }
    this.#limits.close();
  }
}

function writeHeader(bytes: Buffer, at: number, length: number, type: number, flags: number, stream: number): void {
  bytes[at] = length >>> 16;
  bytes[at + 1] = length >>> 8;
  bytes[at + 2] = length;
  bytes[at + 3] = type;
  bytes[at + 4] = flags;
  bytes[at + 5] = stream >>> 24;
  bytes[at + 6] = stream >>> 16;
  bytes[at + 7] = stream >>> 8;
  bytes[at + 8] = stream;
}
