import type { Http2OptionsModel } from '../../config/cluster-model.ts';
import type { ServerStreamFactory } from './codec.ts';
import type { ConnectionInput, ConnectionOutput } from './connection-io.ts';

/**
 * The server side of one connection's codec, as its connection manager drives it; H1ServerConnection and
 * H2ServerConnection. New streams go to the ServerStreamFactory that it was made with.
 */
export interface ServerCodec extends ConnectionInput {
  /** HTTP/2: GOAWAY that names no stream yet, so that the client starts no new ones while those on their way are served. HTTP/1: nothing. */
  shutdownNotice(): void;
  /** HTTP/2: GOAWAY that names the last stream that was accepted. HTTP/1: nothing. */
  goAway(): void;
  /**
   * Output of streams that are over for their owners is still to leave (flow control, a full socket): the connection
   * isn't to be closed yet. Absent: never.
   */
  readonly hasPendingOutput?: boolean;
}

/** Whom a server codec tells of its streams, and of what concerns the whole connection. Its connection manager. */
export interface ServerCodecOwner extends ServerStreamFactory {
  /**
   * The peer broke the rules of the connection, or flooded it (`flood`). Streams are reset and the connection closes,
   * after this. Once.
   */
  onConnectionError(flood: boolean): void;
  /** Most streams were reset soon and unanswered: the connection is aborted (`downstream_rq_too_many_premature_resets`). */
  onTooManyPrematureResets?(): void;
}

/** Makes the HTTP/2 server codec of a connection. */
export type Http2ServerFactory = (
  output: ConnectionOutput,
  settings: Http2Settings,
  owner: ServerCodecOwner,
) => ServerCodec;

/** Options of an HTTP/2 connection, either side. Limits are Envoy's (Http2ProtocolOptions and what HCM or cluster add). */
export interface Http2Settings extends Http2OptionsModel {
  /** More fields in a header section reset the stream. */
  readonly maxHeadersCount: number;
  /** The same in bytes. */
  readonly maxHeadersBytes: number;
  /** Soft limit of what a stream buffers each way; 0 = none. Over it `sendData` returns false. */
  readonly bufferLimitBytes: number;
  /** Server: what becomes of fields with underscores in their names. Default: allow. */
  readonly headersWithUnderscores?: 'allow' | 'reject-request' | 'drop-header';
  /** Server: how long the rest of a response that is over may make no progress; 0 = for ever. Default 0. */
  readonly streamFlushTimeoutMs?: number;
}
