import {
  Client,
  connectivityState,
  Metadata,
  status as STATUS,
  type ChannelCredentials,
  type ChannelOptions,
  type ClientDuplexStream,
} from '@grpc/grpc-js';
import {
  GRPC_STATUS,
  type GrpcChannel,
  type GrpcStatus,
  type GrpcStreamEvents,
  type GrpcStreamHandle,
} from './grpc-channel.ts';

/** How to make the connections of a channel. */
export interface GrpcJsChannelOptions {
  readonly destination: string;
  /** What the next connection goes to, as the library names it; undefined: there is nothing to connect to. */
  readonly target: () => Promise<string | undefined>;
  readonly credentials: ChannelCredentials;
  readonly channelOptions: ChannelOptions;
  readonly metadata: readonly (readonly [name: string, value: string])[];
  readonly connectTimeoutMs: number;
}

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const unchanged = (bytes: Buffer): Buffer => bytes;
const NO_HOST: GrpcStatus = { code: GRPC_STATUS.UNAVAILABLE, details: 'no healthy upstream' };
const TIMED_OUT: GrpcStatus = {
  code: GRPC_STATUS.UNAVAILABLE,
  details: 'upstream connect error or disconnect/reset before headers. reset reason: connection timeout',
};

/**
 * A GrpcChannel on `@grpc/grpc-js`. The library's own reconnecting is not used: a client that has lost its connection,
 * or couldn't make one, is thrown away, and the next stream gets a new one.
 */
export class GrpcJsChannel implements GrpcChannel {
  readonly destination: string;
  readonly #options: GrpcJsChannelOptions;
  #client: Promise<Client | undefined> | undefined = undefined;
  readonly #calls = new Set<Call>();
  #closed = false;

  constructor(options: GrpcJsChannelOptions) {
    this.#options = options;
    this.destination = options.destination;
  }

  openStream(method: string, events: GrpcStreamEvents): GrpcStreamHandle {
    const call = new Call(events, (client) => this.#onCallDone(call, client));
    this.#calls.add(call);
    void this.#start(call, method);
    return call;
  }

  /** Whatever the library takes offence at (a target, a header) ends the stream. */
  async #start(call: Call, method: string): Promise<void> {
    try {
      call.start(await this.#connected(), method, this.#metadata());
    } catch (error) {
      call.fail(failureOf(error));
    }
  }

  async call(
    method: string,
    request: Uint8Array,
    timeoutMs: number,
    more: readonly (readonly [name: string, value: string])[] = [],
  ): Promise<Uint8Array | GrpcStatus> {
    let client: Client | undefined;
    let metadata: Metadata;
    try {
      client = await this.#connected();
      metadata = this.#metadata();
      for (const [name, value] of more) metadata.add(name, value);
    } catch (error) {
      return failureOf(error);
    }
    if (client === undefined) return NO_HOST;
    const made = client;
    return new Promise((resolve) => {
      const deadline = Date.now() + timeoutMs;
      made.makeUnaryRequest(method, asBuffer, unchanged, request, metadata, { deadline }, (error, response) => {
        // It may be dead without anybody having noticed.
        if (error !== null && this.#calls.size === 0) this.#dropClient();
        else if (error !== null) this.#dropUnlessConnected(made);
        resolve(
          error === null
            ? (response ?? new Uint8Array())
            : { code: error.code ?? STATUS.UNKNOWN, details: error.details ?? error.message },
        );
      });
    });
  }

  close(): void {
    this.#closed = true;
    for (const call of this.#calls) call.cancel();
    this.#dropClient();
  }

  #metadata(): Metadata {
    const metadata = new Metadata();
    for (const [name, value] of this.#options.metadata) metadata.add(name, value);
    return metadata;
  }

  async #connected(): Promise<Client | undefined> {
    const current = await this.#client;
    if (
      current !== undefined &&
      current.getChannel().getConnectivityState(false) >= connectivityState.TRANSIENT_FAILURE
    )
      this.#dropClient();
    if (this.#client === undefined) {
      const made = this.#connect();
      this.#client = made;
      made.catch(() => {
        if (this.#client === made) this.#client = undefined;
      });
    }
    return this.#client;
  }

  async #connect(): Promise<Client | undefined> {
    const { target, credentials, channelOptions, connectTimeoutMs } = this.#options;
    const address = await target();
    if (address === undefined || this.#closed) {
      this.#client = undefined;
      return undefined;
    }
    const client = new Client(address, credentials, {
      // Nobody else's connections, nor their back-off.
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_http_proxy': 0,
      'grpc.enable_retries': 0,
      'grpc.enable_channelz': 0,
      'grpc.service_config_disable_resolution': 1,
      'grpc.max_receive_message_length': -1,
      ...channelOptions,
    });
    this.#watch(client, Date.now() + connectTimeoutMs);
    return client;
  }

  /**
   * Connects, and gives up what waits for the connection at `deadline`. `Client.waitForReady` would do, if it did not wake
   * a client up that was closed meanwhile, which then goes on connecting for ever.
   */
  #watch(client: Client, deadline: number): void {
    const channel = client.getChannel();
    const look = (connects: boolean): void => {
      const state = channel.getConnectivityState(connects);
      if (state === connectivityState.READY || state === connectivityState.SHUTDOWN) return;
      channel.watchConnectivityState(state, deadline, (late) => {
        if (late === undefined) return look(false);
        for (const call of this.#calls) if (call.client === client) call.fail(TIMED_OUT);
      });
    };
    look(true);
  }

  #onCallDone(call: Call, client: Client | undefined): void {
    this.#calls.delete(call);
    if (client !== undefined) this.#dropUnlessConnected(client);
    // Nobody talks any more, so nobody listens.
    if (this.#calls.size === 0 && call.cancelled) this.#dropClient();
  }

  #dropUnlessConnected(client: Client): void {
    if (client.getChannel().getConnectivityState(false) === connectivityState.READY) return;
    void this.#client?.then(
      (current) => {
        if (current === client) this.#dropClient();
      },
      () => {},
    );
    client.close();
  }

