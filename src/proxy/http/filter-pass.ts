import { HeaderMap } from './headers.ts';
import {
  CollectBody,
  Continue,
  Detach,
  type Awaitable,
  type DataVerdict,
  type HeadersVerdict,
  type HttpFilter,
  type LocalReply,
  type TrailersVerdict,
} from '../../filters/http/filter.ts';
import { keepRead } from '../codec/read-buffer.ts';

/** Whom a pass reports to: the stream it belongs to. One object serves both directions. */
export interface PassOwner {
  /** What came out of the last filter. */
  passHeaders(direction: Direction, headers: HeaderMap, endStream: boolean): void;
  passData(direction: Direction, chunk: Buffer, endStream: boolean): void;
  passTrailers(direction: Direction, trailers: HeaderMap): void;
  /** Too much waits for a filter: stop the source of this direction, and start it again. */
  pauseSource(direction: Direction): void;
  resumeSource(direction: Direction): void;
  /** A filter answered for the stream. Nothing more comes out of this pass. */
  filterReply(direction: Direction, reply: LocalReply): void;
  /** A hook threw or rejected. Nothing more comes out of this pass. */
  filterFailed(direction: Direction, error: unknown): void;
  /** A collected body grew over the limit. Nothing more comes out of this pass. */
  bodyTooLarge(direction: Direction): void;
  /** Wraps what runs when a promise settles (a dispatcher turn). */
  turn(body: () => void): void;
}

export type Direction = 'request' | 'response';

/** An event that came while a filter was waiting. `from` is the stage at which it goes on. */
type Queued =
  | { readonly kind: 'data'; readonly from: number; readonly chunk: Buffer; readonly endStream: boolean }
  | { readonly kind: 'trailers'; readonly from: number; readonly trailers: HeaderMap };

/** Headers and body that one stage gathers. */
interface Held {
  readonly stage: number;
  readonly headers: HeaderMap;
  readonly chunks: Buffer[];
  bytes: number;
}

/**
 * Carries one direction of one stream through the filters, one event at a time: requests in order, responses in
 * reverse. Without a promise nothing is allocated, and a body that no filter looks at isn't touched.
 */
export class FilterPass {
  readonly #filters: readonly HttpFilter[];
  readonly #direction: Direction;
  readonly #owner: PassOwner;
  #queue: Queued[] | undefined = undefined;
  #queuedBytes = 0;
  /** The source is stopped, since the queue is over the limit. */
  #paused = false;
  #held: Held | undefined = undefined;
  /** One bit a stage: it has detached. A chain has at most 31 filters here; see `#isDetached`. */
  #detached = 0;
  #bodyWatchers = -1;
  #ended = false;
  /** Headers have come to the first filter. */
  hasBegun = false;
  /** Most bytes that a collected body may have, or that wait for a filter's promise; 0 = no limit. May be changed by a filter before it collects. */
  limit: number;

  constructor(filters: readonly HttpFilter[], direction: Direction, owner: PassOwner, limit: number) {
    this.#filters = filters;
    this.#direction = direction;
    this.#owner = owner;
    this.limit = limit;
  }

  headers(headers: HeaderMap, endStream: boolean): void {
    this.hasBegun = true;
    this.#headersFrom(0, headers, endStream);
  }

  /** `chunk` is borrowed; it is kept as soon as a filter sees it or has to wait. */
  data(chunk: Buffer, endStream: boolean): void {
    if (this.#queue === undefined && this.#watchers() === 0 && this.#held === undefined) {
      if (!this.#ended) this.#owner.passData(this.#direction, chunk, endStream);
      return;
    }
    keepRead();
    this.#dataFrom(0, chunk, endStream);
  }

  trailers(trailers: HeaderMap): void {
    this.#trailersFrom(0, trailers);
  }

  /** The stream is over: no verdict, however late, has any effect after this. */
  end(): void {
    this.#ended = true;
    this.#queue = undefined;
    this.#held = undefined;
  }

  #filter(stage: number): HttpFilter {
    return this.#filters[this.#direction === 'request' ? stage : this.#filters.length - 1 - stage]!;
  }

