import type { ClusterModel } from '../../../config/cluster-model.ts';
import type { NetworkFilterForConnection } from '../../../filters/network/filter.ts';
import type { Dispatcher } from '../../dispatcher.ts';
import type { PoolFactory } from '../cluster.ts';
import type { ConnectionFactory } from './connection.ts';
import { connectUpstream, type Connector } from './connector.ts';
import { connectWithFilters } from './filtered-socket.ts';
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
  /** Compiles the network filters of a cluster; asked once a cluster. Absent: there are none. */
  compileFilters?(cluster: ClusterModel): readonly NetworkFilterForConnection[];
}

/** How a worker's clusters make their pools. */
export function poolFactory(options: PoolOptions): PoolFactory {
  const filters = new WeakMap<ClusterModel, readonly NetworkFilterForConnection[]>();
  const factory: ConnectionFactory = {
    dispatcher: options.dispatcher,
    connector: connectWithFilters(options.connector ?? connectUpstream),
    networkFilters(cluster) {
      let compiled = filters.get(cluster);
      if (compiled === undefined) filters.set(cluster, (compiled = options.compileFilters?.(cluster) ?? []));
      return compiled;
    },
    nextConnectionId: () => options.nextConnectionId(),
  };
  return {
    createPool: (scope, version) =>
      new StreamPool(scope, new HttpProtocolChoice(scope.cluster, version, options.codecs), factory),
    createTcpPool: (scope) => new TcpConnectionPool(scope, factory),
  };
}
