import type { StatBlock } from '../../../telemetry/stats/stats.ts';
import type { StreamEvents, StreamHandle, StreamResetReason } from '../../codec/codec.ts';
import type { ConnectionInput, ConnectionOutput } from '../../codec/connection-io.ts';
import type { Http2Settings } from '../../codec/server-codec.ts';
import type { Dispatcher } from '../../dispatcher.ts';

/** The client half of the HTTP/2 codec (codec/h2/client.ts), as a pooled connection drives it. */
export interface Http2Codec extends ConnectionInput {
  /** Starts a stream; its events go to `events`. The pool sees to it that the peer's limit of streams is kept. */
  newStream(events: StreamEvents): Http2CodecStream;
  /** Streams that the peer lets us have open at once (SETTINGS_MAX_CONCURRENT_STREAMS), within our own setting. */
  readonly maxConcurrentStreams: number;
  /** SETTINGS_ENABLE_CONNECT_PROTOCOL came with 1. */
  readonly peerAllowsConnect: boolean;
  /** GOAWAY from us: the connection takes no pushes and closes when its streams are over. */
  goAway(): void;
}

export interface Http2CodecStream extends StreamHandle {
  readonly wireBytesSent: number;
  readonly wireBytesReceived: number;
  readonly headerBytesSent: number;
  readonly headerBytesReceived: number;
}

/** What a codec tells the connection it is on, apart from the events of its streams. */
export interface Http2CodecOwner {
  /**
   * After the last event of a stream, or when it reset itself. Once a stream. `reason`: of the reset, whoever made it;
   * undefined when both directions came to their ends.
   */
  onStreamEnd(stream: Http2CodecStream, reason: StreamResetReason | undefined): void;
  /** The peer's SETTINGS have come, or changed. */
  onSettings(): void;
  /**
   * GOAWAY from the peer: no further streams. Those that it will not serve are reset with 'remote refused stream reset'
   * right after.
   */
  onGoAway(): void;
  /** The peer broke the protocol (`upstream_cx_protocol_error`). The codec sends GOAWAY and closes, after this. */
  onProtocolError(): void;
  /** No PING was answered in time; the codec closes the connection, after this. */
  onKeepaliveTimeout(): void;
}

/** `stats`: HTTP2_CODEC_STATS of the cluster. */
export type Http2CodecFactory = (
  output: ConnectionOutput,
  dispatcher: Dispatcher,
  settings: Http2Settings,
  owner: Http2CodecOwner,
  stats: StatBlock,
) => Http2Codec;
