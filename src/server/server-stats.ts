import type { ServerStateName } from '../admin/sources.ts';
import type { Clock } from '../lib/clock.ts';
import { ROUTER_STATS } from '../proxy/router/router-stats.ts';
import {
  OVERLOAD_STATS,
  SERVER_STATS,
  THREAD_LOCAL_CLUSTER_MANAGER_STATS,
  WATCHDOG_STATS,
} from '../telemetry/stats/server-stats.ts';
import type { StatBlock, StatsScope } from '../telemetry/stats/stats.ts';
import type { CertificateReport } from './certificate-report.ts';

const AT = SERVER_STATS.at;
/** As `server.state` and /server_info number them. */
const STATE_NUMBERS: Readonly<Record<ServerStateName, number>> = {
  LIVE: 0,
  DRAINING: 1,
  PRE_INITIALIZING: 2,
  INITIALIZING: 3,
};
/** What `server.days_until_first_cert_expiring` says when nothing expires. */
const NEVER = 0xffff_ffff;
const DAY_MS = 86_400_000;

export interface ServerStatsOptions {
  readonly clock: Clock;
  /** The root scope. */
  readonly stats: StatsScope;
  readonly concurrency: number;
  /** Monotonic ms. */
  readonly startedMs: number;
  readonly certificates: () => CertificateReport;
}

/** The `server.` stats, and families that dashboards expect of every Envoy whether or not there is anything to count. */
export class ServerStats {
  readonly #options: ServerStatsOptions;
  readonly #block: StatBlock;

  constructor(options: ServerStatsOptions) {
    this.#options = options;
    const { stats, concurrency } = options;
    this.#block = stats.block(SERVER_STATS, 'server.');
    this.#block.set(AT.concurrency, concurrency);
    stats.block(ROUTER_STATS, 'http.async-client.');
    stats.block(OVERLOAD_STATS, 'overload.');
    const threads = ['main_thread', ...Array.from({ length: concurrency }, (_, i) => `worker_${i}`)];
    for (const thread of threads) {
      stats.block(WATCHDOG_STATS, `server.${thread}.`);
      stats.block(THREAD_LOCAL_CLUSTER_MANAGER_STATS, `thread_local_cluster_manager.${thread}.`);
    }
    for (const name of ['main_thread.', 'workers.']) stats.block(WATCHDOG_STATS, name);
  }

  get uptimeMs(): number {
    return this.#options.clock.monotonic() - this.#options.startedMs;
  }

  setState(state: ServerStateName, isFailingHealthChecks: boolean): void {
    this.#block.set(AT.state, STATE_NUMBERS[state]);
    this.#block.set(AT.live, state === 'LIVE' && !isFailingHealthChecks ? 1 : 0);
  }

  /** It serves from now on. */
  recordInitialization(): void {
    this.#block.record(AT.initialization_time_ms, this.uptimeMs);
  }

  /** Reads what is not told when it changes. */
  refresh(): void {
    const memory = process.memoryUsage();
    this.#block.set(AT.uptime, Math.floor(this.uptimeMs / 1000));
    this.#block.set(AT.memory_allocated, memory.heapUsed + memory.external);
    this.#block.set(AT.memory_heap_size, memory.heapTotal + memory.external);
    this.#block.set(AT.memory_physical_size, memory.rss);
    const { firstExpiryMs, firstOcspExpiryMs } = this.#options.certificates();
    this.#block.set(
      AT.days_until_first_cert_expiring,
      firstExpiryMs === undefined ? NEVER : this.#left(firstExpiryMs, DAY_MS),
    );
    this.#block.set(
      AT.seconds_until_first_ocsp_response_expiring,
      firstOcspExpiryMs === undefined ? 0 : this.#left(firstOcspExpiryMs, 1000),
    );
  }

  #left(ms: number, unitMs: number): number {
    return Math.max(0, Math.floor((ms - this.#options.clock.epoch()) / unitMs));
  }
}