  #watchers(): number {
    if (this.#bodyWatchers === -1) {
      let count = 0;
      for (const filter of this.#filters)
        if ((this.#direction === 'request' ? filter.onRequestData : filter.onResponseData) !== undefined) count++;
      this.#bodyWatchers = count;
    }
    return this.#bodyWatchers;
  }

  #isDetached(stage: number): boolean {
    return stage < 31 && (this.#detached & (1 << stage)) !== 0;
  }

  #detach(stage: number): void {
    if (stage < 31) this.#detached |= 1 << stage;
  }

  #headersFrom(from: number, headers: HeaderMap, endStream: boolean): void {
    const request = this.#direction === 'request';
    for (let stage = from; stage < this.#filters.length; stage++) {
      const filter = this.#filter(stage);
      let verdict: Awaitable<HeadersVerdict>;
      try {
        if (request) {
          if (filter.onRequestHeaders === undefined) continue;
          verdict = filter.onRequestHeaders(headers, endStream);
        } else {
          if (filter.onResponseHeaders === undefined) continue;
          verdict = filter.onResponseHeaders(headers, endStream);
        }
      } catch (error) {
        return this.#fail(error);
      }
      if (this.#ended) return;
      if (verdict === Continue) continue;
      if (isPromise(verdict)) {
        this.#wait(verdict, (late) => {
          if (this.#applyHeaders(stage, late, headers, endStream)) this.#headersFrom(stage + 1, headers, endStream);
        });
        return;
      }
      if (!this.#applyHeaders(stage, verdict, headers, endStream)) return;
    }
    this.#owner.passHeaders(this.#direction, headers, endStream);
  }

  /** True: go on to the next stage. */
  #applyHeaders(stage: number, verdict: HeadersVerdict, headers: HeaderMap, endStream: boolean): boolean {
    if (verdict === Continue) return true;
    if (verdict === Detach) {
      this.#detach(stage);
      return true;
    }
    if (verdict === CollectBody) {
      if (endStream) return true;
      this.#held = { stage, headers, chunks: [], bytes: 0 };
      return false;
    }
    if (Buffer.isBuffer(verdict)) {
      if (!endStream || verdict.length === 0) return true;
      this.#headersFrom(stage + 1, headers, false);
      this.#dataFrom(stage + 1, verdict, true);
      return false;
    }
    if ('trailers' in verdict) {
      if (!endStream) return true;
      this.#headersFrom(stage + 1, headers, false);
      this.#applyData(stage, verdict, verdict.data, true);
      return false;
    }
    this.#reply(verdict);
    return false;
  }

  #dataFrom(from: number, chunk: Buffer, endStream: boolean): void {
    if (this.#ended) return;
    if (this.#queue !== undefined) {
      this.#enqueue(this.#queue, { kind: 'data', from, chunk, endStream });
      return;
    }
    const request = this.#direction === 'request';
    for (let stage = from; stage < this.#filters.length; stage++) {
      if (this.#held?.stage === stage) return this.#collect(chunk, endStream);
      if (this.#isDetached(stage)) continue;
      const filter = this.#filter(stage);
      let verdict: Awaitable<DataVerdict>;
      try {
        if (request) {
          if (filter.onRequestData === undefined) continue;
          verdict = filter.onRequestData(chunk, endStream);
        } else {
          if (filter.onResponseData === undefined) continue;
          verdict = filter.onResponseData(chunk, endStream);
        }
      } catch (error) {
        return this.#fail(error);
      }
      if (this.#ended) return;
      if (verdict === Continue) continue;
      if (isPromise(verdict)) {
        const seen = chunk;
        this.#wait(verdict, (late) => {
          const out = this.#applyData(stage, late, seen, endStream);
          if (out !== undefined && (out.length > 0 || endStream)) this.#dataFrom(stage + 1, out, endStream);
        });
        return;
      }
      const out = this.#applyData(stage, verdict, chunk, endStream);
      if (out === undefined || (out.length === 0 && !endStream)) return;
      chunk = out;
    }
    this.#owner.passData(this.#direction, chunk, endStream);
  }

  /** What the chunk has become; undefined: it has gone on with trailers, or the stream was answered. */
  #applyData(stage: number, verdict: DataVerdict, chunk: Buffer, endStream: boolean): Buffer | undefined {
    if (verdict === Continue) return chunk;
    if (verdict === Detach) {
      this.#detach(stage);
      return chunk;
    }
    if (Buffer.isBuffer(verdict)) return verdict;
    if ('trailers' in verdict) {
      if (!endStream) return verdict.data;
      if (verdict.data.length > 0) this.#dataFrom(stage + 1, verdict.data, false);
      this.#trailersFrom(stage + 1, HeaderMap.of(verdict.trailers));
      return undefined;
    }
    this.#reply(verdict);
    return undefined;
  }

