import { Worker } from 'node:worker_threads';
import type { SnapshotDelta } from '../config/snapshot.ts';
import { HostSetEncoder } from './host-set-codec.ts';
import type { ListenerOutcome } from '../proxy/listener/listener-set.ts';
import type { LogLevel } from '../telemetry/log-level.ts';
import type { StatsRegistration } from '../telemetry/stats/registration.ts';
import type {
  BoundAddresses,
  DataPlaneLink,
  DrainRequest,
  FromWorker,
  ToWorker,
  WorkerStart,
} from './worker-protocol.ts';

/** What the control side wants to hear of a worker. */
export interface WorkerEvents {
  onStats(index: number, registrations: readonly StatsRegistration[]): void;
  /** The thread ended without having been told to; its connections are gone. */
  onCrash(index: number, error: Error): void;
}

/** Large enough that what a request leaves behind dies there, instead of being copied to the old generation. */
const YOUNG_GENERATION_MB = 48;

interface Call {
  resolve(result: never): void;
  reject(error: Error): void;
}

/** How long a thread may take to write out its logs when it is closed. */
const CLOSE_GRACE_MS = 2000;

/** A data plane on a thread of its own, driven by messages. */
export class WorkerThread implements DataPlaneLink {
  readonly index: number;
  readonly #worker: Worker;
  readonly #calls = new Map<number, Call>();
  readonly #hostSets = new HostSetEncoder();
  #nextCall = 0;
  #closing = false;

  private constructor(start: WorkerStart, events: WorkerEvents, ready: () => void) {
    this.index = start.index;
    const file = import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js';
    this.#worker = new Worker(new URL(file, import.meta.url), {
      workerData: start,
      name: `worker_${start.index}`,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
    });
    let failure: Error | undefined;
    this.#worker.on('message', (message: FromWorker) => {
      switch (message.type) {
        case 'ready':
          ready();
          break;
        case 'done':
          this.#take(message.call)?.resolve(message.result as never);
          break;
        case 'failed':
          this.#take(message.call)?.reject(new Error(message.message));
          break;
        case 'stats':
          events.onStats(this.index, message.registrations);
          break;
      }
    });
    this.#worker.on('error', (error: unknown) => {
      failure = error instanceof Error ? error : new Error(String(error));
    });
    this.#worker.on('exit', (code) => {
      const error = failure ?? new Error(`worker_${this.index} ended with code ${code}`);
      for (const call of this.#calls.values()) call.reject(error);
      this.#calls.clear();
      if (!this.#closing) events.onCrash(this.index, error);
    });
  }

  /** Starts the thread; resolves when it takes messages, rejects if it ends before. */
  static start(start: WorkerStart, events: WorkerEvents): Promise<WorkerThread> {
    return new Promise((resolve, reject) => {
      let started = false;
      const thread: WorkerThread = new WorkerThread(
        start,
        {
          onStats: (index, registrations) => events.onStats(index, registrations),
          onCrash: (index, error) => (started ? events.onCrash(index, error) : reject(error)),
        },
        () => {
          started = true;
          resolve(thread);
        },
      );
    });
  }

  apply(delta: SnapshotDelta, bound: BoundAddresses): Promise<readonly ListenerOutcome[]> {
    const encoded = this.#hostSets.encode(delta);
    return this.#call((call) => ({ type: 'apply', call, delta: encoded, bound }));
  }

  drain(request: DrainRequest): Promise<void> {
    return this.#call((call) => ({ type: 'drain', call, request }));
  }

  connectionCount(): Promise<number> {
    return this.#call((call) => ({ type: 'connection-count', call }));
  }

  setHealthCheckFailing(failing: boolean): void {
    this.#post({ type: 'health-check', failing });
  }

  setLogLevel(level: LogLevel, component?: string): void {
    this.#post({ type: 'log-level', level, component });
  }

  reopenLogs(): void {
    this.#post({ type: 'reopen-logs' });
  }

  addSharedChunk(chunk: SharedArrayBuffer): void {
    this.#post({ type: 'shared-chunk', chunk });
  }

  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    // A thread that hangs (in a filter, say) doesn't answer.
    const grace = Promise.withResolvers<void>();
    const timer = setTimeout(grace.resolve, CLOSE_GRACE_MS);
    await Promise.race([this.#call<void>((call) => ({ type: 'close', call })), grace.promise]).catch(() => {});
    clearTimeout(timer);
    await this.#worker.terminate();
  }

  #post(message: ToWorker): void {
    this.#worker.postMessage(message);
  }

  #call<Result>(message: (call: number) => ToWorker): Promise<Result> {
    return new Promise<Result>((resolve, reject) => {
      const call = this.#nextCall++;
      this.#calls.set(call, { resolve: resolve as (result: never) => void, reject });
      this.#post(message(call));
    });
  }

  #take(call: number): Call | undefined {
    const found = this.#calls.get(call);
    this.#calls.delete(call);
    return found;
  }
}