  #dropClient(): void {
    const client = this.#client;
    this.#client = undefined;
    void client?.then(
      (made) => made?.close(),
      () => {},
    );
  }
}

const failureOf = (error: unknown): GrpcStatus => ({
  code: GRPC_STATUS.INTERNAL,
  details: error instanceof Error ? error.message : String(error),
});

/** One stream, from before it has a connection. */
class Call implements GrpcStreamHandle {
  client: Client | undefined = undefined;
  cancelled = false;
  readonly #events: GrpcStreamEvents;
  readonly #onDone: (client: Client | undefined) => void;
  #waiting: Uint8Array[] = [];
  #stream: ClientDuplexStream<Uint8Array, Buffer> | undefined = undefined;
  #done = false;

  constructor(events: GrpcStreamEvents, onDone: (client: Client | undefined) => void) {
    this.#events = events;
    this.#onDone = onDone;
  }

  start(client: Client | undefined, method: string, metadata: Metadata): void {
    if (this.#done) return;
    if (client === undefined) return this.fail(NO_HOST);
    this.client = client;
    const stream = client.makeBidiStreamRequest(method, asBuffer, unchanged, metadata);
    this.#stream = stream;
    stream.on('data', (bytes: Buffer) => {
      if (!this.#done) this.#events.onMessage(bytes);
    });
    // The status says the same, and comes with every end.
    stream.on('error', () => {});
    stream.on('status', ({ code, details }) => this.fail({ code, details }));
    for (const bytes of this.#waiting) stream.write(bytes);
    this.#waiting = [];
  }

  send(bytes: Uint8Array): void {
    if (this.#done) return;
    if (this.#stream === undefined) this.#waiting.push(bytes);
    else this.#stream.write(bytes);
  }

  cancel(): void {
    if (this.#done) return;
    this.cancelled = true;
    this.#finish();
  }

  /** The stream is over, and its owner is told. */
  fail(status: GrpcStatus): void {
    if (this.#done) return;
    this.#finish();
    this.#events.onEnd(status);
  }

  #finish(): void {
    this.#done = true;
    this.#waiting = [];
    this.#stream?.cancel();
    this.#onDone(this.client);
  }
}
