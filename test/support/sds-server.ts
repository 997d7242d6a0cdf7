import { create, fromBinary, toBinary, type MessageInitShape } from '@bufbuild/protobuf';
import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import { SecretSchema } from '../../src/api/generated/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import {
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
  type DiscoveryRequest,
  type DiscoveryResponse,
} from '../../src/api/generated/envoy/service/discovery/v3/discovery_pb.js';
import { DISCOVERY_METHODS, RESOURCE_TYPES } from '../../src/xds/resource-type.ts';

type Stream = ServerDuplexStream<DiscoveryRequest, DiscoveryResponse>;

/** An agent that serves secrets at a Unix socket, state of the world, as Istio's does. */
export class SdsServer implements AsyncDisposable {
  /** The names of each stream that was ever opened. */
  readonly streams: (readonly string[])[] = [];
  readonly nacks: string[] = [];
  readonly #path: string;
  readonly #secrets = new Map<string, Uint8Array>();
  readonly #open = new Map<Stream, readonly string[]>();
  #server = new Server();
  #version = 0;

  private constructor(path: string) {
    this.#path = path;
  }

  static async start(path: string): Promise<SdsServer> {
    const server = new SdsServer(path);
    await server.listen();
    return server;
  }

  /** Again, after `stop`. */
  async listen(): Promise<void> {
    this.#server = new Server();
    this.#server.addService(
      {
        secrets: {
          path: DISCOVERY_METHODS.sds.stream,
          requestStream: true,
          responseStream: true,
          requestSerialize: (message: DiscoveryRequest) => Buffer.from(toBinary(DiscoveryRequestSchema, message)),
          requestDeserialize: (bytes: Buffer) => fromBinary(DiscoveryRequestSchema, bytes),
          responseSerialize: (message: DiscoveryResponse) => Buffer.from(toBinary(DiscoveryResponseSchema, message)),
          responseDeserialize: (bytes: Buffer) => fromBinary(DiscoveryResponseSchema, bytes),
        },
      },
      { secrets: (stream: Stream) => this.#serve(stream) },
    );
    await new Promise<void>((resolve, reject) =>
      this.#server.bindAsync(`unix:${this.#path}`, ServerCredentials.createInsecure(), (error) =>
        error === null ? resolve() : reject(error),
      ),
    );
  }

  stop(): void {
    this.#server.forceShutdown();
    this.#open.clear();
  }

  /** Delivers a secret to whoever asks for it. */
  set(secret: MessageInitShape<typeof SecretSchema>): void {
    this.#version++;
    this.#secrets.set(secret.name!, toBinary(SecretSchema, create(SecretSchema, secret)));
    for (const [stream, names] of this.#open) if (names.includes(secret.name!)) this.#send(stream, [secret.name!]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
  }

  #serve(stream: Stream): void {
    stream.on('data', ({ resourceNames, errorDetail, responseNonce }: DiscoveryRequest) => {
      if (errorDetail !== undefined) this.nacks.push(errorDetail.message);
      if (responseNonce !== '') return;
      this.streams.push(resourceNames);
      this.#open.set(stream, resourceNames);
      this.#send(stream, resourceNames);
    });
    stream.on('end', () => {
      this.#open.delete(stream);
      stream.end();
    });
    stream.on('error', () => this.#open.delete(stream));
  }

  #send(stream: Stream, names: readonly string[]): void {
    const typeUrl = RESOURCE_TYPES.sds;
    const values = names.flatMap((name) => this.#secrets.get(name) ?? []);
    if (values.length === 0) return;
    const version = String(this.#version);
    const resources = values.map((value) => ({ typeUrl, value }));
    stream.write(
      create(DiscoveryResponseSchema, { typeUrl, resources, versionInfo: version, nonce: `${version}-${Date.now()}` }),
    );
  }
}
