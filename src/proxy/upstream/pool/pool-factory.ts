import type { Dispatcher } from '../../dispatcher.ts';
import type { PoolFactory } from '../cluster.ts';
import type { ConnectionFactory } from './connection.ts';
import { connectUpstream, type Connector } from './connector.ts';
import { HttpProtocolChoice, type HttpCodecs } from './http-protocol.ts';
import { StreamPool } from './stream-pool.ts';
import { TcpConnectionPool } from './tcp.ts';

export interface PoolOptions {
  readonly dispatcher: Dispatcher;
  readonly codecs: HttpCodecs;
  /** Numbers unique in the process; shared with downstream connections. */
  nextConnectionId(): number;
  /** Real sockets by default. */
  readonly connector?: Connector;
}

/** How a worker's clusters make their pools. */
export function poolFactory(options: PoolOptions): PoolFactory {
  const factory: ConnectionFactory = {
    dispatcher: options.dispatcher,
    connector: options.connector ?? connectUpstream,
    nextConnectionId: () => options.nextConnectionId(),
  };
  return {
    createPool: (scope, version) =>
      new StreamPool(scope, new HttpProtocolChoice(scope.cluster, version, options.codecs), factory),
    createTcpPool: (scope) => new TcpConnectionPool(scope, factory),
  };
}
