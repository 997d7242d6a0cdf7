import { rmSync } from 'node:fs';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
  type DeltaDiscoveryRequest,
  type DiscoveryRequest,
} from '../../src/api/generated/envoy/service/discovery/v3/discovery_pb.js';
import { AGGREGATED_DELTA, AGGREGATED_STREAM, DISCOVERY_METHODS } from '../../src/xds/resource-type.ts';
import { FakeControlPlane } from './fake-control-plane.ts';

type Duplex<Request> = ServerDuplexStream<Request, Uint8Array>;
type AnyRequest = DiscoveryRequest | DeltaDiscoveryRequest;

/** One stream of a client, as the server sees it. */
export interface ServerStream {
  readonly method: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly authority: string;
  readonly requests: AnyRequest[];
  /** Undefined: still open. */
  ended: boolean;
  /** Ends it with a status. */
  fail(code: number, details: string): void;
}

/**
 * A control plane on a real gRPC server, ADS and a stream for each type, both variants: what FakeControlPlane holds
 * goes to whoever asks. `push` sends what has changed; with `silent` it says nothing at all.
 */
export class GrpcControlPlane {
  readonly plane = new FakeControlPlane();
  readonly streams: ServerStream[] = [];
  silent = false;
  /** Called with each request, before it is answered; true: don't answer. */
  onRequest: (request: AnyRequest, stream: ServerStream) => boolean = () => false;
  #server: Server;
  readonly #pushes = new Map<ServerStream, () => void>();

  constructor() {
    this.#server = this.#newServer();
  }

  /** `address`: `127.0.0.1:0`, or `unix:PATH`. Resolves to the port. */
  listen(address = '127.0.0.1:0', credentials = ServerCredentials.createInsecure()): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(address, credentials, (error, port) => {
        if (error !== null) reject(error);
        else resolve(port);
      });
    });
  }

  /** Every connection is gone at once; `listen` opens it again. */
  stop(): void {
    this.#server.forceShutdown();
    this.#pushes.clear();
    this.#server = this.#newServer();
  }

  /** Sends what is new on all streams. */
  push(): void {
    for (const push of this.#pushes.values()) push();
  }

  close(unixPath?: string): void {
    this.#server.forceShutdown();
    if (unixPath !== undefined) rmSync(unixPath, { force: true });
  }

  #newServer(): Server {
    const server = new Server();
    const sotw = [AGGREGATED_STREAM, ...Object.values(DISCOVERY_METHODS).map(({ stream }) => stream)];
    const delta = [AGGREGATED_DELTA, ...Object.values(DISCOVERY_METHODS).map((methods) => methods.delta)];
    for (const method of sotw)
      server.register<DiscoveryRequest, Uint8Array>(
        method,
        (call: Duplex<DiscoveryRequest>) => this.#serveSotw(method, call),
        Buffer.from,
        (bytes) => fromBinary(DiscoveryRequestSchema, bytes),
        'bidi',
      );
    for (const method of delta)
      server.register<DeltaDiscoveryRequest, Uint8Array>(
        method,
        (call: Duplex<DeltaDiscoveryRequest>) => this.#serveDelta(method, call),
        Buffer.from,
        (bytes) => fromBinary(DeltaDiscoveryRequestSchema, bytes),
        'bidi',
      );
    return server;
  }

  #serveSotw(method: string, call: Duplex<DiscoveryRequest>): void {
    const stream = this.#open(method, call);
    const respond = (typeUrl: string): void => {
      call.write(toBinary(DiscoveryResponseSchema, this.plane.response(typeUrl)));
    };
    this.plane.newStream();
    this.#pushes.set(stream, () => {
      for (const typeUrl of this.plane.types) respond(typeUrl);
    });
    const asked = new Map<string, string>();
    call.on('data', (request: DiscoveryRequest) => {
      if (this.#note(stream, request)) return;
      this.plane.onRequest(request);
      const interest = request.resourceNames.join();
      const isAck = request.responseNonce !== '' && interest === asked.get(request.typeUrl);
      asked.set(request.typeUrl, interest);
      if (!isAck) respond(request.typeUrl);
    });
  }

  #serveDelta(method: string, call: Duplex<DeltaDiscoveryRequest>): void {
    const stream = this.#open(method, call);
    const types = new Set<string>();
    const respond = (typeUrl: string): void => {
      const response = this.plane.deltaResponse(typeUrl);
      if (response !== undefined) call.write(toBinary(DeltaDiscoveryResponseSchema, response));
    };
    this.plane.newStream();
    this.#pushes.set(stream, () => {
      for (const typeUrl of types) respond(typeUrl);
    });
    call.on('data', (request: DeltaDiscoveryRequest) => {
      types.add(request.typeUrl);
      if (this.#note(stream, request)) return;
      this.plane.onDeltaRequest(request);
      if (request.responseNonce === '') respond(request.typeUrl);
    });
  }

  #open<Request>(method: string, call: Duplex<Request>): ServerStream {
    const stream: ServerStream = {
      method,
      metadata: Object.fromEntries(
        Object.entries(call.metadata.getMap()).map(([name, value]) => [name, String(value)]),
      ),
      authority: call.getHost(),
      requests: [],
      ended: false,
      fail: (code, details) => call.emit('error', { code, details }),
    };
    this.streams.push(stream);
    const end = (): void => {
      stream.ended = true;
      this.#pushes.delete(stream);
      call.end();
    };
    call.on('end', end);
    call.on('cancelled', end);
    call.on('error', end);
    return stream;
  }

  /** True: it is not to be answered. */
  #note(stream: ServerStream, request: AnyRequest): boolean {
    stream.requests.push(request);
    return this.onRequest(request, stream) || this.silent;
  }
}
