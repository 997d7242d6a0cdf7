import type { Http1Settings, StreamEvents, StreamHandle } from '../../codec/codec.ts';
import type { ConnectionInput, ConnectionOutput } from '../../codec/connection-io.ts';
import type { Dispatcher } from '../../dispatcher.ts';

/** The client half of the HTTP/1 codec, as a pooled connection drives it. */
export interface Http1Codec extends ConnectionInput {
  /** Starts the one exchange that can be in flight; its events go to `events`. */
  newStream(events: StreamEvents): Http1CodecStream;
}

export interface Http1CodecStream extends StreamHandle {
  readonly wireBytesSent: number;
  readonly wireBytesReceived: number;
  readonly headerBytesReceived: number;
}

/**
 * How an exchange ended. `reusable`: both messages are complete, the next may follow. `close`: complete, but this
 * connection can carry no other. `close-notify`: the same, because the upstream said so. `reset`: not complete.
 */
export type ExchangeEnd = 'reusable' | 'close' | 'close-notify' | 'reset';

/** What a codec tells the connection it is on, apart from the events of the stream. */
export interface Http1CodecOwner {
  /** After the last event of the stream; or when it reset itself. Once a stream. */
  onExchangeEnd(end: ExchangeEnd): void;
  /** The upstream broke the protocol. The codec closes the connection itself, after this. */
  onProtocolError(): void;
}

export type Http1CodecFactory = (
  output: ConnectionOutput,
  dispatcher: Dispatcher,
  settings: Http1Settings,
  owner: Http1CodecOwner,
) => Http1Codec;
