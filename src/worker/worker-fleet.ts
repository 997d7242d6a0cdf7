import { isDeepStrictEqual } from 'node:util';
import type { AddressModel } from '../config/common-model.ts';
import { SnapshotStore } from '../config/snapshot-store.ts';
import type { SnapshotDelta } from '../config/snapshot.ts';
import type { SharedCells } from '../lib/shared-cells.ts';
import { addressesOf } from '../proxy/listener/listener-comparison.ts';
import type { ListenerOutcome } from '../proxy/listener/listener-set.ts';
import type { StatsAggregator } from '../telemetry/stats/aggregator.ts';
import type { LogLevel } from '../telemetry/log-level.ts';
import type { ProcessLog } from '../telemetry/log.ts';
import type { StatsScope } from '../telemetry/stats/stats.ts';
import type { DataPlaneLink, DataPlaneSettings, DrainRequest } from './worker-protocol.ts';
import { WorkerThread } from './worker-thread.ts';

export interface WorkerFleetOptions {
  /** 0: one data plane on this thread. */
  readonly concurrency: number;
  readonly settings: DataPlaneSettings;
  readonly shared: SharedCells;
  readonly aggregator: StatsAggregator;
  /** Stats of this thread, for a data plane that runs on it. */
  readonly stats: StatsScope;
  readonly log: ProcessLog;
  /** A worker died: what it held in shared memory has to be given back. */
  readonly onWorkerLost: (index: number) => void;
}

/** How soon after its predecessor a worker is started again, at the least. */
const RESTART_DELAY_MS = 100;

/**
 * All data planes of the process. Deltas reach every one in the same order; a worker that dies is replaced by one that
 * gets the whole configuration, while its siblings serve on.
 */
export class WorkerFleet {
  readonly #options: WorkerFleetOptions;
  readonly #snapshot = new SnapshotStore();
  readonly #links: (DataPlaneLink | undefined)[] = [];
  /** Stats are registered under numbers that are never used twice. */
  #nextStatsId = 1;
  #chunksSent: number;
  #bound: Record<string, readonly AddressModel[]> = {};
  #queue: Promise<unknown> = Promise.resolve();
  #healthCheckFailing = false;
  /** What a worker that starts late has to be told as well. */
  readonly #drains: DrainRequest[] = [];
  #closed = false;

  private constructor(options: WorkerFleetOptions) {
    this.#options = options;
    this.#chunksSent = options.shared.chunks.length;
  }

  static async start(options: WorkerFleetOptions): Promise<WorkerFleet> {
    const fleet = new WorkerFleet(options);
    const { concurrency, settings, shared, stats, log } = options;
    if (concurrency === 0) {
      // Two hundred modules that the control thread has no use for where there are workers.
      const { DataPlane } = await import('./data-plane.ts');
      fleet.#links.push(new DataPlane(0, settings, { stats, shared, log }));
    } else
      fleet.#links.push(...(await Promise.all(Array.from({ length: concurrency }, (_, index) => fleet.#spawn(index)))));
    return fleet;
  }

  /** Listener name -> addresses with their real ports. */
  get bound(): Readonly<Record<string, readonly AddressModel[]>> {
    return this.#bound;
  }

  get snapshot(): SnapshotStore {
    return this.#snapshot;
  }

  /**
   * Applies a delta everywhere and resolves to what became of its listeners. The first data plane opens them before the
   * others do, so that all share the port it got.
   */
  apply(delta: SnapshotDelta): Promise<readonly ListenerOutcome[]> {
    return this.#enqueue(async () => {
      this.#shareChunks();
      const links = this.#links.filter((link) => link !== undefined);
      let outcomes: readonly ListenerOutcome[] | undefined;
      const kept = this.#boundBefore(delta);
      while (outcomes === undefined && links.length > 0) outcomes = await this.#applyTo(links.shift()!, delta, kept);
      for (const name of delta.listeners?.remove ?? []) delete this.#bound[name];
      const failed = new Set<string>();
      for (const { name, addresses, error } of outcomes ?? []) {
        if (error === undefined) this.#bound[name] = addresses;
        else failed.add(name);
      }
      // What the first could not open keeps its last good version everywhere.
      const accepted = failed.size === 0 ? delta : withoutListeners(delta, failed);
      this.#snapshot.apply(accepted);
      const rest = await Promise.all(links.map((link) => this.#applyTo(link, accepted)));
      return [...(outcomes ?? []), ...rest.flatMap((each) => each ?? []).filter(({ error }) => error !== undefined)];
    });
  }

