import type { Socket } from 'node:net';
import type { TlsInfo } from '../../filters/stream-info.ts';
import { Timer, type TimerTask } from '../../lib/timer-wheel.ts';
import type { ConnectionInput, HalfClosableOutput } from '../codec/connection-io.ts';
import { currentRead, ownMemory } from '../codec/read-buffer.ts';
import { SocketWrites } from '../codec/socket-writes.ts';
import type { Dispatcher } from '../dispatcher.ts';
import { MutableStreamInfo } from '../http/stream-info.ts';
import type { DownstreamTransportSocket, HandshakeOwner } from '../transport-socket/transport-socket.ts';
import type { Logger } from '../worker-context.ts';
import type { DownstreamConnectionInfo } from './connection-info.ts';

/** What carries the bytes of a filter chain's connections over their sockets (TLS). */
export interface TransportSettings {
  readonly socket: DownstreamTransportSocket;
  /** Until a handshake is done, in ms; 0 = no limit. */
  readonly connectTimeoutMs: number;
  /** Called when that time ran out. */
  readonly onConnectTimeout: () => void;
  /** The handshake is done. Not called for one that fails: `onClosed` is. */
  readonly onHandshakeDone: (connection: Connection) => void;
}

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
  /** Undefined: raw buffer. */
  readonly transport: TransportSettings | undefined;
  /** The connection is gone. */
  readonly onClosed: (connection: Connection) => void;
}

/**
 * - `flush`: Envoy's FlushWriteAndDelay. Once everything is written, wait for the peer to close, up to the delayed-close
 *   time: closing at once would reset the connection if the peer were still sending, and the response could be lost.
 * - `flush-no-delay`: Envoy's FlushWrite. Close once everything is written: the request was read to its end.
 * - `abort`: now.
 * - `reset`: now, with a TCP RST, where the system lets us (not on a Unix socket).
 */
export type CloseMode = 'flush' | 'flush-no-delay' | 'abort' | 'reset';

const Open = 0;
/** Closing: writes go out, reads are thrown away. */
const Flushing = 1;
const Closed = 2;

/** How much is read and thrown away of a peer that goes on sending while we close: enough to let it see the answer. */
const MAX_DISCARDED = 1 << 20;

const NOTHING_WRITTEN: (string | Uint8Array)[] = [];

/** %DOWNSTREAM_TRANSPORT_FAILURE_REASON% of a handshake that a RST ended. */
const RESET_BY_PEER = 'TLS_error:|33554536:system library:OPENSSL_internal:Connection reset by peer:TLS_error_end';
/** %CONNECTION_TERMINATION_DETAILS% of a handshake that took too long. */
const TRANSPORT_SOCKET_TIMEOUT = 'transport socket timeout was reached';

/**
 * Owns the socket of one downstream connection, or the transport socket on it, and hands its plain bytes to `input` (a
 * codec, a chain of network filters). Every callback of the socket is one dispatcher turn. Whatever goes wrong ends
 * this connection only.
 */
export class Connection implements HalfClosableOutput, HandshakeOwner, TimerTask {
  readonly info: DownstreamConnectionInfo;
  bytesReceived = 0;
  bytesSent = 0;
  /** We ended it (not the peer); valid once it is closed. */
  closedLocally = false;
  /** The peer ended it with a RST; valid once it is closed. */
  wasReset = false;

  /** As accepted. */
  readonly #accepted: Socket;
  /** Where plain bytes are read and written: `#accepted` until a handshake is done. */
  #socket: Socket;
  readonly #settings: ConnectionSettings;
  #input: ConnectionInput | undefined = undefined;
  #state: typeof Open | typeof Flushing | typeof Closed = Open;
  #handshaking = false;
  #handshakeFailed = false;
  /** Written before the handshake was done. */
  #early: (string | Uint8Array)[] = NOTHING_WRITTEN;
  #readEnded = false;
  #writeEnded = false;
  #waitsForPeer = false;
  #discarded = 0;
  #pauses = 0;
  readonly #writes = new SocketWrites();
  /** Of the handshake; then of the delayed close. */
  #timer: Timer | undefined = undefined;
  #terminationDetails = '';
  #streamInfo: MutableStreamInfo | undefined = undefined;

