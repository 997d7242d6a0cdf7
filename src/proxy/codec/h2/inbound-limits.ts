import type { StatBlock } from '../../../telemetry/stats/stats.ts';
import { HTTP2_CODEC_STATS } from '../../../telemetry/stats/http2-stats.ts';
import type { Http2Settings } from '../server-codec.ts';
import { Flag, FrameType } from './frame.ts';

const AT = HTTP2_CODEC_STATS.at;

/** Which limit a peer went over; undefined = none. */
export type InboundFlood = 'empty frames' | 'PRIORITY' | 'WINDOW_UPDATE' | undefined;

/**
 * Limits on frames that cost a peer nothing and us something, as Envoy has them: without payload, PRIORITY and
 * WINDOW_UPDATE in proportion to streams and to what we sent. Floods of PING, SETTINGS and RST_STREAM show in what we
 * answer; see OutboundLimits.
 */
export class InboundLimits {
  /** DATA frames that we have sent. */
  dataFramesSent = 0;
  readonly #stats: StatBlock;
  readonly #maxEmpty: number;
  readonly #maxPriority: number;
  readonly #maxWindowUpdates: number;
  #streams = 0;
  #empty = 0;
  #priorities = 0;
  #windowUpdates = 0;

  constructor(settings: Http2Settings, stats: StatBlock) {
    this.#stats = stats;
    this.#maxEmpty = settings.maxConsecutiveInboundFramesWithEmptyPayload;
    this.#maxPriority = settings.maxInboundPriorityFramesPerStream;
    this.#maxWindowUpdates = settings.maxInboundWindowUpdateFramesPerDataFrameSent;
  }

  /** We have started a stream. */
  streamOpened(): void {
    this.#streams++;
  }

  /** A header block is complete. */
  headersEnded(): void {
    this.#streams++;
  }

  /** HEADERS, CONTINUATION or DATA: `length` without padding. */
  payload(length: number, flags: number): InboundFlood {
    if (length > 0 || (flags & Flag.END_STREAM) !== 0) {
      this.#empty = 0;
      return undefined;
    }
    if (++this.#empty <= this.#maxEmpty) return undefined;
    this.#stats.inc(AT.inbound_empty_frames_flood);
    return 'empty frames';
  }

  /** Any other frame. */
  frame(type: number): InboundFlood {
    if (type === FrameType.PRIORITY) {
      if (++this.#priorities <= this.#maxPriority * (1 + this.#streams)) return undefined;
      this.#stats.inc(AT.inbound_priority_frames_flood);
      return 'PRIORITY';
    }
    if (type === FrameType.WINDOW_UPDATE) {
      const allowed = 1 + 2 * (this.#streams + this.#maxWindowUpdates * this.dataFramesSent);
      if (++this.#windowUpdates <= allowed) return undefined;
      this.#stats.inc(AT.inbound_window_update_frames_flood);
      return 'WINDOW_UPDATE';
    }
    return undefined;
  }
}
