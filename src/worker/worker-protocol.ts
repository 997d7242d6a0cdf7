import type { AddressModel } from '../config/common-model.ts';
import type { SnapshotDelta } from '../config/snapshot.ts';
import type { EncodedDelta } from './host-set-codec.ts';
import type { ListenerOutcome } from '../proxy/listener/listener-set.ts';
import type { LocalNode } from '../filters/http/filter.ts';
import type { LogLevel } from '../telemetry/log-level.ts';
import type { LogOptions } from '../telemetry/log.ts';
import type { StatsRegistration } from '../telemetry/stats/registration.ts';

/** What a worker thread is started with (`workerData`). */
export interface WorkerStart {
  /** 0-based; also the lane of its counts in SharedCells. */
  readonly index: number;
  readonly settings: DataPlaneSettings;
  readonly sharedChunks: readonly SharedArrayBuffer[];
}

/** What stays the same for the life of a data plane. Structured-cloneable. */
export interface DataPlaneSettings {
  readonly concurrency: number;
  readonly node: LocalNode;
  /** How often access logs are written out at least, ms. */
  readonly fileFlushIntervalMs: number;
  readonly drainTimeMs: number;
  readonly drainStrategy: 'gradual' | 'immediate';
  readonly log: LogOptions;
  /** First of the cells that count downstream connections of the process. */
  readonly connectionSlot: number;
}

/** Where a listener really listens, as `listen` reported it (port 0 is resolved). */
export type BoundAddresses = Readonly<Record<string, readonly AddressModel[]>>;

/** Which connections a drain is about. */
export interface DrainRequest {
  /** Listeners whose traffic_direction is INBOUND only. */
  readonly inboundOnly: boolean;
  /** Listeners go on accepting, and connections are asked to end, more and more of them as the drain time passes. */
  readonly graceful: boolean;
  /** Stop accepting and ask every connection to end after its response, or now if it is idle. */
  readonly stop: boolean;
}

/** A data plane as the control side drives it: a thread behind messages, or one in this process. */
export interface DataPlaneLink {
  readonly index: number;
  /** Applies a delta and resolves when its listeners are open (or failed). `bound`: addresses that others got already. */
  apply(delta: SnapshotDelta, bound: BoundAddresses): Promise<readonly ListenerOutcome[]>;
  /** Starts draining. Resolves at once; connections end as they become idle. */
  drain(request: DrainRequest): Promise<void>;
  /** Downstream connections that are open. */
  connectionCount(): Promise<number>;
  /** `/healthcheck/fail` and `/healthcheck/ok`: connections are drained while failing. */
  setHealthCheckFailing(failing: boolean): void;
  /** Of one component of the process log, or of all. */
  setLogLevel(level: LogLevel, component?: string): void;
  reopenLogs(): void;
  /** Adds memory that the control side has allocated. */
  addSharedChunk(chunk: SharedArrayBuffer): void;
  /** Closes everything and ends the thread. */
  close(): Promise<void>;
}

export type ToWorker =
  | { readonly type: 'apply'; readonly call: number; readonly delta: EncodedDelta; readonly bound: BoundAddresses }
  | { readonly type: 'drain'; readonly call: number; readonly request: DrainRequest }
  | { readonly type: 'connection-count'; readonly call: number }
  | { readonly type: 'health-check'; readonly failing: boolean }
  | { readonly type: 'log-level'; readonly level: LogLevel; readonly component: string | undefined }
  | { readonly type: 'reopen-logs' }
  | { readonly type: 'shared-chunk'; readonly chunk: SharedArrayBuffer }
  | { readonly type: 'close'; readonly call: number };

export type FromWorker =
  | { readonly type: 'ready' }
  | { readonly type: 'done'; readonly call: number; readonly result: unknown }
  | { readonly type: 'failed'; readonly call: number; readonly message: string }
  | { readonly type: 'stats'; readonly registrations: readonly StatsRegistration[] };
