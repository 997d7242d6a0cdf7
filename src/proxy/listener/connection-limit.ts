import type { RuntimeReader } from '../../filters/http/filter.ts';
import type { SharedCells } from '../../lib/shared-cells.ts';

const UNLIMITED = 0xffff_ffff;

/** Where the workers count connections together: cells of SharedCells, allocated by the main thread. */
export interface ConnectionCells {
  readonly shared: SharedCells;
  /** Downstream connections of the process. */
  readonly globalSlot: number;
  /** Those of one listener. */
  readonly listenerSlot: number;
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
    const { shared, globalSlot, listenerSlot } = this.#cells;
    const global = this.#ignoresGlobal ? UNLIMITED : this.#limit('overload.global_downstream_max_connections');
    if (!admits(shared, globalSlot, global)) return 'global';
    if (admits(shared, listenerSlot, this.#limit(this.#listenerKey))) return 'ok';
    shared.release(globalSlot);
    return 'listener';
  }

  release(): void {
    const { shared, globalSlot, listenerSlot } = this.#cells;
    shared.release(globalSlot);
    shared.release(listenerSlot);
  }

  #limit(key: string): number {
    return this.#runtime.getNumber(key, UNLIMITED);
  }
}

function admits(shared: SharedCells, slot: number, limit: number): boolean {
  return shared.acquire(slot, limit);
}
