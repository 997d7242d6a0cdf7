import type { StatsScope } from '../telemetry/stats/stats.ts';
import { sanitizeStatName } from '../telemetry/stats/stats.ts';

/**
 * The stats of one call in the tree of the cluster that it goes to: `cluster.<name>.grpc.<service>.<method>.*`, or
 * `cluster.<name>.grpc.*` where methods aren't told apart. Looked up each time: they end with the cluster.
 */
export class GrpcCharges {
  readonly #stats: StatsScope;
  readonly #prefix: string;

  /** `method`: `<service>.<method>`, or '' = none. */
  constructor(rootStats: StatsScope, cluster: string, protocol: 'grpc' | 'grpc-web', method: string) {
    this.#stats = rootStats;
    const name = `cluster.${sanitizeStatName(cluster)}.${protocol}.`;
    this.#prefix = method === '' ? name : `${name}${method}.`;
  }

  /** The outcome of the call; undefined: it isn't there, or not yet. */
  status(grpcStatus: string | undefined): void {
    if (grpcStatus === undefined) return;
    this.#stats.counter(this.#prefix + grpcStatus).inc();
    this.outcome(grpcStatus === '0');
  }

  outcome(success: boolean): void {
    this.#stats.counter(`${this.#prefix}${success ? 'success' : 'failure'}`).inc();
    this.#stats.counter(`${this.#prefix}total`).inc();
  }

  requestMessages(count: number): void {
    this.#stats.counter(`${this.#prefix}request_message_count`).add(count);
  }

  responseMessages(count: number): void {
    this.#stats.counter(`${this.#prefix}response_message_count`).add(count);
  }

  upstreamTime(ms: number): void {
    this.#stats.histogram(`${this.#prefix}upstream_rq_time`, 'milliseconds').record(ms);
  }
}
