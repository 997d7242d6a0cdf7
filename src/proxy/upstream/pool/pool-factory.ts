import type { Dispatcher } from '../../dispatcher.ts';
import type { ClusterEnvironment } from '../cluster.ts';
import { connectRawBuffer, type Connector } from './connector.ts';
import { Http1Pool } from './h1.ts';
import type { Http1ConnectionFactory } from './h1-connection.ts';
import type { Http1CodecFactory } from './http1-codec.ts';

export interface Http1PoolOptions {
  readonly dispatcher: Dispatcher;
  readonly createCodec: Http1CodecFactory;
  /** Numbers unique in the process; shared with downstream connections. */
  nextConnectionId(): number;
  /** Plain TCP and Unix sockets by default. */
  readonly connector?: Connector;
}

/** How a worker's clusters make their pools. */
export function http1PoolFactory(options: Http1PoolOptions): ClusterEnvironment['createPool'] {
  const factory: Http1ConnectionFactory = {
    dispatcher: options.dispatcher,
    connector: options.connector ?? connectRawBuffer,
    createCodec: options.createCodec,
    nextConnectionId: () => options.nextConnectionId(),
  };
  return (cluster, host, priority) => new Http1Pool(cluster, host, priority, factory);
}
