import type { ConnectionInput } from '../../src/proxy/codec/connection-io.ts';
import type { CloseMode } from '../../src/proxy/connection/connection.ts';
import type { DownstreamConnection } from '../../src/proxy/connection/downstream-connection.ts';
import type { Dispatcher } from '../../src/proxy/dispatcher.ts';
import type { MutableStreamInfo } from '../../src/proxy/http/stream-info.ts';
import { streamInfo } from './route-table.ts';

/** An accepted connection without a socket: what is written is recorded, what comes in is up to the test. */
export class FakeDownstream implements DownstreamConnection {
  readonly streamInfo: MutableStreamInfo = streamInfo();
  readonly info = this.streamInfo.connection;
  input: ConnectionInput | undefined = undefined;
  isEstablished = true;
  bytesReceived = 0;
  bytesSent = 0;
  closedLocally = false;
  wasReset = false;
  bufferedBytes = 0;
  unreadBytes = 0;
  readonly bufferLimit = 1024;
  isClosed = false;
  written = '';
  writeEnded = false;
  closed: CloseMode | undefined = undefined;
  details = '';
  pauses = 0;
  /** What `write` answers. */
  writable = true;
  readonly #dispatcher: Dispatcher;

  constructor(dispatcher: Dispatcher) {
    this.#dispatcher = dispatcher;
  }

  write(data: string | Uint8Array): boolean {
    if (this.writeEnded) throw new Error('written after the end');
    this.bytesSent += data.length;
    this.written += typeof data === 'string' ? data : Buffer.from(data).toString('latin1');
    return this.writable;
  }
  endWrite(): void {
    this.writeEnded = true;
  }
  pauseRead(): void {
    this.pauses++;
  }
  resumeRead(): void {
    if (this.pauses-- === 0) throw new Error('resumed more often than paused');
  }
  shouldDrain(): boolean {
    return false;
  }
  close(how: CloseMode, details = ''): void {
    this.closed ??= how;
    this.closedLocally = true;
    if (this.details === '') this.details = details;
    this.isClosed = true;
  }

  data(text: string): void {
    const chunk = Buffer.from(text, 'latin1');
    this.bytesReceived += chunk.length;
    this.#dispatcher.turn(() => this.input?.onData(chunk));
    // As a socket's buffer, which is used again.
    chunk.fill(0x21);
  }
  end(): void {
    this.#dispatcher.turn(() => this.input?.onEnd());
  }
  drain(): void {
    this.writable = true;
    this.#dispatcher.turn(() => this.input?.onDrain());
  }
  /** The socket is gone; the peer's doing unless we closed. */
  gone(): void {
    this.isClosed = true;
    const { input } = this;
    this.input = undefined;
    this.#dispatcher.turn(() => input?.onClose());
  }
}
