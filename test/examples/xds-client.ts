import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import { Client, credentials, type ClientDuplexStream } from '@grpc/grpc-js';
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from '../../src/api/generated/envoy/service/discovery/v3/discovery_pb.js';
import { AGGREGATED_DELTA, AGGREGATED_STREAM } from '../../src/xds/resource-type.ts';

/** One ADS stream, by hand: sends what it is told to, and hands out the responses one by one. */
export class XdsClient<In extends DescMessage, Out extends DescMessage> implements Disposable {
  readonly #client: Client;
  readonly #request: In;
  readonly #stream: ClientDuplexStream<MessageShape<In>, MessageShape<Out>>;
  readonly #responses: MessageShape<Out>[] = [];
  #waiting: ((message: MessageShape<Out>) => void) | undefined;

  constructor(port: number, method: string, request: In, response: Out) {
    this.#request = request;
    this.#client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
    this.#stream = this.#client.makeBidiStreamRequest(
      method,
      (message: MessageShape<In>) => Buffer.from(toBinary(request, message)),
      (bytes: Buffer) => fromBinary(response, bytes),
    );
    this.#stream.on('error', () => {});
    this.#stream.on('data', (message: MessageShape<Out>) => {
      const waiting = this.#waiting;
      this.#waiting = undefined;
      if (waiting === undefined) this.#responses.push(message);
      else waiting(message);
    });
  }

  send(message: MessageInitShape<In>): void {
    this.#stream.write(create(this.#request, message));
  }

  /** The next response; the test's timeout applies. */
  next(): Promise<MessageShape<Out>> {
    const response = this.#responses.shift();
    if (response !== undefined) return Promise.resolve(response);
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  /** What has arrived and nobody asked for. */
  get unread(): number {
    return this.#responses.length;
  }

  [Symbol.dispose](): void {
    this.#stream.cancel();
    this.#client.close();
  }
}

export function deltaClient(
  port: number,
): XdsClient<typeof DeltaDiscoveryRequestSchema, typeof DeltaDiscoveryResponseSchema> {
  return new XdsClient(port, AGGREGATED_DELTA, DeltaDiscoveryRequestSchema, DeltaDiscoveryResponseSchema);
}

export function sotwClient(port: number): XdsClient<typeof DiscoveryRequestSchema, typeof DiscoveryResponseSchema> {
  return new XdsClient(port, AGGREGATED_STREAM, DiscoveryRequestSchema, DiscoveryResponseSchema);
}
