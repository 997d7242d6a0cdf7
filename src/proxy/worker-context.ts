import type { DnsCaches } from '../filters/dns-cache.ts';
import type { LocalNode, RuntimeReader } from '../filters/http/filter.ts';
import type { Random } from '../lib/random.ts';
import type { SharedCells } from '../lib/shared-cells.ts';
import type { StatsScope } from '../telemetry/stats/stats.ts';
import type { AccessLogFactory } from '../telemetry/access-log/access-log.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { Clusters } from './upstream/upstream.ts';

/** What every part of the data plane of one worker shares. One object a worker, made by worker.ts. */
export interface WorkerContext {
  /** 0-based. */
  readonly index: number;
  readonly dispatcher: Dispatcher;
  readonly random: Random;
  readonly stats: StatsScope;
  readonly shared: SharedCells;
  readonly clusters: Clusters;
  /** Absent: there is nobody to resolve names. */
  readonly dnsCaches?: DnsCaches;
  readonly runtime: RuntimeReader;
  readonly node: NodeInfo;
  readonly accessLogs: AccessLogFactory;
  readonly log: Logger;
}

/** Who this proxy is (bootstrap `node` and the --service-* flags). */
export type NodeInfo = LocalNode;

/** The process log on the data path; the level is checked by the implementation. */
export interface Logger {
  debug(component: string, message: string): void;
  info(component: string, message: string): void;
  warn(component: string, message: string): void;
  error(component: string, message: string): void;
}
