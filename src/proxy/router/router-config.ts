import type { StatBlock, StatsScope } from '../../telemetry/stats/stats.ts';
import type { RouterOptions } from '../http/request-sink.ts';
import type { Cluster } from '../upstream/upstream.ts';
import type { WorkerContext } from '../worker-context.ts';
import { localAddress } from './local-address.ts';
import { ResponseCodeStats } from './response-code-stats.ts';
import { RetryPolicy } from './retry-policy.ts';
import { ROUTER_STATS } from './router-stats.ts';
import { TransportOptions } from './transport-options.ts';
import type { RetryPolicyModel } from './route.ts';

/** Most prefixes for which response codes are counted apart; `x-envoy-upstream-alt-stat-name` may name any number. */
const MAX_CODE_STATS = 1024;

/**
 * What all router instances of one HTTP connection manager share on one worker (Envoy's router FilterConfig): options,
 * stats, and what is compiled or resolved once instead of once a request.
 */
export class RouterConfig {
  readonly worker: WorkerContext;
  readonly options: RouterOptions;
  /** `http.<stat_prefix>.` with ROUTER_STATS. */
  readonly stats: StatBlock;
  readonly transportOptions = new TransportOptions();
  /** `:scheme` says how the upstream is spoken to, instead of what the downstream said. */
  readonly schemeMatchUpstream: boolean;
  readonly #policies = new WeakMap<RetryPolicyModel, RetryPolicy>();
  readonly #codeStats = new Map<string, ResponseCodeStats>();
  readonly #maintenanceKeys = new WeakMap<Cluster, string>();
  #localAddress: string | undefined = undefined;
  #mirror: RouterConfig | undefined = undefined;

  /** `scope` is the connection manager's: `http.<stat_prefix>.`. */
  constructor(worker: WorkerContext, options: RouterOptions, scope: StatsScope, schemeMatchUpstream = false) {
    this.schemeMatchUpstream = schemeMatchUpstream;
    this.worker = worker;
    this.options = options;
    this.stats = scope.block(ROUTER_STATS);
  }

  /** The compiled form of `model`; the same each time. */
  retryPolicy(model: RetryPolicyModel): RetryPolicy {
    let policy = this.#policies.get(model);
    if (policy === undefined) {
      policy = new RetryPolicy(model);
      this.#policies.set(model, policy);
    }
    return policy;
  }

  /** Response codes below `prefix` (which ends with '.'). Undefined once there are too many prefixes. */
  codeStats(prefix: string): ResponseCodeStats | undefined {
    let stats = this.#codeStats.get(prefix);
    if (stats === undefined && this.#codeStats.size < MAX_CODE_STATS) {
      stats = new ResponseCodeStats(this.worker.stats, prefix, true);
      this.#codeStats.set(prefix, stats);
    }
    return stats;
  }

  /** The runtime key that puts `cluster` into maintenance. */
  maintenanceKey(cluster: Cluster): string {
    let key = this.#maintenanceKeys.get(cluster);
    if (key === undefined) {
      key = `upstream.maintenance_mode.${cluster.name}`;
      this.#maintenanceKeys.set(cluster, key);
    }
    return key;
  }

  /** This machine's own address, which mirrored requests have in x-forwarded-for. */
  get localAddress(): string {
    return (this.#localAddress ??= localAddress());
  }

  /** The config for mirrored requests: the same options, counted below `http.async-client.`. */
  get mirror(): RouterConfig {
    const { worker, options } = this;
    return (this.#mirror ??= new RouterConfig(worker, options, worker.stats.scope('http.async-client')));
  }
}
