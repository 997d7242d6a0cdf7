import type { ConnectionInfo } from '../../filters/stream-info.ts';
import type { MutableStreamInfo } from '../http/stream-info.ts';
import type { CloseMode } from './connection.ts';
import type { DownstreamConnection } from './downstream-connection.ts';
import type { FilteredConnection } from './filtered-connection.ts';

const EMPTY = Buffer.alloc(0);

/** The connection as the end of a chain sees it whose filters look at what is written. */
export class FilteredOutput implements DownstreamConnection {
  readonly #connection: DownstreamConnection;
  readonly #chain: FilteredConnection;

  constructor(connection: DownstreamConnection, chain: FilteredConnection) {
    this.#connection = connection;
    this.#chain = chain;
  }

  write(data: string | Uint8Array): boolean {
    if (!this.#chain.hasWriters) return this.#connection.write(data);
    const chunk =
      typeof data === 'string'
        ? Buffer.from(data, 'latin1')
        : Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    return this.#chain.writeFrom(this.#chain.slots.length, chunk, false);
  }

  endWrite(): void {
    this.#chain.writeFrom(this.#chain.slots.length, EMPTY, true);
  }

  pauseRead(): void {
    this.#connection.pauseRead();
  }

  resumeRead(): void {
    this.#connection.resumeRead();
  }

  close(how: CloseMode, details?: string): void {
    this.#connection.close(how, details);
  }

  shouldDrain(): boolean {
    return this.#connection.shouldDrain();
  }

  get info(): ConnectionInfo {
    return this.#connection.info;
  }

  get streamInfo(): MutableStreamInfo {
    return this.#connection.streamInfo;
  }

  get isEstablished(): boolean {
    return this.#connection.isEstablished;
  }

  get bytesReceived(): number {
    return this.#connection.bytesReceived;
  }

  get bytesSent(): number {
    return this.#connection.bytesSent;
  }

  get closedLocally(): boolean {
    return this.#connection.closedLocally;
  }

  get wasReset(): boolean {
    return this.#connection.wasReset;
  }

  get bufferedBytes(): number {
    return this.#connection.bufferedBytes;
  }

  get unreadBytes(): number {
    return this.#connection.unreadBytes;
  }

  get bufferLimit(): number {
    return this.#connection.bufferLimit;
  }

  get isClosed(): boolean {
    return this.#connection.isClosed;
  }
}
