import type { AccessLogModel } from '../../config/common-model.ts';
import type { Route } from '../router/route.ts';
import type { WorkerContext } from '../worker-context.ts';
import type { ProxyErrorEntry } from '../proxy-error.ts';
import type { HeaderMap } from './headers.ts';
import type { MutableStreamInfo } from './stream-info.ts';

/**
 * The end of the request pass: the router. `HttpStream` makes one a stream, when the pass is through with the headers,
 * and hands it what comes out of the last filter.
 */
export interface RequestSink {
  onHeaders(headers: HeaderMap, endStream: boolean): void;
  onData(chunk: Buffer, endStream: boolean): void;
  onTrailers(trailers: HeaderMap): void;
  /** The downstream can take more response data (counted against `pauseResponse`). */
  resumeResponse(): void;
  /** The downstream is over its high watermark, or a response filter waits: stop the upstream. */
  pauseResponse(): void;
  /** The stream is over, however it ended; cancels all attempts and timers. Exactly once. */
  destroy(): void;
}

/** The stream, as its router sees it. Implemented by `HttpStream`. */
export interface RoutedStream {
  readonly worker: WorkerContext;
  readonly info: MutableStreamInfo;
  readonly requestHeaders: HeaderMap;
  /** Undefined: no route matched. */
  readonly route: Route | undefined;
  /** Most bytes of a request body that may be held for a retry or redirect. */
  readonly bufferLimit: number;
  /** A downstream from the internal networks (x-envoy-internal). */
  readonly internalRequest: boolean;
  /** The HCM's router settings (suppress_envoy_headers, start_child_span, respect_expected_rq_timeout, ...). */
  readonly routerOptions: RouterOptions;
  /** Host that a filter asked for, see StreamContext.setUpstreamOverrideHost. */
  readonly overrideHost: string | undefined;
  readonly overrideHostStrict: boolean;

  /** Sends a 1xx downstream. */
  sendInformational(headers: HeaderMap): void;
  /** The response from upstream enters the response pass. */
  sendHeaders(headers: HeaderMap, endStream: boolean): void;
  sendData(chunk: Buffer, endStream: boolean): void;
  sendTrailers(trailers: HeaderMap): void;
  /** Answers for the upstream. After headers went out it resets the stream instead. Destroys this router. */
  sendLocalReply(reply: RouterLocalReply): void;
  /** Resets the downstream stream (the response had begun). Destroys this router. */
  reset(details: string, flag: number): void;
  /** A bug of ours, met outside of the downstream's calls: ends this stream, and nobody else's. */
  fail(error: unknown): void;
  /** Stops and restarts the request's source; counted. */
  pauseRequest(): void;
  resumeRequest(): void;
  /**
   * Starts the stream over with changed request headers, because `response` redirects it; the body and trailers that the router has
   * kept come along. False: not possible, forward the response. True: this router has been destroyed.
   */
  recreate(headers: HeaderMap, response: HeaderMap, body?: readonly Buffer[], trailers?: HeaderMap): boolean;
  /** The route that a request with `headers` would take now (targets of internal redirects). Absent: unknown. */
  resolveRoute?(headers: HeaderMap): Route | undefined;
}

export interface RouterLocalReply extends Pick<ProxyErrorEntry, 'status' | 'flag' | 'details' | 'body'> {
  /**
   * Extra headers (`x-envoy-overloaded`, ...). The stream puts them after those that a forwarding route's
   * `finalizeResponse` adds to every local reply, whoever makes it; a redirect's `location` goes before them.
   */
  readonly headers?: readonly (readonly [string, string])[];
  readonly grpcStatus?: number;
}

/** extensions.filters.http.router.v3.Router. */
export interface RouterOptions {
  readonly dynamicStats: boolean;
  readonly suppressEnvoyHeaders: boolean;
  readonly respectExpectedRqTimeout: boolean;
  readonly suppressGrpcRequestFailureCodeStats: boolean;
  /** Names of headers to check strictly (`strict_check_headers`). */
  readonly strictCheckHeaders: readonly string[];
  readonly upstreamAccessLogs: readonly AccessLogModel[];
}
