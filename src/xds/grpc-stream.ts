import { BackOff } from '../lib/back-off.ts';
import type { Clock, ClockTimer } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import type { ControlPlaneStats } from './control-plane-stats.ts';
import { GRPC_STATUS, type GrpcChannel, type GrpcStatus, type GrpcStreamHandle } from './grpc-channel.ts';
import { RequestQueue, type RequestRate } from './request-queue.ts';
import type { XdsMux } from './xds-mux.ts';

/** Envoy's defaults; `envoy_grpc.retry_policy.retry_back_off` overrides them. */
const DEFAULT_BACK_OFF: BackOffBounds = { baseMs: 500, maxMs: 30_000 };
/** So many failures in a row, and the next control plane of the list has its turn. */
const FAILURES_BEFORE_NEXT = 2;
/** Worth trying again: reported when they last. */
const PASSING: ReadonlySet<number> = new Set([
  GRPC_STATUS.DEADLINE_EXCEEDED,
  GRPC_STATUS.RESOURCE_EXHAUSTED,
  GRPC_STATUS.UNAVAILABLE,
]);

export interface BackOffBounds {
  readonly baseMs: number;
  readonly maxMs: number;
}

/** One variant of the protocol, in bytes. */
export interface StreamProtocol<Request, Response> {
  /** `/package.Service/Method`. */
  readonly method: string;
  encode(request: Request): Uint8Array;
  /** Throws for what is no such message. */
  decode(bytes: Uint8Array): Response;
  /** How the control plane calls itself; undefined: it doesn't. */
  identifier(response: Response): string | undefined;
}

export interface GrpcStreamOptions<Request, Response> {
  /** The control plane, and those that stand in for it. */
  readonly channels: readonly GrpcChannel[];
  readonly protocol: StreamProtocol<Request, Response>;
  readonly clock: Clock;
  readonly random: Random;
  readonly stats: ControlPlaneStats;
  readonly backOff?: BackOffBounds | undefined;
  /** Undefined: as fast as one likes. */
  readonly rate?: RequestRate | undefined;
  readonly log: StreamLog;
}

export interface StreamLog {
  debug(component: string, message: string): void;
  warn(component: string, message: string): void;
}

/**
 * Keeps a mux on a gRPC stream: opens one, opens the next when it ends, after a back-off that starts anew with the
 * first message that a stream brings (not with its opening: a server that accepts and fails would be called at once).
 * With several control planes it stays with the first that has answered; while none has, or the stand-in that did is
 * lost, they take turns.
 */
export class GrpcStream<Request, Response> {
  readonly #mux: XdsMux<Request, Response>;
  readonly #options: GrpcStreamOptions<Request, Response>;
  readonly #backOff: BackOff;
  readonly #backOffBounds: BackOffBounds;
  readonly #queue: RequestQueue;
  #stream: GrpcStreamHandle | undefined = undefined;
  #timer: ClockTimer | undefined = undefined;
  #closed = false;
  /** Which of the channels is in use. */
  #index = 0;
  /** Of which the versions are that the mux holds; undefined: nobody has answered yet. */
  #answered: number | undefined = undefined;
  #failures = 0;
  #firstEnd: { readonly code: number; readonly atMs: number } | undefined = undefined;

  constructor(mux: XdsMux<Request, Response>, options: GrpcStreamOptions<Request, Response>) {
    this.#mux = mux;
    this.#options = options;
    this.#backOffBounds = options.backOff ?? DEFAULT_BACK_OFF;
    this.#backOff = new BackOff(this.#backOffBounds.baseMs, this.#backOffBounds.maxMs, options.random);
    this.#queue = new RequestQueue(options.clock, options.rate, options.stats);
  }

