import type { GrpcChannel, GrpcStatus, GrpcStreamEvents, GrpcStreamHandle } from '../../src/xds/grpc-channel.ts';

/** One stream that a FakeGrpcChannel has opened, from the server's side. */
export class FakeGrpcStream implements GrpcStreamHandle {
  readonly method: string;
  readonly sent: Uint8Array[] = [];
  cancelled = false;
  readonly #events: GrpcStreamEvents;

  constructor(method: string, events: GrpcStreamEvents) {
    this.method = method;
    this.#events = events;
  }

  send(bytes: Uint8Array): void {
    this.sent.push(bytes);
  }

  cancel(): void {
    this.cancelled = true;
  }

  /** The server sends a message. */
  message(bytes: Uint8Array): void {
    if (!this.cancelled) this.#events.onMessage(bytes);
  }

  /** The server ends the stream, or it couldn't be reached. */
  end(status: GrpcStatus): void {
    if (!this.cancelled) this.#events.onEnd(status);
  }
}

/** A channel without a network: tests play the server. */
export class FakeGrpcChannel implements GrpcChannel {
  readonly destination: string;
  readonly streams: FakeGrpcStream[] = [];

  constructor(destination = 'xds') {
    this.destination = destination;
  }

  get last(): FakeGrpcStream {
    return this.streams.at(-1)!;
  }

  openStream(method: string, events: GrpcStreamEvents): GrpcStreamHandle {
    const stream = new FakeGrpcStream(method, events);
    this.streams.push(stream);
    return stream;
  }

  call(): Promise<GrpcStatus> {
    return Promise.resolve({ code: 12, details: '' });
  }

  close(): void {}
}
