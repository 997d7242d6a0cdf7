import type { ClusterModel, HostModel } from '../../src/config/cluster-model.ts';
import { SeededRandom } from '../../src/lib/random.ts';
import { SharedCells } from '../../src/lib/shared-cells.ts';
import { H1ClientConnection } from '../../src/proxy/codec/h1/client.ts';
import { Dispatcher } from '../../src/proxy/dispatcher.ts';
import { clusterCellCount, readBreaker } from '../../src/proxy/upstream/circuit-breaker.ts';
import type { ClusterEnvironment, UpstreamCluster } from '../../src/proxy/upstream/cluster.ts';
import { ClusterSet } from '../../src/proxy/upstream/cluster-set.ts';
import { hostCellCount, readHostStats } from '../../src/proxy/upstream/host-cells.ts';
import { poolFactory } from '../../src/proxy/upstream/pool/pool-factory.ts';
import { ThreadStats } from '../../src/telemetry/stats/arena.ts';
import { FakeClock } from './fake-clock.ts';
import { FakeConnector } from './fake-connector.ts';
import { FakeHttp2Codecs } from './fake-http2-codec.ts';
import { clusterModel, endpoint, hostSet } from './upstream-models.ts';

/** One cluster, `backend`, with one host, `10.0.0.1:80`, whose sockets and HTTP/2 codecs are the test's. */
export class UpstreamRig {
  readonly clock = new FakeClock();
  readonly dispatcher = new Dispatcher(this.clock);
  readonly connector = new FakeConnector();
  readonly codecs = new FakeHttp2Codecs();
  readonly stats = new ThreadStats();
  readonly shared = new SharedCells();
  readonly clusters: ClusterSet;
  readonly #clusterSlot: number;
  readonly #hostSlot: number;

  constructor(
    model: Partial<ClusterModel> = {},
    host: Partial<HostModel> = {},
    createTransportSocket?: ClusterEnvironment['createTransportSocket'],
  ) {
    this.#clusterSlot = this.shared.allocate(clusterCellCount(1));
    this.#hostSlot = this.shared.allocate(hostCellCount(1));
    let ids = 0;
    this.clusters = new ClusterSet({
      shared: this.shared,
      lane: 0,
      random: new SeededRandom(1),
      stats: this.stats,
      dispatcher: this.dispatcher,
      pools: poolFactory({
        dispatcher: this.dispatcher,
        connector: this.connector.connect,
        codecs: {
          http1: (output, turns, settings, owner) => new H1ClientConnection(output, turns, settings, owner),
          http2: this.codecs.create,
        },
        nextConnectionId: () => ++ids,
      }),
      ...(createTransportSocket !== undefined && { createTransportSocket }),
    });
    this.clusters.apply({
      clusters: { set: [clusterModel({ sharedSlot: this.#clusterSlot, ...model })], remove: [] },
      hosts: [hostSet('backend', [{ ...endpoint('10.0.0.1:80'), sharedSlot: this.#hostSlot, ...host }])],
    });
  }

  get cluster(): UpstreamCluster {
    return [...this.clusters.values()][0]!;
  }

  stat(name: string): number | undefined {
    return this.stats.value(`cluster.backend.${name}`);
  }

  /** The values of several stats of the cluster. */
  values(...names: string[]): Record<string, number | undefined> {
    return Object.fromEntries(names.map((name) => [name, this.stat(name)]));
  }

  /** What is in flight by every count that there is; all 0 once all is over. */
  inFlight(): number[] {
    const use = readBreaker(this.shared, this.#clusterSlot, 'default');
    const host = readHostStats(this.shared, this.#hostSlot);
    return [
      use.connections,
      use.pendingRequests,
      use.requests,
      use.retries,
      host.cxActive,
      host.rqActive,
      host.rqPendingActive,
      ...['upstream_cx_active', 'upstream_rq_active', 'upstream_rq_pending_active'].map((name) => this.stat(name) ?? 0),
    ];
  }
}
