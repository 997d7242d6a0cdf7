import type { ConnectionInfo } from '../../../filters/stream-info.ts';
import type { ConnectionInput } from '../../codec/connection-io.ts';
import type { UpstreamHost } from '../host.ts';
import type { TcpPoolRequest, UpstreamConnection } from '../upstream.ts';
import type { PooledConnection, PoolProtocol, ProtocolClient } from './connection.ts';
import type { UpstreamSocket } from './connector.ts';

/** A connection that carries whatever its one user sends. It is never used twice. */
export class TcpClient implements ProtocolClient<TcpPoolRequest, UpstreamConnection>, UpstreamConnection {
  input: ConnectionInput | undefined = undefined;
  readonly #connection: PooledConnection<TcpPoolRequest, UpstreamConnection>;
  readonly #socket: UpstreamSocket;

  constructor(connection: PooledConnection<TcpPoolRequest, UpstreamConnection>, socket: UpstreamSocket) {
    this.#connection = connection;
    this.#socket = socket;
    // What a server says first waits for somebody to say it to.
    socket.pauseRead();
  }

  attach(_request: TcpPoolRequest): UpstreamConnection {
    this.#connection.draining = true;
    // However it ends, it ends with its user on it.
    this.#connection.cutOff = true;
    this.#socket.resumeRead();
    return this;
  }

  // ---- to the socket ----------------------------------------------------------------------------------------------

  get host(): UpstreamHost {
    return this.#connection.host;
  }

  get info(): ConnectionInfo {
    return this.#connection.info;
  }

  write(data: string | Uint8Array): boolean {
    return this.#socket.write(data);
  }

  endWrite(): void {
    this.#socket.endWrite();
  }

  pauseRead(): void {
    this.#socket.pauseRead();
  }

  resumeRead(): void {
    this.#socket.resumeRead();
  }

  get bufferedBytes(): number {
    return this.#socket.bufferedBytes;
  }

  get wasReset(): boolean {
    return this.#socket.wasReset;
  }

  close(how: 'flush' | 'flush-no-delay' | 'abort' | 'reset'): void {
    this.#connection.closing = true;
    this.#socket.close(how);
  }

  // ---- from the socket --------------------------------------------------------------------------------------------

  get allowsHalfClose(): boolean {
    return this.input?.allowsHalfClose ?? false;
  }

  onData(chunk: Buffer): void {
    this.input?.onData(chunk);
  }

  onEnd(): void {
    this.input?.onEnd();
    if (!this.allowsHalfClose) this.#connection.closing = true;
  }

  onDrain(): void {
    this.input?.onDrain();
  }

  onClose(): void {
    this.#connection.closing = true;
    const { input } = this;
    this.input = undefined;
    input?.onClose();
  }

  flush(): void {
    this.input?.flush();
  }
}

/** Each connection takes one user. */
export class TcpProtocol implements PoolProtocol<TcpPoolRequest, UpstreamConnection> {
  readonly assumedStreams = 1;
  readonly alpnFallback: readonly string[] = [];
  readonly idleTimeoutMs: number;

  constructor(idleTimeoutMs: number) {
    this.idleTimeoutMs = idleTimeoutMs;
  }

  onBegin(): void {}

  createClient(connection: PooledConnection<TcpPoolRequest, UpstreamConnection>, socket: UpstreamSocket): TcpClient {
    return new TcpClient(connection, socket);
  }
}