  /** What is bound, but for listeners that move to other addresses. */
  #boundBefore({ listeners }: SnapshotDelta): Record<string, readonly AddressModel[]> {
    const bound = { ...this.#bound };
    for (const model of listeners?.set ?? []) {
      const former = this.#snapshot.listeners.get(model.name);
      if (former !== undefined && !isDeepStrictEqual(addressesOf(former), addressesOf(model))) delete bound[model.name];
    }
    return bound;
  }

  /** Undefined: the worker died over it; its successor gets everything anew. */
  async #applyTo(
    link: DataPlaneLink,
    delta: SnapshotDelta,
    bound = this.#bound,
  ): Promise<readonly ListenerOutcome[] | undefined> {
    try {
      return await link.apply(delta, bound);
    } catch (error) {
      if (this.#links.includes(link)) throw error;
      return undefined;
    }
  }

  async drain(request: DrainRequest): Promise<void> {
    this.#drains.push(request);
    await this.#each((link) => link.drain(request));
  }

  async connectionCount(): Promise<number> {
    const counts = await this.#each((link) => link.connectionCount());
    return counts.reduce((sum, count) => sum + count, 0);
  }

  setHealthCheckFailing(failing: boolean): void {
    this.#healthCheckFailing = failing;
    for (const link of this.#links) link?.setHealthCheckFailing(failing);
  }

  setLogLevel(level: LogLevel, component?: string): void {
    for (const link of this.#links) link?.setLogLevel(level, component);
  }

  reopenLogs(): void {
    for (const link of this.#links) link?.reopenLogs();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#each((link) => link.close());
  }

  async #each<Result>(ask: (link: DataPlaneLink) => Promise<Result>): Promise<Result[]> {
    const asked = await Promise.allSettled(this.#links.filter((link) => link !== undefined).map(ask));
    return asked.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  }

  #enqueue<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#queue.then(work);
    this.#queue = result.catch(() => {});
    return result;
  }

  async #spawn(index: number): Promise<WorkerThread> {
    const { settings, shared, aggregator } = this.#options;
    const statsId = this.#nextStatsId++;
    const thread = await WorkerThread.start(
      { index, settings, sharedChunks: shared.chunks },
      {
        onStats: (_, registrations) => aggregator.register(statsId, registrations),
        onCrash: (_, error) => this.#onCrash(index, statsId, error),
      },
    );
    thread.setHealthCheckFailing(this.#healthCheckFailing);
    return thread;
  }

  #onCrash(index: number, statsId: number, error: Error): void {
    const { aggregator, log, onWorkerLost } = this.#options;
    this.#links[index] = undefined;
    aggregator.retire(statsId);
    onWorkerLost(index);
    if (this.#closed) return;
    log.critical('main', `worker_${index} died and is replaced: ${error.stack ?? error.message}`);
    setTimeout(() => void this.#enqueue(() => this.#respawn(index)), RESTART_DELAY_MS);
  }

  async #respawn(index: number): Promise<void> {
    // One that died while it was started has been noticed twice.
    if (this.#closed || this.#links[index] !== undefined) return;
    try {
      const thread = await this.#spawn(index);
      for (const { name, addresses, error } of await thread.apply(this.#snapshot.whole(), this.#bound)) {
        // What changed while there was no worker at all got its address only now.
        if (error === undefined) this.#bound[name] ??= addresses;
        else this.#options.log.error('main', `worker_${index}: listener '${name}': ${error}`);
      }
      for (const request of this.#drains) await thread.drain(request);
      this.#links[index] = thread;
    } catch (error) {
      this.#options.log.critical('main', `worker_${index} could not be replaced: ${String(error)}`);
      setTimeout(() => void this.#enqueue(() => this.#respawn(index)), RESTART_DELAY_MS * 10);
    }
  }

  /** Memory that was allocated since the workers started. */
  #shareChunks(): void {
    const { chunks } = this.#options.shared;
    if (this.#options.concurrency > 0)
      for (const chunk of chunks.slice(this.#chunksSent)) for (const link of this.#links) link?.addSharedChunk(chunk);
    this.#chunksSent = chunks.length;
  }
}

function withoutListeners(delta: SnapshotDelta, failed: ReadonlySet<string>): SnapshotDelta {
  const { listeners } = delta;
  if (listeners === undefined) return delta;
  return { ...delta, listeners: { ...listeners, set: listeners.set.filter(({ name }) => !failed.has(name)) } };
}
