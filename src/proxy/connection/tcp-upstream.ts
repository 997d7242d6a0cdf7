import type { ConnectionInfo } from '../../filters/stream-info.ts';
import type { Cluster, Host, PoolFailureReason } from '../upstream/upstream.ts';
import type { UpstreamTransportOptions } from '../transport-socket/transport-socket.ts';

/**
 * Where the bytes of one downstream connection go: a connection of their own, or a tunnel in an HTTP stream. One
 * object an attempt.
 */
export interface TcpUpstream {
  /** Whoever hears of it; can be replaced. */
  owner: TcpUpstreamOwner;
  /** Asks for it; the owner hears later how that went. */
  connect(cluster: Cluster, host: Host, transport: UpstreamTransportOptions | undefined): void;
  /** Gives up before it is ready. */
  cancel(): void;
  /** False: over the high watermark; `onUpstreamDrain` follows. */
  write(chunk: Buffer): boolean;
  endWrite(): void;
  pauseRead(): void;
  resumeRead(): void;
  /** `flush`: once what was written has left; `onUpstreamClose` tells. */
  close(how: 'flush' | 'abort' | 'reset'): void;
  /** Bytes written that the system hasn't taken yet. */
  readonly bufferedBytes: number;
}

/** Every call is made inside a dispatcher turn, and none from inside a call of TcpUpstream. */
export interface TcpUpstreamOwner {
  onUpstreamReady(host: Host, connection: ConnectionInfo): void;
  /** It didn't come to be: the last call. See PoolRequest. */
  onUpstreamFailure(reason: PoolFailureReason, transportFailure: string, host: Host | undefined): void;
  /** Borrowed. */
  onUpstreamData(chunk: Buffer): void;
  /** It has half-closed. */
  onUpstreamEnd(): void;
  onUpstreamDrain(): void;
  /** It is gone: the last call. `reset`: with a RST. */
  onUpstreamClose(reset: boolean): void;
}
