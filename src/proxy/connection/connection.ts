import type { Socket } from 'node:net';
import type { ConnectionInfo } from '../../filters/stream-info.ts';
import { Timer, type TimerTask } from '../../lib/timer-wheel.ts';
import type { ConnectionInput, ConnectionOutput } from '../codec/connection-io.ts';
import { currentRead, keepRead } from '../codec/read-buffer.ts';
import type { Dispatcher } from '../dispatcher.ts';
import type { Logger } from '../worker-context.ts';

/** What the connections of one filter chain share. */
export interface ConnectionSettings {
  readonly dispatcher: Dispatcher;
  readonly log: Logger;
  /** Soft limit of what is buffered each way, in bytes; 0 = none. */
  readonly bufferLimit: number;
  /** How long a connection that we are done with waits for its peer to close first; 0 = not at all. */
  readonly delayedCloseTimeoutMs: number;
  /** Called when that time ran out (`downstream_cx_delayed_close_timeout`). */
  readonly onDelayedCloseTimeout: () => void;
  /** Whether a connection should go now, by the drain state of its listener. */
  readonly shouldDrain: () => boolean;
  /** The connection is gone. */
  readonly onClosed: (connection: Connection) => void;
}

/**
 * - `flush`: Envoy's FlushWriteAndDelay. Once everything is written, wait for the peer to close, up to the delayed-close
 *   time: closing at once would reset the connection if the peer were still sending, and the response could be lost.
 * - `flush-no-delay`: Envoy's FlushWrite. Close once everything is written: the request was read to its end.
 * - `abort`: now.
 */
export type CloseMode = 'flush' | 'flush-no-delay' | 'abort';

const Open = 0;
/** Closing: writes go out, reads are thrown away. */
const Flushing = 1;
const Closed = 2;

/**
 * Owns the socket of one downstream connection and hands its bytes to `input` (a codec, or a TCP proxy). Every
 * callback of the socket is one dispatcher turn. Whatever goes wrong ends this connection only.
 */
export class Connection implements ConnectionOutput, TimerTask {
  readonly info: ConnectionInfo;
  bytesReceived = 0;
  bytesSent = 0;
  /** We ended it (not the peer); valid once it is closed. */
  closedLocally = false;

  readonly #socket: Socket;
  readonly #settings: ConnectionSettings;
  #input: ConnectionInput | undefined = undefined;
  #state: typeof Open | typeof Flushing | typeof Closed = Open;
  #waitsForPeer = false;
  #pauses = 0;
  #closeTimer: Timer | undefined = undefined;

  constructor(socket: Socket, info: ConnectionInfo, settings: ConnectionSettings) {
    this.#socket = socket;
    this.info = info;
    this.#settings = settings;
    // A reset of the connection is followed by 'close', which is what counts.
    socket.on('error', ignore);
    socket.on('close', () => this.#onClose());
  }

  get bufferLimit(): number {
    return this.#settings.bufferLimit;
  }

  get isClosed(): boolean {
    return this.#state === Closed;
  }

  /** Starts to read. To be called once, in the turn that accepted the connection. */
  start(input: ConnectionInput): void {
    this.#input = input;
    const socket = this.#socket;
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('end', () => this.#onEnd());
    socket.on('drain', () => this.#onDrain());
  }

  shouldDrain(): boolean {
    return this.#settings.shouldDrain();
  }

  write(data: string | Uint8Array): boolean {
    if (this.#state !== Open) return true;
    const socket = this.#socket;
    this.bytesSent += data.length;
    if (typeof data === 'string') return socket.write(data, 'latin1');
    const accepted = socket.write(data);
    // The chunk may be borrowed from the upstream's read buffer, which must not be used again before it is written.
    if (socket.writableLength !== 0) keepRead();
    return accepted;
  }

  pauseRead(): void {
    if (this.#pauses++ === 0 && this.#state === Open) this.#socket.pause();
  }

  resumeRead(): void {
    if (this.#pauses > 0 && --this.#pauses === 0 && this.#state === Open) this.#socket.resume();
  }

  close(how: CloseMode): void {
    if (this.#state === Closed) return;
    if (how === 'abort') {
      this.#destroy(true);
      return;
    }
    if (this.#state === Flushing) return;
    this.#state = Flushing;
    const { dispatcher, delayedCloseTimeoutMs } = this.#settings;
    this.#waitsForPeer = how === 'flush' && delayedCloseTimeoutMs > 0;
    const socket = this.#socket;
    if (!this.#waitsForPeer) {
      if (socket.writableLength === 0) {
        this.#destroy(true);
        return;
      }
      this.closedLocally = true;
      socket.destroySoon();
    }
    // Only a socket that is read shows that its peer has closed.
    if (this.#pauses > 0) socket.resume();
    if (delayedCloseTimeoutMs > 0) {
      this.#closeTimer = new Timer(this);
      dispatcher.arm(this.#closeTimer, delayedCloseTimeoutMs);
    }
  }

  /** The peer did not close, or did not read, in time. */
  onTimer(): void {
    this.#settings.onDelayedCloseTimeout();
    this.#destroy(true);
  }

  #onData(chunk: Buffer): void {
    if (this.#state !== Open) return;
    this.bytesReceived += chunk.length;
    currentRead.kept = false;
    const { dispatcher } = this.#settings;
    try {
      dispatcher.begin();
      try {
        this.#input!.onData(chunk);
      } finally {
        dispatcher.end();
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  #onEnd(): void {
    if (this.#state === Open) {
      const { dispatcher } = this.#settings;
      try {
        dispatcher.begin();
        try {
          this.#input!.onEnd();
        } finally {
          dispatcher.end();
        }
      } catch (error) {
        this.#fail(error);
      }
      // As in Envoy, a downstream that ends its half ends the connection.
      if (this.#isOpen()) this.#destroy(false);
    } else if (this.#state === Flushing && this.#waitsForPeer) {
      // The peer was first, as it should be.
      if (this.#socket.writableLength === 0) this.#destroy(false);
      else this.#socket.destroySoon();
    }
  }

  #onDrain(): void {
    if (this.#state === Flushing && this.#closeTimer !== undefined)
      this.#settings.dispatcher.arm(this.#closeTimer, this.#settings.delayedCloseTimeoutMs);
    if (this.#state !== Open) return;
    const { dispatcher } = this.#settings;
    try {
      dispatcher.begin();
      try {
        this.#input!.onDrain();
      } finally {
        dispatcher.end();
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  #onClose(): void {
    this.#state = Closed;
    const { dispatcher } = this.#settings;
    if (this.#closeTimer !== undefined) dispatcher.disarm(this.#closeTimer);
    const input = this.#input;
    this.#input = undefined;
    try {
      dispatcher.begin();
      try {
        input?.onClose();
        this.#settings.onClosed(this);
      } finally {
        dispatcher.end();
      }
    } catch (error) {
      this.#settings.log.error('connection', `[C${this.info.id}] closing failed: ${describe(error)}`);
    }
  }

  /** A bug of ours, met while this connection was served: it costs this connection. */
  #fail(error: unknown): void {
    this.#settings.log.error('connection', `[C${this.info.id}] failed: ${describe(error)}`);
    this.#destroy(true);
  }

  #destroy(locally: boolean): void {
    if (locally) this.closedLocally = true;
    // 'close' follows, and with it the input's onClose.
    this.#state = Flushing;
    this.#socket.destroy();
  }

  /** Asked after a call that may have closed us, which the compiler can't see. */
  #isOpen(): boolean {
    return this.#state === Open;
  }
}

function ignore(): void {}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
