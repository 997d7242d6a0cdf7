import { Timer, type TimerTask } from '../../lib/timer-wheel.ts';
import { TCP_PROXY_STATS } from '../../telemetry/stats/tcp-proxy-stats.ts';
import type { StatBlock } from '../../telemetry/stats/stats.ts';
import type { Dispatcher } from '../dispatcher.ts';
import type { TcpUpstream, TcpUpstreamOwner } from './tcp-upstream.ts';

const AT = TCP_PROXY_STATS.at;

/** Sees an upstream connection out whose downstream has gone, while bytes for it are still buffered. */
export class TcpFlush implements TcpUpstreamOwner, TimerTask {
  readonly #upstream: TcpUpstream;
  readonly #stats: StatBlock;
  readonly #dispatcher: Dispatcher;
  readonly #idleTimeoutMs: number;
  readonly #timer: Timer = new Timer(this);

  /** `idleTimeoutMs`: how long it may take to drain; 0 = no limit. */
  constructor(upstream: TcpUpstream, stats: StatBlock, dispatcher: Dispatcher, idleTimeoutMs: number) {
    this.#upstream = upstream;
    this.#stats = stats;
    this.#dispatcher = dispatcher;
    this.#idleTimeoutMs = idleTimeoutMs;
  }

  /** Takes the upstream over. */
  start(): void {
    this.#upstream.owner = this;
    this.#stats.inc(AT.upstream_flush_total);
    this.#stats.inc(AT.upstream_flush_active);
    this.onUpstreamDrain();
    this.#upstream.close('flush');
  }

  onTimer(): void {
    this.#stats.inc(AT.idle_timeout);
    this.#upstream.close('abort');
  }

  onUpstreamReady(): void {}
  onUpstreamFailure(): void {}

  /** Nobody is left to send it to: as the kernel would, we drop the connection. */
  onUpstreamData(): void {
    this.#upstream.close('abort');
  }

  onUpstreamEnd(): void {}

  onUpstreamDrain(): void {
    if (this.#idleTimeoutMs > 0) this.#dispatcher.arm(this.#timer, this.#idleTimeoutMs);
  }

  onUpstreamClose(): void {
    this.#dispatcher.disarm(this.#timer);
    this.#stats.dec(AT.upstream_flush_active);
  }
}
