import type { FilterChainModel } from '../../config/listener-model.ts';
import type { NetworkFilterForConnection } from '../../filters/network/filter.ts';
import type { ConnectionInput } from '../codec/connection-io.ts';
import type { FilterChain } from '../listener/listener.ts';
import type { Logger } from '../worker-context.ts';
import type { DownstreamConnection } from './downstream-connection.ts';
import { FilteredConnection } from './filtered-connection.ts';

/** A filter chain with network filters before its end (or with a filter as its end). */
export class NetworkChain implements FilterChain {
  readonly delayedCloseTimeoutMs: number;
  readonly #compile: ((model: FilterChainModel) => readonly NetworkFilterForConnection[]) | undefined;
  /** Of connections that come now. */
  #filters: readonly NetworkFilterForConnection[];
  readonly #terminal: FilterChain | undefined;
  readonly #log: Logger;

  /**
   * `terminal`: what follows the filters; undefined: the last of them is the end. `compile` makes the filters of another
   * model; absent: there is never another one.
   */
  constructor(
    filters: readonly NetworkFilterForConnection[],
    terminal: FilterChain | undefined,
    log: Logger,
    compile?: (model: FilterChainModel) => readonly NetworkFilterForConnection[],
  ) {
    this.#filters = filters;
    this.#compile = compile;
    this.#terminal = terminal;
    this.#log = log;
    this.delayedCloseTimeoutMs = terminal?.delayedCloseTimeoutMs ?? 0;
  }

  onConnection(connection: DownstreamConnection): ConnectionInput {
    const filtered = new FilteredConnection(connection, this.#terminal, this.#log);
    filtered.start(this.#filters);
    return filtered;
  }

  updateFilters(model: FilterChainModel): boolean {
    if (this.#compile === undefined) return false;
    const { kind } = model.networkFilters.at(-1) ?? {};
    if (kind === 'http-connection-manager' && this.#terminal?.updateFilters?.(model) !== true) return false;
    this.#filters = this.#compile(model);
    return true;
  }

  onDelayedCloseTimeout(): void {
    this.#terminal?.onDelayedCloseTimeout();
  }

  drain(): void {
    this.#terminal?.drain();
  }
}
