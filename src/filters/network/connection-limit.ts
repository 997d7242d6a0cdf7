import { durationMs } from '../../api/duration.ts';
import {
  ConnectionLimitSchema,
  type ConnectionLimit,
} from '../../api/generated/envoy/extensions/filters/network/connection_limit/v3/connection_limit_pb.js';
import { defineStats, sanitizeStatName, type StatBlock } from '../../telemetry/stats/stats.ts';
import { protobufConfig } from '../config-type.ts';
import { compileRuntimeFlag } from '../runtime-flag.ts';
import {
  ContinueChain,
  StopIteration,
  type NetworkConnection,
  type NetworkFactoryContext,
  type NetworkFilter,
  type NetworkFilterType,
  type NetworkVerdict,
} from './filter.ts';

const STATS = defineStats({ counters: ['limited_connections'], gauges: ['active_connections'] });

/** envoy.filters.network.connection_limit: at most so many connections at a time; further ones are closed, perhaps after a while. */
export const connectionLimit: NetworkFilterType<ConnectionLimit> = {
  name: 'envoy.filters.network.connection_limit',
  config: protobufConfig(ConnectionLimitSchema),
  create(config, context) {
    const limit = new Limit(config, context);
    return (connection) => new ConnectionLimitFilter(limit, connection);
  },
};

class Limit {
  readonly max: number;
  readonly delayMs: number;
  readonly isEnabled: () => boolean;
  readonly stats: StatBlock;
  readonly setTimer: NetworkFactoryContext['setTimer'];
  readonly count: NetworkFactoryContext['sharedCount'];

  constructor(config: ConnectionLimit, context: NetworkFactoryContext) {
    this.max = Number(config.maxConnections ?? 0n);
    this.delayMs = durationMs(config.delay) ?? 0;
    this.isEnabled = compileRuntimeFlag(config.runtimeEnabled, context.runtime);
    this.stats = context.rootStats.block(STATS, `connection_limit.${sanitizeStatName(config.statPrefix)}.`);
    this.setTimer = context.setTimer;
    this.count = context.sharedCount;
  }
}

class ConnectionLimitFilter implements NetworkFilter {
  readonly #limit: Limit;
  readonly #connection: NetworkConnection;
  #counted = false;
  #admitted = false;
  #cancelTimer: (() => void) | undefined = undefined;

  constructor(limit: Limit, connection: NetworkConnection) {
    this.#limit = limit;
    this.#connection = connection;
  }

  onConnection(): NetworkVerdict {
    const { isEnabled, stats, count, max, delayMs, setTimer } = this.#limit;
    if (!isEnabled()) return ContinueChain;
    this.#counted = true;
    stats.inc(STATS.at.active_connections);
    this.#admitted = count.acquire(max);
    if (this.#admitted) return ContinueChain;
    stats.inc(STATS.at.limited_connections);
    if (delayMs > 0) this.#cancelTimer = setTimer(delayMs, () => this.#connection.close('abort', ''));
    else this.#connection.close('abort', '');
    return StopIteration;
  }

  onDestroy(): void {
    this.#cancelTimer?.();
    if (this.#admitted) this.#limit.count.release();
    if (this.#counted) this.#limit.stats.dec(STATS.at.active_connections);
  }
}
