import type { Http2OptionsModel } from '../../config/cluster-model.ts';
import type { ConnectionInput } from './connection-io.ts';

/**
 * The server side of one connection's codec, as its connection manager drives it; H1ServerConnection and
 * H2ServerConnection. New streams go to the ServerStreamFactory that it was made with.
 */
export interface ServerCodec extends ConnectionInput {
  /** HTTP/2: GOAWAY that names no stream yet, so that the client starts no new ones while those on their way are served. HTTP/1: nothing. */
  shutdownNotice(): void;
  /** HTTP/2: GOAWAY that names the last stream that was accepted. HTTP/1: nothing. */
  goAway(): void;
}

/** Options of an HTTP/2 connection, either side. Limits are Envoy's (Http2ProtocolOptions and what HCM or cluster add). */
export interface Http2Settings extends Http2OptionsModel {
  /** More fields in a header section reset the stream (server: 431). */
  readonly maxHeadersCount: number;
  /** The same in bytes. */
  readonly maxHeadersBytes: number;
  /** Soft limit of what a stream buffers each way; 0 = none. Over it `sendData` returns false. */
  readonly bufferLimitBytes: number;
}
