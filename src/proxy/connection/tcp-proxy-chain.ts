import type { TcpProxyModel } from '../../config/tcp-proxy-model.ts';
import type { ConnectionInput } from '../codec/connection-io.ts';
import type { FilterChain } from '../listener/listener.ts';
import type { WorkerContext } from '../worker-context.ts';
import type { DownstreamConnection } from './downstream-connection.ts';
import { TcpProxyConfig } from './tcp-proxy-config.ts';
import { TcpProxy } from './tcp-proxy.ts';

/** A filter chain that ends in a TCP proxy. */
export class TcpProxyChain implements FilterChain {
  readonly delayedCloseTimeoutMs = 0;
  readonly allowsHalfClose = true;
  readonly #config: TcpProxyConfig;

  constructor(model: TcpProxyModel, worker: WorkerContext) {
    this.#config = new TcpProxyConfig(model, worker);
  }

  onConnection(connection: DownstreamConnection): ConnectionInput {
    const proxy = new TcpProxy(this.#config, connection);
    proxy.start();
    return proxy;
  }

  prepareConnection(connection: DownstreamConnection): TcpProxy {
    return new TcpProxy(this.#config, connection);
  }

  onDelayedCloseTimeout(): void {}

  /** As in Envoy, proxied connections go on until the listener's drain time is over. */
  drain(): void {}
}
