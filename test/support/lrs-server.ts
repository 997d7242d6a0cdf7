import { create, fromBinary, toBinary, type MessageInitShape } from '@bufbuild/protobuf';
import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import {
  LoadStatsRequestSchema,
  LoadStatsResponseSchema,
  type LoadStatsRequest,
} from '../../src/api/generated/envoy/service/load_stats/v3/lrs_pb.js';

type Answer = MessageInitShape<typeof LoadStatsResponseSchema>;

/** A load-reporting server on the loopback: notes what it is told, and asks for what a test wants to know. */
export class LrsServer implements AsyncDisposable {
  /** Of all streams, in the order of their arrival. */
  readonly reports: LoadStatsRequest[] = [];
  readonly #server = new Server();
  readonly #streams = new Set<ServerDuplexStream<LoadStatsRequest, Uint8Array>>();
  /** What a new stream is answered; undefined: nothing. */
  #answer: Answer | undefined;
  #port = 0;

  static async start(answer?: Answer): Promise<LrsServer> {
    const lrs = new LrsServer();
    lrs.#answer = answer;
    lrs.#server.register<LoadStatsRequest, Uint8Array>(
      '/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats',
      (call: ServerDuplexStream<LoadStatsRequest, Uint8Array>) => lrs.#serve(call),
      Buffer.from,
      (bytes) => fromBinary(LoadStatsRequestSchema, bytes),
      'bidi',
    );
    lrs.#port = await new Promise<number>((resolve, reject) =>
      lrs.#server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
        error === null ? resolve(port) : reject(error),
      ),
    );
    return lrs;
  }

  get port(): number {
    return this.#port;
  }

  /** Asks anew on all streams, and on those to come. */
  ask(answer: Answer): void {
    this.#answer = answer;
    for (const stream of this.#streams) this.#send(stream);
  }

  /** Ends all streams with OK. */
  endStreams(): void {
    for (const stream of this.#streams) stream.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.forceShutdown();
  }

  #serve(call: ServerDuplexStream<LoadStatsRequest, Uint8Array>): void {
    this.#streams.add(call);
    const gone = (): void => void this.#streams.delete(call);
    call.on('data', (request: LoadStatsRequest) => void this.reports.push(request));
    for (const event of ['end', 'cancelled', 'error']) call.on(event, gone);
    this.#send(call);
  }

  #send(call: ServerDuplexStream<LoadStatsRequest, Uint8Array>): void {
    if (this.#answer !== undefined)
      call.write(toBinary(LoadStatsResponseSchema, create(LoadStatsResponseSchema, this.#answer)));
  }
}
