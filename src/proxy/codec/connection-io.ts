/**
 * What a codec connection needs of the socket under it, and what the socket's owner tells the codec. The owner is
 * connection/connection.ts downstream and upstream/pool/connector.ts upstream; tests use a recording fake.
 */
export interface ConnectionOutput {
  /** Writes now; strings are latin1. False: the send buffer is over its high watermark, `onDrain` follows. */
  write(data: string | Uint8Array): boolean;
  /** Stops and restarts reading from the socket; counted. */
  pauseRead(): void;
  resumeRead(): void;
  /**
   * `flush`: close once everything written has left, giving the peer the configured delayed-close time to read it.
   * `flush-no-delay`: close as soon as it has left: the peer isn't sending any more. `abort`: close now. Idempotent.
   */
  close(how: 'flush' | 'flush-no-delay' | 'abort'): void;
  /** Bytes that were written and have not left yet. Absent: not known. */
  readonly bufferedBytes?: number;
}

/** A connection of which one direction can end before the other. */
export interface HalfClosableOutput extends ConnectionOutput {
  /** Nothing more will be written: FIN (TLS: close_notify) once everything has left. Reading goes on. Idempotent. */
  endWrite(): void;
}

/** The codec half. The owner wraps each call in a dispatcher turn. */
export interface ConnectionInput {
  /** Bytes from the peer; borrowed (see read-buffer.ts). */
  onData(chunk: Buffer): void;
  /** The peer half-closed. Unless `allowsHalfClose`, the owner closes the connection after this call. */
  onEnd(): void;
  /** Asked after `onEnd`: the other direction goes on, and whoever ends it closes the connection. Absent: no. */
  readonly allowsHalfClose?: boolean;
  /** The transport socket's handshake is done: `info.tls` is there, bytes may follow. Not called without one. */
  onHandshakeDone?(): void;
  /** What was over the high watermark has drained. */
  onDrain(): void;
  /** The connection is gone, whoever closed it: every stream still open is reset. Exactly once, last. */
  onClose(): void;
  /** Writes what was gathered in this turn (see Dispatcher.markDirty). */
  flush(): void;
}
