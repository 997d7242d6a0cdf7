import type { TcpProxyModel } from '../../config/tcp-proxy-model.ts';
import type { ConnectionInput } from '../codec/connection-io.ts';
import type { FilterChain } from '../listener/listener.ts';
import type { WorkerContext } from '../worker-context.ts';
import type { DownstreamConnection } from './downstream-connection.ts';

/** A filter chain that ends in a TCP proxy. */
export class TcpProxyChain implements FilterChain {
  readonly delayedCloseTimeoutMs = 0;
  readonly allowsHalfClose = true;

  constructor(_model: TcpProxyModel, _worker: WorkerContext) {
    throw new Error('not implemented');
  }

  onConnection(_connection: DownstreamConnection): ConnectionInput | undefined {
    return undefined;
  }

  onDelayedCloseTimeout(): void {}

  drain(): void {}
}
