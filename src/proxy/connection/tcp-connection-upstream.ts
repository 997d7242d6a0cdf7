import type { ConnectionInput } from '../codec/connection-io.ts';
import type { UpstreamTransportOptions } from '../transport-socket/transport-socket.ts';
import type {
  Cluster,
  Host,
  PoolFailureReason,
  TcpPool,
  TcpPoolRequest,
  UpstreamConnection,
} from '../upstream/upstream.ts';
import type { TcpUpstream, TcpUpstreamOwner } from './tcp-upstream.ts';

/** The bytes go over an upstream connection of their own. */
export class TcpConnectionUpstream implements TcpUpstream, TcpPoolRequest, ConnectionInput {
  readonly allowsHalfClose = true;
  owner: TcpUpstreamOwner;
  #pool: TcpPool | undefined = undefined;
  #connection: UpstreamConnection | undefined = undefined;

  constructor(owner: TcpUpstreamOwner) {
    this.owner = owner;
  }

  connect(cluster: Cluster, host: Host, transport: UpstreamTransportOptions | undefined): void {
    this.#pool = cluster.tcpPool(host, 'default', transport);
    this.#pool.newConnection(this);
  }

  cancel(): void {
    this.#pool?.cancel(this);
    this.#pool = undefined;
  }

  onPoolReady(connection: UpstreamConnection): void {
    this.#pool = undefined;
    this.#connection = connection;
    connection.input = this;
    this.owner.onUpstreamReady(connection.host, connection.info);
  }

  onPoolFailure(reason: PoolFailureReason, transportFailure: string, host?: Host): void {
    this.#pool = undefined;
    this.owner.onUpstreamFailure(reason, transportFailure, host);
  }

  // ---- to the upstream --------------------------------------------------------------------------------------------

  get bufferedBytes(): number {
    return this.#connection?.bufferedBytes ?? 0;
  }

  write(chunk: Buffer): boolean {
    return this.#connection!.write(chunk);
  }

  endWrite(): void {
    this.#connection?.endWrite();
  }

  pauseRead(): void {
    this.#connection?.pauseRead();
  }

  resumeRead(): void {
    this.#connection?.resumeRead();
  }

  close(how: 'flush' | 'abort' | 'reset'): void {
    this.#connection?.close(how);
  }

  // ---- from the upstream ------------------------------------------------------------------------------------------

  onData(chunk: Buffer): void {
    this.owner.onUpstreamData(chunk);
  }

  onEnd(): void {
    this.owner.onUpstreamEnd();
  }

  onDrain(): void {
    this.owner.onUpstreamDrain();
  }

  onClose(): void {
    const reset = this.#connection?.wasReset ?? false;
    this.#connection = undefined;
    this.owner.onUpstreamClose(reset);
  }

  flush(): void {}
}
