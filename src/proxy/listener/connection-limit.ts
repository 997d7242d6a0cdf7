import type { RuntimeReader } from '../../filters/http/filter.ts';
import type { SharedCells } from '../../lib/shared-cells.ts';

const UNLIMITED = 0xffff_ffff;

/**
 * Where the workers count connections together: cells of SharedCells, allocated by the main thread. Each slot is that
 * of a count for all workers, and of one for each lane behind it.
 */
export interface ConnectionCells {
  readonly shared: SharedCells;
  /** Downstream connections of the process. */
  readonly globalSlot: number;
  /** Those of one listener. */
  readonly listenerSlot: number;
  /** That of this worker. */
  readonly lane: number;
}

/** How many cells a slot needs. */
export function connectionCellCount(lanes: number): number {
  return 1 + lanes;
}

/** Main thread: a worker died; takes its connections out of the count at `slot`. */
export function settleConnections(shared: SharedCells, slot: number, lane: number): void {
  shared.settle(slot, slot + 1 + lane);
}

/**
 * Admits the connections of one listener: at most `envoy.resource_limits.listener.<name>.connection_limit` of its own
 * and `overload.global_downstream_max_connections` of the process (both runtime keys, read anew each time).
 */
export class ConnectionLimit {
  readonly #cells: ConnectionCells;
  readonly #runtime: RuntimeReader;
  readonly #listenerKey: string;
  readonly #ignoresGlobal: boolean;

  constructor(cells: ConnectionCells, runtime: RuntimeReader, listenerName: string, ignoresGlobal: boolean) {
    this.#cells = cells;
    this.#runtime = runtime;
    this.#listenerKey = `envoy.resource_limits.listener.${listenerName}.connection_limit`;
    this.#ignoresGlobal = ignoresGlobal;
  }

  /** Counts a connection, or names the limit that it is over. Each `ok` needs one `release()`. */
  acquire(): 'ok' | 'global' | 'listener' {
    const { shared, globalSlot, listenerSlot, lane } = this.#cells;
    const global = this.#ignoresGlobal ? UNLIMITED : this.#limit('overload.global_downstream_max_connections');
    if (!shared.acquire(globalSlot, global)) return 'global';
    if (!shared.acquire(listenerSlot, this.#limit(this.#listenerKey))) {
      shared.release(globalSlot);
      return 'listener';
    }
    shared.bump(globalSlot + 1 + lane, 1);
    shared.bump(listenerSlot + 1 + lane, 1);
    return 'ok';
  }

  release(): void {
    const { shared, globalSlot, listenerSlot, lane } = this.#cells;
    shared.release(globalSlot);
    shared.release(listenerSlot);
    shared.bump(globalSlot + 1 + lane, -1);
    shared.bump(listenerSlot + 1 + lane, -1);
  }

  #limit(key: string): number {
    return this.#runtime.getNumber(key, UNLIMITED);
  }
}
