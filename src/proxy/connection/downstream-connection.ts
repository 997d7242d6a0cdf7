import type { ConnectionInfo } from '../../filters/stream-info.ts';
import type { HalfClosableOutput } from '../codec/connection-io.ts';
import type { MutableStreamInfo } from '../http/stream-info.ts';
import type { CloseMode } from './connection.ts';

/** An accepted connection, as the end of its filter chain uses it: the socket itself, or what network filters let through. */
export interface DownstreamConnection extends HalfClosableOutput {
  readonly info: ConnectionInfo;
  /** Of the connection: what its network filters, the TCP proxy and the listener's access log share. */
  readonly streamInfo: MutableStreamInfo;
  /** False until a transport socket's handshake is done. */
  readonly isEstablished: boolean;
  readonly bytesReceived: number;
  /** Bytes handed to the socket so far. */
  readonly bytesSent: number;
  /** We ended it, not the peer; valid once it is closed. */
  readonly closedLocally: boolean;
  /** The peer ended it with a RST; valid once it is closed. */
  readonly wasReset: boolean;
  /** Bytes written that the system hasn't taken yet. */
  readonly bufferedBytes: number;
  /** Bytes that the peer has sent and nobody has looked at: they are lost if the connection is closed. */
  readonly unreadBytes: number;
  /** Soft limit of what the connection buffers each way, in bytes. */
  readonly bufferLimit: number;
  readonly isClosed: boolean;
  /** True: this connection should go, by the drain state of its listener or of the server (a die may be cast). */
  shouldDrain(): boolean;
  /** `details`: %CONNECTION_TERMINATION_DETAILS%; the first that is given stays. */
  close(how: CloseMode, details?: string): void;
}