  #trailersFrom(from: number, trailers: HeaderMap): void {
    if (this.#ended) return;
    if (this.#queue !== undefined) {
      this.#enqueue(this.#queue, { kind: 'trailers', from, trailers });
      return;
    }
    const request = this.#direction === 'request';
    for (let stage = from; stage < this.#filters.length; stage++) {
      if (this.#held?.stage === stage) {
        // The body that was being gathered ends here. Its stage then sees the trailers too.
        this.#release(false, trailers);
        return;
      }
      if (this.#isDetached(stage)) continue;
      const filter = this.#filter(stage);
      let verdict: Awaitable<TrailersVerdict>;
      try {
        if (request) {
          if (filter.onRequestTrailers === undefined) continue;
          verdict = filter.onRequestTrailers(trailers);
        } else {
          if (filter.onResponseTrailers === undefined) continue;
          verdict = filter.onResponseTrailers(trailers);
        }
      } catch (error) {
        return this.#fail(error);
      }
      if (this.#ended) return;
      if (verdict === Continue) continue;
      if (isPromise(verdict)) {
        this.#wait(verdict, (late) => {
          if (this.#applyTrailers(stage, late, trailers)) this.#trailersFrom(stage + 1, trailers);
        });
        return;
      }
      if (!this.#applyTrailers(stage, verdict, trailers)) return;
    }
    this.#owner.passTrailers(this.#direction, trailers);
  }

  /** True: go on to the next stage. */
  #applyTrailers(stage: number, verdict: TrailersVerdict, trailers: HeaderMap): boolean {
    if (verdict === Continue) return true;
    if (Buffer.isBuffer(verdict)) this.#dataFrom(stage + 1, verdict, true);
    else if ('lastData' in verdict) {
      if (verdict.lastData.length > 0) this.#dataFrom(stage + 1, verdict.lastData, false);
      this.#trailersFrom(stage + 1, trailers);
    } else this.#reply(verdict);
    return false;
  }

  #collect(chunk: Buffer, endStream: boolean): void {
    const held = this.#held!;
    keepRead();
    held.chunks.push(chunk);
    held.bytes += chunk.length;
    if (this.limit > 0 && held.bytes > this.limit) {
      this.end();
      this.#owner.bodyTooLarge(this.#direction);
    } else if (endStream) this.#release(true, undefined);
  }

  /** Shows the collecting stage its whole body, then lets the headers, the body and the trailers go on. */
  #release(endStream: boolean, trailers: HeaderMap | undefined): void {
    const { stage, headers, chunks } = this.#held!;
    this.#held = undefined;
    const filter = this.#filter(stage);
    const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
    const proceed = (verdict: DataVerdict): void => {
      if (typeof verdict === 'object' && 'trailers' in verdict) {
        this.#headersFrom(stage + 1, headers, false);
        this.#applyData(stage, verdict, body, true);
        return;
      }
      const out = this.#applyData(stage, verdict, body, endStream);
      if (out === undefined) return;
      this.#headersFrom(stage + 1, headers, endStream && out.length === 0);
      if (out.length > 0) this.#dataFrom(stage + 1, out, endStream);
      if (trailers !== undefined) this.#trailersFrom(stage, trailers);
    };
    let verdict: Awaitable<DataVerdict> = Continue;
    try {
      if (this.#direction === 'request') {
        if (filter.onRequestData !== undefined) verdict = filter.onRequestData(body, endStream, trailers);
      } else if (filter.onResponseData !== undefined) verdict = filter.onResponseData(body, endStream, trailers);
    } catch (error) {
      return this.#fail(error);
    }
    if (this.#ended) return;
    if (isPromise(verdict)) this.#wait(verdict, proceed);
    else proceed(verdict);
  }

  #reply(reply: LocalReply): void {
    this.end();
    this.#owner.filterReply(this.#direction, reply);
  }

  #fail(error: unknown): void {
    if (this.#ended) return;
    this.end();
    this.#owner.filterFailed(this.#direction, error);
  }

  /**
   * Until `verdict` settles what comes waits in the queue, in order; beyond the limit the source is stopped. It isn't
   * stopped at once: a request that has come in completely leaves its connection usable, whatever the answer.
   */
  #wait<Verdict>(verdict: Promise<Verdict>, proceed: (late: Verdict) => void): void {
    // A hook that waits while queued events are being replayed puts its wait in front of those still queued.
    this.#queue ??= [];
    verdict.then(
      (late) => {
        if (this.#ended) return;
        this.#owner.turn(() => {
          const queue = this.#queue ?? [];
          this.#queue = undefined;
          this.#queuedBytes = 0;
          proceed(late);
          this.#replay(queue);
          if (this.#ended || !this.#paused || this.#queue !== undefined) return;
          this.#paused = false;
          this.#owner.resumeSource(this.#direction);
        });
      },
      (error: unknown) => {
        if (!this.#ended) this.#owner.turn(() => this.#fail(error));
      },
    );
  }

  #enqueue(queue: Queued[], event: Queued): void {
    queue.push(event);
    if (event.kind === 'trailers') return;
    this.#queuedBytes += event.chunk.length;
    if (this.#paused || this.limit === 0 || this.#queuedBytes <= this.limit) return;
    this.#paused = true;
    this.#owner.pauseSource(this.#direction);
  }

  #replay(queue: readonly Queued[]): void {
    for (let i = 0; i < queue.length && !this.#ended; i++) {
      // Read afresh each time: replaying an event may have started another wait.
      const waiting: Queued[] | undefined = this.#queue;
      if (waiting !== undefined) {
        this.#enqueue(waiting, queue[i]!);
        continue;
      }
      const event = queue[i]!;
      if (event.kind === 'data') this.#dataFrom(event.from, event.chunk, event.endStream);
      else this.#trailersFrom(event.from, event.trailers);
    }
  }
}

function isPromise<Verdict>(value: Awaitable<Verdict>): value is Promise<Verdict> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}
