import type { Clock, ClockTimer } from '../lib/clock.ts';
import { hash64 } from '../lib/hash64.ts';
import { SUBSCRIPTION_STATS } from '../telemetry/stats/subscription-stats.ts';
import type { StatBlock, StatsScope, TextReadout } from '../telemetry/stats/stats.ts';
import type { ResourceUpdate, Verdict, XdsWatch } from './resource-update.ts';
import type { XdsSource } from './xds-source.ts';

const AT = SUBSCRIPTION_STATS.at;

/** What is wanted, and who is told of it. */
export interface SubscriptionTarget {
  readonly typeUrl: string;
  /** Undefined: everything there is. */
  readonly names: readonly string[] | undefined;
  /** The name is a collection's, which the context of the node is added to. */
  readonly isCollection?: boolean;
  /** Where it counts: `cluster_manager.cds.`. Its owner releases it. */
  readonly stats: StatsScope;
  /** '' = accepted, else why not: names every resource that is refused. See ResourceWatcher. */
  onUpdate(update: ResourceUpdate): Verdict;
  /**
   * Nothing came within `initial_fetch_timeout`: whoever waits for a first update goes on without. Called once at most,
   * and never after a first update or rejection.
   */
  onFetchTimeout?(): void;
  /** A response was refused, by this subscription or before it came here. What waits for a first update goes on. */
  onRejected?(error: string): void;
}

export interface SubscriptionOptions {
  /** Closed along with the subscription. */
  readonly source: XdsSource;
  readonly clock: Clock;
  /** 0 = waits for ever. */
  readonly initialFetchTimeoutMs: number;
  /**
   * What Envoy takes for an attempt differs. `stream`: whatever happens is one. `delta`: an update that is refused is two.
   * `polled`: each request is. `file`: each reading is, and each change of the names.
   */
  readonly transport: SubscriptionTransport;
  readonly onClosed?: (subscription: Subscription) => void;
}

export type SubscriptionTransport = 'stream' | 'delta' | 'polled' | 'file';

/** An interest in resources, with the statistics that Envoy keeps of each and the timeout of its first fetch. */
export class Subscription {
  readonly #target: SubscriptionTarget;
  readonly #options: SubscriptionOptions;
  readonly #block: StatBlock;
  readonly #version: TextReadout;
  readonly #watch: XdsWatch;
  #timer: ClockTimer | undefined = undefined;
  #closed = false;

  constructor(target: SubscriptionTarget, options: SubscriptionOptions) {
    this.#target = target;
    this.#options = options;
    this.#block = target.stats.block(SUBSCRIPTION_STATS);
    this.#version = target.stats.textReadout('version_text');
    if (options.initialFetchTimeoutMs > 0)
      this.#timer = options.clock.setTimer(options.initialFetchTimeoutMs, () => this.#onFetchTimeout());
    this.#attempt();
    this.#watch = options.source.watch(target.typeUrl, target.names, {
      onUpdate: (update) => this.#onUpdate(update),
      onRejected: (error) => this.#onRejected(error),
      onAttempt: () => this.#block.inc(AT.update_attempt),
      onConnectionFailure: () => {
        this.#block.inc(AT.update_failure);
        this.#attempt();
      },
      onUnreadable: (error) => {
        this.#block.inc(AT.update_failure);
        this.#target.onRejected?.(error);
      },
    });
  }

  /** Replaces the names. Not for wildcards. */
  setNames(names: readonly string[]): void {
    if (this.#closed) return;
    this.#watch.setNames(names);
    if (this.#options.transport !== 'polled') this.#block.inc(AT.update_attempt);
  }

  /** Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopTimer();
    this.#watch.close();
    this.#options.source.close();
    this.#options.onClosed?.(this);
  }

  get #isStream(): boolean {
    return this.#options.transport === 'stream' || this.#options.transport === 'delta';
  }

  /** On streams each event counts. */
  #attempt(): void {
    if (this.#isStream) this.#block.inc(AT.update_attempt);
  }

  #onUpdate(update: ResourceUpdate): Verdict {
    this.#stopTimer();
    if (this.#options.transport === 'delta') this.#block.inc(AT.update_attempt);
    const startMs = this.#options.clock.monotonic();
    const settle = (error: string): string => {
      if (error === '' && !this.#closed) this.#accepted(update.version, startMs);
      return error;
    };
    const verdict = this.#target.onUpdate(update);
    return typeof verdict === 'string' ? settle(verdict) : verdict.then(settle);
  }

  #accepted(version: string, startMs: number): void {
    const block = this.#block;
    block.inc(AT.update_success);
    if (this.#options.transport === 'stream') block.inc(AT.update_attempt);
    block.set(AT.update_time, Math.floor(this.#options.clock.epoch()));
    block.set(AT.version, Number(hash64(Buffer.from(version).toString('latin1'))));
    this.#version.set(version);
    if (this.#isStream) block.record(AT.update_duration, Math.floor(this.#options.clock.monotonic() - startMs));
  }

  #onRejected(error: string): void {
    if (this.#closed) return;
    this.#stopTimer();
    this.#block.inc(AT.update_rejected);
    this.#attempt();
    this.#target.onRejected?.(error);
  }

  #onFetchTimeout(): void {
    this.#timer = undefined;
    this.#block.inc(AT.init_fetch_timeout);
    this.#attempt();
    this.#target.onFetchTimeout?.();
  }

  #stopTimer(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
