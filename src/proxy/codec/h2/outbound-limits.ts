import type { StatBlock } from '../../../telemetry/stats/stats.ts';
import { HTTP2_CODEC_STATS } from '../../../telemetry/stats/http2-stats.ts';
import type { ConnectionOutput } from '../connection-io.ts';
import type { Http2Settings } from '../server-codec.ts';

const AT = HTTP2_CODEC_STATS.at;

/**
 * Counts the frames that the peer hasn't taken: one that makes us answer and doesn't read has its connection closed
 * (Envoy's max_outbound_frames and max_outbound_control_frames). Of the socket only the number of bytes in its buffer is
 * known, so frames are let go by the writes they were in: never too early, and a while too late where writes keep
 * coming while the buffer isn't empty.
 */
export class OutboundLimits {
  readonly #output: ConnectionOutput;
  readonly #stats: StatBlock;
  readonly #maxFrames: number;
  readonly #maxControlFrames: number;
  /** Since the connection began: frames, and the control frames among them. */
  #frames = 0;
  #controlFrames = 0;
  /** Of them those that were written, in how many bytes. */
  #writtenFrames = 0;
  #writtenControlFrames = 0;
  #bytes = 0;
  /** Of them those that have left. */
  #goneFrames = 0;
  #goneControlFrames = 0;
  /** Of them those that were written when so many bytes had been. */
  #markBytes = 0;
  #markFrames = 0;
  #markControlFrames = 0;
  #reportedFrames = 0;
  #reportedControlFrames = 0;

  constructor(output: ConnectionOutput, settings: Http2Settings, stats: StatBlock) {
    this.#output = output;
    this.#stats = stats;
    this.#maxFrames = settings.maxOutboundFrames;
    this.#maxControlFrames = settings.maxOutboundControlFrames;
  }

  /** A frame is gathered. `control`: it answers one of the peer's, or resets a stream. */
  add(control: boolean): void {
    this.#frames++;
    if (control) this.#controlFrames++;
  }

  /** All frames so far were written, the last of them in `bytes` bytes. `blocked`: the socket is over its high watermark. */
  written(bytes: number, blocked: boolean): void {
    this.#writtenFrames = this.#frames;
    this.#writtenControlFrames = this.#controlFrames;
    this.#bytes += bytes;
    this.settle(blocked);
    this.#report();
  }

  /** Lets go of what has left meanwhile. */
  settle(blocked: boolean): void {
    const buffered = this.#output.bufferedBytes ?? (blocked ? Infinity : 0);
    if (buffered === 0) {
      this.#letGo(this.#writtenFrames, this.#writtenControlFrames);
    } else if (this.#bytes - buffered >= this.#markBytes) {
      this.#letGo(this.#markFrames, this.#markControlFrames);
      this.#markBytes = this.#bytes;
      this.#markFrames = this.#writtenFrames;
      this.#markControlFrames = this.#writtenControlFrames;
    }
  }

  /** Which limit is exceeded. */
  flood(blocked: boolean): 'frames' | 'control frames' | undefined {
    if (!this.#isOver()) return undefined;
    this.settle(blocked);
    if (!this.#isOver()) return undefined;
    return this.#frames - this.#goneFrames > this.#maxFrames ? 'frames' : 'control frames';
  }

  /** The connection is gone. */
  close(): void {
    this.#letGo(this.#frames, this.#controlFrames);
    this.#report();
  }

  #isOver(): boolean {
    return (
      this.#frames - this.#goneFrames > this.#maxFrames ||
      this.#controlFrames - this.#goneControlFrames > this.#maxControlFrames
    );
  }

  #letGo(frames: number, controlFrames: number): void {
    // The mark may be older than the time when all had left.
    if (frames <= this.#goneFrames) return;
    this.#goneFrames = frames;
    this.#goneControlFrames = controlFrames;
  }

  #report(): void {
    const frames = this.#frames - this.#goneFrames;
    if (frames !== this.#reportedFrames) {
      this.#stats.add(AT.outbound_frames_active, frames - this.#reportedFrames);
      this.#reportedFrames = frames;
    }
    const controlFrames = this.#controlFrames - this.#goneControlFrames;
    if (controlFrames !== this.#reportedControlFrames) {
      this.#stats.add(AT.outbound_control_frames_active, controlFrames - this.#reportedControlFrames);
      this.#reportedControlFrames = controlFrames;
    }
  }
}
