import type { Dispatcher } from '../../dispatcher.ts';
import type { DrainableTcpPool } from '../cluster.ts';
import type { TcpPoolRequest, UpstreamConnection } from '../upstream.ts';
import type { ConnectionFactory } from './connection.ts';
import { StreamPool, type PoolScope } from './stream-pool.ts';
import { TcpProtocol } from './tcp-client.ts';

/**
 * Connections to one host for TCP proxies. One is begun for each request; it waits for the next one if its own was
 * cancelled meanwhile.
 */
export class TcpConnectionPool implements DrainableTcpPool {
  readonly #pool: StreamPool<TcpPoolRequest, UpstreamConnection>;
  readonly #dispatcher: Dispatcher;
  /** Requests that were given a connection but not told yet. */
  readonly #ready: { request: TcpPoolRequest | undefined; readonly connection: UpstreamConnection }[] = [];
  readonly #tellReady = (): void => {
    for (const { request, connection } of this.#ready.splice(0)) request?.onPoolReady(connection);
  };

  constructor(scope: PoolScope, factory: ConnectionFactory) {
    this.#pool = new StreamPool(scope, new TcpProtocol(scope.cluster.model.tcpIdleTimeoutMs), factory);
    this.#dispatcher = factory.dispatcher;
  }

  newConnection(request: TcpPoolRequest): void {
    const connection = this.#pool.newStream(request);
    if (connection === undefined) return;
    this.#ready.push({ request, connection });
    if (this.#ready.length === 1) this.#dispatcher.post(this.#tellReady);
  }

  cancel(request: TcpPoolRequest): void {
    for (const ready of this.#ready) {
      if (ready.request !== request) continue;
      ready.request = undefined;
      ready.connection.close('abort');
      return;
    }
    this.#pool.cancel(request);
  }

  drain(): void {
    this.#pool.drain();
  }

  closeConnections(): void {
    this.#pool.closeConnections();
  }
}
