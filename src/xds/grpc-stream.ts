import { fromBinary, toBinary, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import type { Client, ClientDuplexStream, Metadata } from '@grpc/grpc-js';
import { BackOff } from '../lib/back-off.ts';
import type { Clock, ClockTimer } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import type { XdsMux } from './xds-mux.ts';

/** Envoy's defaults; `envoy_grpc.retry_policy.retry_back_off` overrides them. */
const BASE_MS = 500;
const MOST_MS = 30_000;

export interface GrpcStreamOptions<Request extends DescMessage, Response extends DescMessage> {
  readonly client: Client;
  readonly metadata: Metadata;
  /** `/package.Service/Method`. */
  readonly method: string;
  readonly request: Request;
  readonly response: Response;
  readonly clock: Clock;
  readonly random: Random;
  readonly backOff?: { readonly baseMs: number; readonly maxMs: number };
  /** A stream came up, or the last one is gone; `reason` is the server's or the transport's. */
  onConnected(connected: boolean, reason: string): void;
}

/**
 * Keeps a mux on a gRPC stream: opens one, opens the next when it ends, after a back-off that starts anew with the
 * first message that a stream brings (not with its opening: a server that accepts and fails would be called at once).
 */
export class GrpcStream<Request extends DescMessage, Response extends DescMessage> {
  readonly #mux: XdsMux<MessageShape<Request>, MessageShape<Response>>;
  readonly #options: GrpcStreamOptions<Request, Response>;
  readonly #backOff: BackOff;
  #stream: ClientDuplexStream<MessageShape<Request>, MessageShape<Response>> | undefined = undefined;
  #timer: ClockTimer | undefined = undefined;
  #closed = false;

  constructor(
    mux: XdsMux<MessageShape<Request>, MessageShape<Response>>,
    options: GrpcStreamOptions<Request, Response>,
  ) {
    this.#mux = mux;
    this.#options = options;
    const { baseMs, maxMs } = options.backOff ?? { baseMs: BASE_MS, maxMs: MOST_MS };
    this.#backOff = new BackOff(baseMs, maxMs, options.random);
  }

  open(): void {
    const { client, metadata, method, request, response } = this.#options;
    const stream = client.makeBidiStreamRequest(
      method,
      (message: MessageShape<Request>) => Buffer.from(toBinary(request, message)),
      (bytes: Buffer) => fromBinary(response, bytes),
      metadata,
    );
    this.#stream = stream;
    let seen = false;
    stream.on('data', (message: MessageShape<Response>) => {
      if (this.#stream !== stream) return;
      if (!seen) {
        seen = true;
        this.#backOff.reset();
      }
      this.#mux.onResponse(message);
    });
    stream.on('error', (error) => this.#onEnd(stream, error.message));
    stream.on('end', () => this.#onEnd(stream, 'the server ended the stream'));
    this.#options.onConnected(true, '');
    this.#mux.onStreamOpen((message) => stream.write(message));
  }

  /** Ends the stream for good; the client is its owner's. */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.cancel();
    this.#mux.close();
  }

  #onEnd(stream: ClientDuplexStream<MessageShape<Request>, MessageShape<Response>>, reason: string): void {
    if (this.#stream !== stream || this.#closed) return;
    this.#stream = undefined;
    this.#mux.onStreamClosed();
    this.#options.onConnected(false, reason);
    this.#timer = this.#options.clock.setTimer(this.#backOff.next(), () => this.open());
  }
}