  /** To be called once. */
  open(): void {
    const { channels, protocol, stats } = this.#options;
    if (this.#closed) return;
    this.#timer = undefined;
    const index = this.#index;
    // A stream that ended before it was opened is none.
    let stream: GrpcStreamHandle | undefined = undefined;
    stream = channels[index]!.openStream(protocol.method, {
      onMessage: (bytes) => {
        if (this.#stream === stream) this.#onMessage(bytes);
      },
      onEnd: (status) => {
        if (this.#stream === stream) this.#onEnd(status);
      },
    });
    this.#stream = stream;
    const opened = stream;
    stats.connected(index + 1);
    this.#queue.open((bytes) => opened.send(bytes));
    this.#mux.onStreamOpen(
      (request) => this.#queue.add(protocol.encode(request)),
      this.#answered !== undefined && this.#answered !== index,
    );
  }

  /** Has a new stream take the place of the one that is open: what was asked for is asked anew. */
  restart(): void {
    const stream = this.#stream;
    if (stream === undefined) return;
    this.#stream = undefined;
    stream.cancel();
    this.#queue.close();
    this.#mux.onStreamClosed();
    this.open();
  }

  /** Ends the stream for good; the channels are their owner's. */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.cancel();
    this.#queue.close();
    this.#options.stats.connected(0);
    this.#mux.close();
  }

  #onMessage(bytes: Uint8Array): void {
    const { protocol, stats } = this.#options;
    let response: Response;
    try {
      response = protocol.decode(bytes);
    } catch (error) {
      this.#stream?.cancel();
      const reason = error instanceof Error ? error.message : String(error);
      return this.#onEnd({ code: GRPC_STATUS.INTERNAL, details: `cannot read a response: ${reason}` });
    }
    this.#backOff.reset();
    this.#failures = 0;
    this.#firstEnd = undefined;
    this.#answered = this.#index;
    const identifier = protocol.identifier(response);
    if (identifier !== undefined) stats.identifier(identifier);
    this.#mux.onResponse(response);
  }

  #onEnd(status: GrpcStatus): void {
    if (this.#closed) return;
    const { clock, stats } = this.#options;
    this.#logEnd(status);
    this.#stream = undefined;
    this.#queue.close();
    stats.connected(0);
    this.#mux.onStreamClosed();
    this.#chooseNext();
    this.#timer = clock.setTimer(this.#backOff.next(), () => this.open());
  }

  #chooseNext(): void {
    const { channels } = this.#options;
    // The first control plane, once it has answered, is the only one.
    if (channels.length === 1 || (this.#answered === 0 && this.#index === 0)) return;
    this.#failures++;
    if (this.#index === 0 && this.#failures < FAILURES_BEFORE_NEXT) return;
    this.#index = (this.#index + 1) % channels.length;
    // From now on they take turns.
    if (this.#index === 0) this.#failures = FAILURES_BEFORE_NEXT - 1;
  }

  /** What passes is worth a line when it doesn't. */
  #logEnd({ code, details }: GrpcStatus): void {
    const { protocol, channels, log, clock } = this.#options;
    const name = protocol.method.slice(protocol.method.lastIndexOf('/') + 1);
    const text = `${name} gRPC config stream to ${channels[this.#index]!.destination} closed`;
    if (code === GRPC_STATUS.OK) return log.debug('config', `${text}: ${code}, ${details}`);
    if (!PASSING.has(code)) return log.warn('config', `${text}: ${code}, ${details}`);
    const first = this.#firstEnd;
    const now = clock.monotonic();
    if (first === undefined || first.code !== code) {
      this.#firstEnd = { code, atMs: now };
      if (first === undefined) return log.debug('config', `${text}: ${code}, ${details}`);
      return log.warn('config', `${text}: ${code}, ${details} (previously ${first.code})`);
    }
    const forMs = now - first.atMs;
    if (forMs > this.#backOffBounds.maxMs)
      return log.warn('config', `${text} since ${Math.floor(forMs / 1000)}s ago: ${code}, ${details}`);
    log.debug('config', `${text}: ${code}, ${details}`);
  }
}
