import {
  ContinueChain,
  DetachChain,
  StopIteration,
  type ConnectionStreamInfo,
  type NetworkConnection,
  type NetworkFilter,
  type NetworkFilterForConnection,
} from '../../filters/network/filter.ts';
import type { ConnectionInput } from '../codec/connection-io.ts';
import type { FilterChain } from '../listener/listener.ts';
import type { Logger } from '../worker-context.ts';
import type { DownstreamConnection } from './downstream-connection.ts';
import { FilteredOutput } from './filtered-output.ts';

const NOBODY = -1;
const EMPTY = Buffer.alloc(0);

/**
 * The network filters of one connection, between its socket and the end of its filter chain. What a filter stops is
 * held here, and meanwhile the socket is not read, so that never more than a read or two is held.
 */
export class FilteredConnection implements ConnectionInput {
  readonly connection: DownstreamConnection;
  readonly #terminal: FilterChain | undefined;
  readonly #log: Logger;
  readonly #slots: FilterSlot[] = [];
  /** Filters that look at what is written. */
  #writers = 0;
  #terminalInput: ConnectionInput | undefined = undefined;
  /** The same, until it has been started. */
  #prepared: { start(): void } | undefined = undefined;
  /** The filter that holds the chain up, or NOBODY. */
  #stoppedAt = NOBODY;
  /** The filters up to this one (exclusive) have had their `onConnection`. */
  #started = 0;
  /** What is due to the filter at `#heldFrom` and those after it, the others having let it through. */
  #held: Buffer | undefined = undefined;
  #heldEnd = false;
  #heldFrom = 0;
  /** What came after it, and no filter has seen. */
  #waiting: Buffer[] = [];
  #waitingEnd = false;
  #paused = false;
  #handshakeDone: boolean;
  #closed = false;

  constructor(connection: DownstreamConnection, terminal: FilterChain | undefined, log: Logger) {
    this.connection = connection;
    this.#terminal = terminal;
    this.#log = log;
    this.#handshakeDone = connection.isEstablished;
  }

