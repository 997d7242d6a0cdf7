import type { TcpClusterWeightModel, TcpProxyModel } from '../../config/tcp-proxy-model.ts';
import { TCP_PROXY_CLUSTER } from '../../filters/network/filter.ts';
import type { StreamInfo } from '../../filters/stream-info.ts';
import type { AccessLogger } from '../../telemetry/access-log/access-log.ts';
import { sanitizeStatName, type StatBlock } from '../../telemetry/stats/stats.ts';
import { TCP_PROXY_STATS } from '../../telemetry/stats/tcp-proxy-stats.ts';
import type { WorkerContext } from '../worker-context.ts';
import { TunnelConfig } from './tcp-tunnel-config.ts';

/** A TCP proxy's config, compiled for one worker. */
export class TcpProxyConfig {
  readonly model: TcpProxyModel;
  readonly worker: WorkerContext;
  /** TCP_PROXY_STATS */
  readonly stats: StatBlock;
  readonly loggers: readonly AccessLogger[];
  readonly tunnel: TunnelConfig | undefined;

  constructor(model: TcpProxyModel, worker: WorkerContext) {
    this.model = model;
    this.worker = worker;
    this.stats = worker.stats.scope(`tcp.${sanitizeStatName(model.statPrefix)}.`).block(TCP_PROXY_STATS);
    this.loggers = model.accessLogs.map((log) => worker.accessLogs.create(log));
    this.tunnel = model.tunneling === undefined ? undefined : new TunnelConfig(model.tunneling);
  }

  /** The cluster of a connection: by its filter state, or by weight. Weighted clusters heed no filter state, as in Envoy. */
  route(info: StreamInfo): TcpClusterWeightModel {
    const { clusters, totalWeight } = this.model;
    if (clusters.length === 1) {
      const only = clusters[0]!;
      const name = info.filterState.get(TCP_PROXY_CLUSTER);
      return typeof name === 'string' ? { ...only, name } : only;
    }
    let left = this.worker.random.below(totalWeight);
    for (const entry of clusters) {
      if (left < entry.weight) return entry;
      left -= entry.weight;
    }
    return clusters.at(-1)!;
  }
}