  constructor(socket: Socket, info: DownstreamConnectionInfo, settings: ConnectionSettings) {
    this.#accepted = socket;
    this.#socket = socket;
    this.info = info;
    this.#settings = settings;
    // A reset of the connection is followed by 'close', which is what counts; a transport socket closes it too.
    socket.on('error', (error) => this.#onError(error));
    socket.on('close', () => this.#onClose());
    const { transport } = settings;
    if (transport === undefined) return;
    this.#handshaking = true;
    transport.socket.wrap(socket, this, info.transportProtocol === 'tls' ? info.applicationProtocols : undefined);
    if (transport.connectTimeoutMs > 0) this.#armTimer(transport.connectTimeoutMs);
  }

  /** False until a transport socket's handshake is done. */
  get isEstablished(): boolean {
    return !this.#handshaking;
  }

  /**
   * What network filters and the listener's access log know of the connection: its dynamic metadata, filter state,
   * flags and termination details. Made when first asked for.
   */
  get streamInfo(): MutableStreamInfo {
    const { info } = this;
    if (this.#streamInfo === undefined) {
      const { dispatcher } = this.#settings;
      const startEpochMs = dispatcher.epochNow - (dispatcher.now - info.startMs);
      this.#streamInfo = new MutableStreamInfo(info, '', info.startMs, startEpochMs);
      info.shareState(this.#streamInfo);
    }
    const stream = this.#streamInfo;
    stream.bytesReceived = this.bytesReceived;
    stream.bytesSent = this.bytesSent;
    if (stream.connectionTerminationDetails === '') stream.connectionTerminationDetails = this.#terminationDetails;
    return stream;
  }

  /** Bytes written that the system hasn't taken yet. */
  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  /** Bytes that the peer has sent and nobody has looked at: they are lost if the connection is closed. */
  get unreadBytes(): number {
    return this.#socket.readableLength;
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
    if (!this.#handshaking) this.#listen();
  }

  #listen(): void {
    const socket = this.#socket;
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('end', () => this.#onEnd());
    socket.on('drain', () => this.#onDrain());
    // Paused by listener filters, which have put back what they read.
    if (this.#pauses === 0 && socket.isPaused()) socket.resume();
  }

  shouldDrain(): boolean {
    return this.#settings.shouldDrain();
  }

  write(data: string | Uint8Array): boolean {
    if (this.#state !== Open || this.#writeEnded) return true;
    const socket = this.#socket;
    this.bytesSent += data.length;
    if (this.#handshaking) {
      if (this.#early === NOTHING_WRITTEN) this.#early = [];
      this.#early.push(typeof data === 'string' ? data : Buffer.from(data));
      return true;
    }
    if (typeof data === 'string') return socket.write(data, 'latin1');
    return this.#writes.write(socket, data, socket !== this.#accepted);
  }

  pauseRead(): void {
    if (this.#pauses++ === 0 && this.#state === Open && !this.#handshaking) this.#socket.pause();
  }

  resumeRead(): void {
    if (this.#pauses > 0 && --this.#pauses === 0 && this.#state === Open && !this.#handshaking) this.#socket.resume();
  }

  endWrite(): void {
    if (this.#state !== Open || this.#writeEnded) return;
    this.#writeEnded = true;
    // With both directions at an end the socket closes by itself.
    if (this.#readEnded) this.closedLocally = true;
    if (!this.#handshaking) this.#socket.end();
  }

  /** `details`: %CONNECTION_TERMINATION_DETAILS% of the listener's access log; the first that is given stays. */
  close(how: CloseMode, details = ''): void {
    if (this.#state === Closed) return;
    if (this.#terminationDetails === '') this.#terminationDetails = details;
    // Nobody could read what we would wait for before a handshake is done.
    if (how === 'abort' || (this.#handshaking && how !== 'reset')) {
      this.#destroy(true);
      return;
    }
    if (how === 'reset') {
      this.#reset();
      return;
    }
    if (this.#state === Flushing) return;
    this.#state = Flushing;
    const { delayedCloseTimeoutMs } = this.#settings;
    this.#waitsForPeer = how === 'flush' && delayedCloseTimeoutMs > 0 && !this.#readEnded;
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
    if (delayedCloseTimeoutMs > 0) this.#armTimer(delayedCloseTimeoutMs);
  }

  /** The peer did not close, or did not read, in time; or the handshake took too long. */
  onTimer(): void {
    if (this.#state === Open) {
      if (!this.#handshaking) return;
      this.info.localCloseReason = 'transport_socket_timeout';
      this.#terminationDetails = TRANSPORT_SOCKET_TIMEOUT;
      this.#settings.transport!.onConnectTimeout();
    } else this.#settings.onDelayedCloseTimeout();
    this.#destroy(true);
  }

  // ---- from the transport socket ----------------------------------------------------------------------------------

  onHandshakeDone(socket: Socket, tls: TlsInfo): void {
    if (!this.#handshaking) return;
    this.#handshaking = false;
    this.#socket = socket;
    socket.on('error', (error) => this.#onError(error));
    this.info.tls = tls;
    if (this.#state !== Open) return;
    if (this.#timer !== undefined) this.#settings.dispatcher.disarm(this.#timer);
    for (const data of this.#early) socket.write(data, 'latin1');
    this.#early = NOTHING_WRITTEN;
    if (this.#writeEnded) socket.end();
    if (this.#input !== undefined) this.#listen();
    if (this.#pauses > 0) socket.pause();
    this.#settings.transport!.onHandshakeDone(this);
    this.#input?.onHandshakeDone?.();
  }

  onHandshakeFailed(reason: string): void {
    if (!this.#handshaking || this.#handshakeFailed) return;
    this.#handshakeFailed = true;
    if (this.info.transportFailureReason === '')
      this.info.transportFailureReason = reason === '' && this.wasReset ? RESET_BY_PEER : reason;
    if (this.#accepted.closed) this.#onClose();
    // Envoy takes it for the peer's doing.
    else this.#destroy(false);
  }

  // ---- from the socket --------------------------------------------------------------------------------------------

  #onData(chunk: Buffer): void {
    if (this.#state !== Open) {
      this.#discarded += chunk.length;
      // Whoever sends and sends is no longer of interest: the delayed close ends it.
      if (this.#discarded > MAX_DISCARDED) this.#socket.pause();
      return;
    }
    this.bytesReceived += chunk.length;
    const memory = ownMemory(chunk);
    currentRead.kept = false;
    currentRead.buffer = memory;
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
    currentRead.buffer = undefined;
    memory?.letGo();
  }

  #onEnd(): void {
    this.#readEnded = true;
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
      // As in Envoy, a downstream that ends its half ends the connection, unless something has use for the other half.
      if (!this.#isOpen()) return;
      if (this.#writeEnded) {
        // With both directions at an end the socket closes by itself, once what was written has left.
        if (this.#socket.writableLength === 0) this.#destroy(false);
      } else if (this.#input?.allowsHalfClose !== true) this.#destroy(false);
    } else if (this.#state === Flushing && this.#waitsForPeer) {
      // The peer was first, as it should be.
      if (this.#socket.writableLength === 0) this.#destroy(false);
      else this.#socket.destroySoon();
    }
  }

  #onError(error: NodeJS.ErrnoException): void {
    if (error.code === 'ECONNRESET' && !this.closedLocally) this.wasReset = true;
  }

  #onDrain(): void {
    if (this.#state === Flushing && this.#timer !== undefined)
      this.#settings.dispatcher.arm(this.#timer, this.#settings.delayedCloseTimeoutMs);
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
    // The reason is still to come.
    if (this.#handshaking && !this.#handshakeFailed) return;
    this.#state = Closed;
    const { dispatcher } = this.#settings;
    if (this.#timer !== undefined) dispatcher.disarm(this.#timer);
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

  #reset(): void {
    this.closedLocally = true;
    this.#state = Flushing;
    const socket = this.#accepted;
    // A Unix socket can't be reset.
    if (this.info.directRemoteIp === '') socket.destroy();
    else socket.resetAndDestroy();
    if (this.#socket !== socket) this.#socket.destroy();
  }

  #armTimer(delayMs: number): void {
    this.#timer ??= new Timer(this);
    this.#settings.dispatcher.arm(this.#timer, delayMs);
  }

  /** Asked after a call that may have closed us, which the compiler can't see. */
  #isOpen(): boolean {
    return this.#state === Open;
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