  /** To be called once, in the turn that accepted the connection. */
  start(filters: readonly NetworkFilterForConnection[]): void {
    for (const create of filters) {
      const slot = new FilterSlot(this, this.#slots.length);
      const filter = create(slot);
      if (filter === undefined) continue;
      slot.use(filter);
      if (slot.writes) this.#writers++;
      this.#slots.push(slot);
    }
    this.#prepareTerminal();
    this.#startFilters();
  }

  get slots(): readonly FilterSlot[] {
    return this.#slots;
  }

  get hasWriters(): boolean {
    return this.#writers > 0;
  }

  get isClosed(): boolean {
    return this.#closed || this.connection.isClosed;
  }

  get allowsHalfClose(): boolean {
    return this.#terminal?.allowsHalfClose === true || this.#terminalInput?.allowsHalfClose === true;
  }

  // ---- from the socket --------------------------------------------------------------------------------------------

  onHandshakeDone(): void {
    this.#handshakeDone = true;
    for (let i = 0; i < this.#started; i++) this.#slots[i]!.filter.onHandshakeDone?.();
    this.#terminalInput?.onHandshakeDone?.();
  }

  onData(chunk: Buffer): void {
    if (this.#stoppedAt === NOBODY) this.#feed(0, chunk, false);
    else {
      this.#waiting.push(Buffer.from(chunk));
      this.#pause();
    }
  }

  onEnd(): void {
    if (this.#stoppedAt === NOBODY) this.#feed(0, EMPTY, true);
    else this.#waitingEnd = true;
  }

  onDrain(): void {
    this.#terminalInput?.onDrain();
  }

  flush(): void {
    this.#terminalInput?.flush();
  }

  onClose(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#held = undefined;
    this.#waiting = [];
    this.#terminalInput?.onClose();
    for (const { filter } of this.#slots) filter.onDestroy?.();
  }

  // ---- from the filters -------------------------------------------------------------------------------------------

  /** The filter at `index` lets go on what it stopped. May come at any time, out of the filter's own callbacks. */
  continueFrom(index: number): void {
    if (this.#stoppedAt !== index || this.isClosed) return;
    try {
      this.#goOn();
    } catch (error) {
      const text = error instanceof Error ? error.stack : String(error);
      this.#log.error('connection', `[C${this.connection.info.id}] failed: ${text}`);
      this.connection.close('abort');
    }
  }

  /** Writes what the filter at `index` (or the end of the chain) sends, through the filters before it. */
  writeFrom(index: number, chunk: Buffer, endStream: boolean): boolean {
    const slots = this.#slots;
    for (let i = index - 1; i >= 0; i--) {
      const slot = slots[i]!;
      if (!slot.writes) continue;
      const verdict = slot.filter.onWrite!(chunk, endStream);
      if (verdict === StopIteration) return true;
      if (verdict !== DetachChain) continue;
      slot.writes = false;
      this.#writers--;
    }
    const accepted = chunk.length === 0 || this.connection.write(chunk);
    if (endStream) this.connection.endWrite();
    return accepted;
  }

  // ---- inside -----------------------------------------------------------------------------------------------------

  #startFilters(): void {
    const slots = this.#slots;
    while (this.#started < slots.length) {
      const index = this.#started++;
      const { filter } = slots[index]!;
      const verdict = filter.onConnection?.() ?? ContinueChain;
      if (this.isClosed) return;
      if (this.#handshakeDone) filter.onHandshakeDone?.();
      if (verdict === StopIteration && !this.#isEnd(index)) {
        this.#stoppedAt = index;
        return;
      }
    }
    const prepared = this.#prepared;
    this.#prepared = undefined;
    prepared?.start();
  }

  /** The end of the chain is there from the start, as in Envoy, whatever the filters make of the connection. */
  #prepareTerminal(): void {
    const terminal = this.#terminal;
    if (terminal === undefined) return;
    const { connection } = this;
    const output = this.hasWriters ? new FilteredOutput(connection, this) : connection;
    const prepared = terminal.prepareConnection?.(output);
    this.#prepared = prepared;
    this.#terminalInput = prepared ?? terminal.onConnection(output);
    if (this.#terminalInput === undefined) connection.close('abort');
  }

  #goOn(): void {
    this.#stoppedAt = NOBODY;
    this.#startFilters();
    if (this.#isStopped() || this.isClosed) return;
    const held = this.#held;
    if (held !== undefined) {
      this.#held = undefined;
      this.#feed(this.#heldFrom, held, this.#heldEnd);
    }
    while (this.#waiting.length > 0 && !this.#isStopped() && !this.isClosed)
      this.#feed(0, this.#waiting.shift()!, false);
    if (this.#isStopped() || this.isClosed) return;
    if (this.#waitingEnd) {
      this.#waitingEnd = false;
      this.#feed(0, EMPTY, true);
    }
    if (!this.#isStopped()) this.#resume();
  }

  #feed(from: number, bytes: Buffer, end: boolean): void {
    const slots = this.#slots;
    let chunk = bytes;
    for (let i = from; i < slots.length; i++) {
      const slot = slots[i]!;
      if (!slot.reads) continue;
      const verdict = slot.filter.onData!(chunk, end);
      if (this.isClosed) return;
      if (verdict === DetachChain) slot.reads = false;
      else if (typeof verdict === 'object') {
        chunk = verdict;
        if (chunk.length === 0 && !end) return;
      } else if (verdict === StopIteration && !this.#isEnd(i)) {
        this.#stoppedAt = i;
        this.#held = Buffer.from(chunk);
        this.#heldEnd = end;
        this.#heldFrom = i + 1;
        this.#pause();
        return;
      }
    }
    const input = this.#terminalInput;
    if (chunk.length > 0) input?.onData(chunk);
    if (end && !this.isClosed) input?.onEnd();
  }

  /** Whether the filter at `index` is the end of the chain, which holds nothing up. */
  #isEnd(index: number): boolean {
    return this.#terminal === undefined && index === this.#slots.length - 1;
  }

  #isStopped(): boolean {
    return this.#stoppedAt !== NOBODY;
  }

  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.connection.pauseRead();
  }

  #resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.connection.resumeRead();
  }
}

/** One filter on one connection, and what the filter sees of the connection. */
export class FilterSlot implements NetworkConnection {
  filter: NetworkFilter = NO_FILTER;
  /** It wants to see what comes, and what is written. */
  reads = false;
  writes = false;
  readonly #chain: FilteredConnection;
  readonly #index: number;

  constructor(chain: FilteredConnection, index: number) {
    this.#chain = chain;
    this.#index = index;
  }

  use(filter: NetworkFilter): void {
    this.filter = filter;
    this.reads = filter.onData !== undefined;
    this.writes = filter.onWrite !== undefined;
  }

  get info(): ConnectionStreamInfo {
    return this.#chain.connection.streamInfo;
  }

  get isClosed(): boolean {
    return this.#chain.isClosed;
  }

  continueReading(): void {
    this.#chain.continueFrom(this.#index);
  }

  write(chunk: Buffer, endStream: boolean): void {
    this.#chain.writeFrom(this.#index, chunk, endStream);
  }

  pauseRead(): void {
    this.#chain.connection.pauseRead();
  }

  resumeRead(): void {
    this.#chain.connection.resumeRead();
  }

  close(how: 'flush' | 'abort' | 'reset', details: string): void {
    this.#chain.connection.close(how === 'flush' ? 'flush-no-delay' : how, details);
  }
}

const NO_FILTER: NetworkFilter = {};
