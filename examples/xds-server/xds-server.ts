import { fromBinary, toBinary, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from '../../src/api/generated/envoy/service/discovery/v3/discovery_pb.js';
import { systemClock } from '../../src/lib/clock.ts';
import { AGGREGATED_DELTA, AGGREGATED_STREAM, DISCOVERY_METHODS } from '../../src/xds/resource-type.ts';
import { ClientStream, type Request, type Response } from './client-stream.ts';
import { readDelta, writeDelta } from './delta.ts';
import { ResourceFolder } from './resource-folder.ts';
import { readSotw, writeSotw } from './sotw.ts';

export interface XdsServerOptions {
  /** See ResourceFolder. */
  readonly folder: string;
  /** `host:port` or `unix:/path`. Port 0: one that is free. Plaintext: keep it on this machine. */
  readonly address: string;
  /** A line for each mistake in a file, each response, and each NACK with the proxy's words. */
  readonly log: (line: string) => void;
}

/**
 * A control plane: serves a folder of Envoy resources to any number of proxies, over ADS or a stream for each type, in both
 * variants of the protocol (delta, state of the world).
 */
export class XdsServer implements AsyncDisposable {
  readonly #server = new Server();
  readonly #streams = new Set<ClientStream>();
  readonly #folder: ResourceFolder;
  readonly #log: (line: string) => void;
  #port = 0;

  private constructor(folder: ResourceFolder, log: (line: string) => void) {
    this.#folder = folder;
    this.#log = log;
    folder.onChange(() => {
      for (const stream of this.#streams) stream.push();
    });
    this.#addMethods(AGGREGATED_STREAM, AGGREGATED_DELTA);
    // For a proxy that asks for one type only, on a stream of its own.
    for (const { stream, delta } of Object.values(DISCOVERY_METHODS)) this.#addMethods(stream, delta);
  }

  static async start({ folder, address, log }: XdsServerOptions): Promise<XdsServer> {
    const server = new XdsServer(await ResourceFolder.open(folder, systemClock, log), log);
    server.#port = await new Promise((resolve, reject) => {
      server.#server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) => {
        if (error === null) resolve(port);
        else reject(error);
      });
    });
    return server;
  }

  get port(): number {
    return this.#port;
  }

  /** Ends every stream. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#folder.close();
    this.#server.forceShutdown();
  }

  #addMethods(sotw: string, delta: string): void {
    this.#server.addService(
      {
        delta: method(delta, DeltaDiscoveryRequestSchema, DeltaDiscoveryResponseSchema),
        // Virtual hosts have no such method.
        ...(sotw !== '' && { sotw: method(sotw, DiscoveryRequestSchema, DiscoveryResponseSchema) }),
      },
      {
        delta: (call: Call<typeof DeltaDiscoveryRequestSchema, typeof DeltaDiscoveryResponseSchema>) =>
          this.#serve(call, readDelta, writeDelta),
        sotw: (call: Call<typeof DiscoveryRequestSchema, typeof DiscoveryResponseSchema>) =>
          this.#serve(call, readSotw, writeSotw),
      },
    );
  }

  #serve<In extends DescMessage, Out extends DescMessage>(
    call: Call<In, Out>,
    read: (message: MessageShape<In>, stream: ClientStream) => Request,
    write: (response: Response) => MessageShape<Out>,
  ): void {
    const stream = new ClientStream(
      (node) => this.#folder.resourcesFor(node),
      (response) => call.write(write(response)),
      this.#log,
    );
    this.#streams.add(stream);
    const end = (): void => {
      if (this.#streams.delete(stream)) this.#log(`${stream.node.id} has left`);
    };
    call.on('data', (message: MessageShape<In>) => stream.onRequest(read(message, stream)));
    call.on('end', () => {
      end();
      call.end();
    });
    call.on('cancelled', end);
    call.on('error', end);
  }
}

type Call<In extends DescMessage, Out extends DescMessage> = ServerDuplexStream<MessageShape<In>, MessageShape<Out>>;

/** How grpc-js wants a method described. */
function method<In extends DescMessage, Out extends DescMessage>(path: string, input: In, output: Out) {
  return {
    path,
    requestStream: true,
    responseStream: true,
    requestSerialize: (message: MessageShape<In>) => Buffer.from(toBinary(input, message)),
    requestDeserialize: (bytes: Buffer) => fromBinary(input, bytes),
    responseSerialize: (message: MessageShape<Out>) => Buffer.from(toBinary(output, message)),
    responseDeserialize: (bytes: Buffer) => fromBinary(output, bytes),
  };
}
