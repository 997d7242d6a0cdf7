import {
  DetachChain,
  type ConnectionStreamInfo,
  type NetworkConnection,
  type NetworkFilter,
  type NetworkFilterForConnection,
} from '../../../filters/network/filter.ts';
import type { ConnectionInfo } from '../../../filters/stream-info.ts';
import type { ConnectionInput } from '../../codec/connection-io.ts';
import type { Dispatcher } from '../../dispatcher.ts';
import { MutableStreamInfo } from '../../http/stream-info.ts';
import type { ConnectFailure } from './connect-failure.ts';
import type { ConnectOptions, Connector, UpstreamSocket, UpstreamSocketOwner } from './connector.ts';

const EMPTY = Buffer.alloc(0);

/** Connects as `connect` does, with a cluster's network filters between the connection and its user. */
export function connectWithFilters(connect: Connector): Connector {
  return (dispatcher, options, owner) =>
    options.filters === undefined || options.filters.length === 0
      ? connect(dispatcher, options, owner)
      : new FilteredSocket(connect, dispatcher, options, options.filters, owner);
}

/**
 * One upstream connection with network filters, which see what is written in reverse order, and what comes in order.
 * They stop nothing. The filter state of the connection is that of its info.
 */
class FilteredSocket implements UpstreamSocket, UpstreamSocketOwner, ConnectionInput {
  input: ConnectionInput | undefined = undefined;
  readonly #dispatcher: Dispatcher;
  readonly #filters: readonly NetworkFilterForConnection[];
  readonly #owner: UpstreamSocketOwner;
  readonly #socket: UpstreamSocket;
  #slots: readonly Slot[] = [];
  #writers = 0;
  #closed = false;

  constructor(
    connect: Connector,
    dispatcher: Dispatcher,
    options: ConnectOptions,
    filters: readonly NetworkFilterForConnection[],
    owner: UpstreamSocketOwner,
  ) {
    this.#dispatcher = dispatcher;
    this.#filters = filters;
    this.#owner = owner;
    this.#socket = connect(dispatcher, options, this);
  }

  // ---- of the socket ----------------------------------------------------------------------------------------------

  onConnected(connection: ConnectionInfo): void {
    const { clock } = this.#dispatcher;
    const info = new MutableStreamInfo(connection, '', this.#dispatcher.now, clock.epoch());
    const slots: Slot[] = [];
    for (const create of this.#filters) {
      const slot = new Slot(this, slots.length, info);
      const filter = create(slot);
      if (filter === undefined) continue;
      slot.use(filter);
      if (slot.writes) this.#writers++;
      slots.push(slot);
    }
    this.#slots = slots;
    this.#socket.input = this;
    for (const { filter } of slots) filter.onConnection?.();
    for (const { filter } of slots) filter.onHandshakeDone?.();
    this.#owner.onConnected(slots.length === 0 ? connection : { ...connection, filterState: info.filterState });
  }

  onSocketClosed(local: boolean, failure: ConnectFailure | undefined): void {
    this.#closed = true;
    for (const { filter } of this.#slots) filter.onDestroy?.();
    this.#owner.onSocketClosed(local, failure);
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  // ---- to the socket ----------------------------------------------------------------------------------------------

  write(data: string | Uint8Array): boolean {
    if (this.#writers === 0) return this.#socket.write(data);
    const chunk =
      typeof data === 'string'
        ? Buffer.from(data, 'latin1')
        : Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    return this.writeFrom(this.#slots.length, chunk, false);
  }

  endWrite(): void {
    this.writeFrom(this.#slots.length, EMPTY, true);
  }

  /** Writes what the filter at `index`, or the user behind the last, sends. */
  writeFrom(index: number, chunk: Buffer, endStream: boolean): boolean {
    for (let i = index - 1; i >= 0; i--) {
      const slot = this.#slots[i]!;
      if (!slot.writes || slot.filter.onWrite!(chunk, endStream) !== DetachChain) continue;
      slot.writes = false;
      this.#writers--;
    }
    const accepted = chunk.length === 0 || this.#socket.write(chunk);
    if (endStream) this.#socket.endWrite();
    return accepted;
  }

  pauseRead(): void {
    this.#socket.pauseRead();
  }

  resumeRead(): void {
    this.#socket.resumeRead();
  }

  close(how: 'flush' | 'flush-no-delay' | 'abort' | 'reset'): void {
    this.#socket.close(how);
  }

  get bufferedBytes(): number {
    return this.#socket.bufferedBytes;
  }

  get wasReset(): boolean {
    return this.#socket.wasReset;
  }

  // ---- from the socket --------------------------------------------------------------------------------------------

  get allowsHalfClose(): boolean {
    return this.input?.allowsHalfClose === true;
  }

  onData(chunk: Buffer): void {
    this.#feed(chunk, false);
  }

  onEnd(): void {
    this.#feed(EMPTY, true);
  }

  onDrain(): void {
    this.input?.onDrain();
  }

  onClose(): void {
    const { input } = this;
    this.input = undefined;
    input?.onClose();
  }

  flush(): void {
    this.input?.flush();
  }

  #feed(bytes: Buffer, end: boolean): void {
    let chunk = bytes;
    for (const slot of this.#slots) {
      if (!slot.reads) continue;
      const verdict = slot.filter.onData!(chunk, end);
      if (this.#closed) return;
      if (verdict === DetachChain) slot.reads = false;
      else if (typeof verdict === 'object') {
        chunk = verdict;
        if (chunk.length === 0 && !end) return;
      }
    }
    if (chunk.length > 0) this.input?.onData(chunk);
    if (end) this.input?.onEnd();
  }
}

/** One filter on one connection, and what it sees of it. */
class Slot implements NetworkConnection {
  filter: NetworkFilter = {};
  reads = false;
  writes = false;
  readonly info: ConnectionStreamInfo;
  readonly #socket: FilteredSocket;
  readonly #index: number;

  constructor(socket: FilteredSocket, index: number, info: ConnectionStreamInfo) {
    this.#socket = socket;
    this.#index = index;
    this.info = info;
  }

  use(filter: NetworkFilter): void {
    this.filter = filter;
    this.reads = filter.onData !== undefined;
    this.writes = filter.onWrite !== undefined;
  }

  get isClosed(): boolean {
    return this.#socket.isClosed;
  }

  continueReading(): void {}

  write(chunk: Buffer, endStream: boolean): void {
    this.#socket.writeFrom(this.#index, chunk, endStream);
  }

  pauseRead(): void {
    this.#socket.pauseRead();
  }

  resumeRead(): void {
    this.#socket.resumeRead();
  }

  close(how: 'flush' | 'abort' | 'reset'): void {
    this.#socket.close(how === 'flush' ? 'flush-no-delay' : how);
  }
}
