/** A gRPC status: its number, and the words that came with it. */
export interface GrpcStatus {
  readonly code: number;
  readonly details: string;
}

/** The numbers that matter here. */
export const GRPC_STATUS = {
  OK: 0,
  DEADLINE_EXCEEDED: 4,
  RESOURCE_EXHAUSTED: 8,
  INTERNAL: 13,
  UNAVAILABLE: 14,
} as const;

/** Told of what a stream brings. Nothing is called inside of `openStream`. */
export interface GrpcStreamEvents {
  onMessage(bytes: Uint8Array): void;
  /** Once, and last: whoever cancels is not told. */
  onEnd(status: GrpcStatus): void;
}

export interface GrpcStreamHandle {
  send(bytes: Uint8Array): void;
  /** Idempotent. */
  cancel(): void;
}

/**
 * A gRPC service as the bootstrap describes it (core.v3.GrpcService), in serialised messages. Streams share connections;
 * a connection that failed is never waited for, so that back-off is the caller's alone.
 */
export interface GrpcChannel {
  /** For messages: the cluster's name, or the target. */
  readonly destination: string;
  /** A bidirectional stream. `method`: `/package.Service/Method`. */
  openStream(method: string, events: GrpcStreamEvents): GrpcStreamHandle;
  /**
   * One request, one response, with further metadata (names in lower case). A status other than OK resolves to that. A
   * connection on which nothing else is under way isn't used again after one.
   */
  call(
    method: string,
    request: Uint8Array,
    timeoutMs: number,
    metadata?: readonly (readonly [name: string, value: string])[],
  ): Promise<Uint8Array | GrpcStatus>;
  close(): void;
}
