import type { HeaderMap } from '../http/headers.ts';

/**
 * The contract between codecs and the streams on them, the same for HTTP/1 and HTTP/2, downstream and upstream.
 *
 * Parsers and serialisers do no I/O: bytes in, events out. A *connection* object joins one to a socket.
 *
 * Rules for both sides:
 * - Chunks are borrowed: valid only during the call. Whoever keeps one past it (a queue, a socket write that did not
 *   flush) either copies it or calls `keepRead()` (see read-buffer.ts), which makes the reader use a new buffer.
 * - After `endStream`, after trailers and after a reset no further event comes in that direction.
 * - `onReset` comes at most once and is the last event. A stream that called `reset()` itself gets no `onReset`.
 * - Events never fire from inside a `StreamHandle` call.
 */
export interface StreamEvents {
  /** A 1xx other than 101 (client side only), any number of times before `onHeaders`. */
  onInformational?(headers: HeaderMap): void;
  onHeaders(headers: HeaderMap, endStream: boolean): void;
  onData(chunk: Buffer, endStream: boolean): void;
  /** Trailers end the stream. */
  onTrailers(trailers: HeaderMap): void;
  /** The stream died: protocol error, the peer's reset, or its connection closed. `detail` is Envoy's codec detail. */
  onReset(reason: StreamResetReason, detail: string): void;
  /** The send buffer was over its high watermark and has drained: sending may go on. */
  onWritable(): void;
}

/** One stream, as its user drives it. */
export interface StreamHandle {
  /** Sends a 1xx other than 101 (server side only). */
  sendInformational(headers: HeaderMap): void;
  sendHeaders(headers: HeaderMap, endStream: boolean): void;
  /** Takes the chunk in any case. False: over the high watermark; stop the source until `onWritable`. */
  sendData(chunk: Buffer, endStream: boolean): boolean;
  sendTrailers(trailers: HeaderMap): void;
  /** Ends both directions at once; for HTTP/1 it closes the connection. Idempotent. */
  reset(reason: StreamResetReason): void;
  /** Stops `onData`; counted, one `resume()` for each `pause()`. */
  pause(): void;
  resume(): void;
}

/** Why a stream was reset (Envoy's StreamResetReason; the texts are those that appear in its response bodies). */
export type StreamResetReason =
  | 'local reset'
  | 'local refused stream reset'
  | 'remote reset'
  | 'remote refused stream reset'
  | 'remote error with CONNECT request'
  | 'local connection failure'
  | 'remote connection failure'
  | 'connection timeout'
  | 'connection termination'
  | 'overflow'
  | 'protocol error'
  | 'overload manager reset'
  | 'remote error with CONNECT request'
  | 'HTTP/1 premature upstream half close';

export type HttpProtocol = 'HTTP/1.0' | 'HTTP/1.1' | 'HTTP/2';

/** Options of HTTP/1 parsing and writing (Envoy's Http1ProtocolOptions and what the HCM adds). */
export interface Http1Settings {
  /** Server: accept HTTP/1.0 requests; otherwise they are answered 426. */
  readonly acceptHttp10: boolean;
  /** The host that a HTTP/1.0 request without one is given. */
  readonly defaultHostForHttp10: string;
  /** Accept absolute-form request targets. Default true. */
  readonly allowAbsoluteUrl: boolean;
  /** Carry trailers; otherwise they are parsed and dropped. */
  readonly enableTrailers: boolean;
  /** Accept Content-Length beside Transfer-Encoding: chunked (the length is removed); otherwise 400. */
  readonly allowChunkedLength: boolean;
  /** How names are spelt when written. `preserve` falls back to lower case for names that we made. */
  readonly headerCase: 'lower' | 'proper' | 'preserve';
  /** Carry the upstream's reason phrase (only with `preserve`). */
  readonly forwardReasonPhrase: boolean;
  /** Close only the stream's message, not the connection, on an invalid message where framing is still known. */
  readonly overrideStreamErrorOnInvalidHttpMessage: boolean;
  /** Send an absolute-form request target upstream (client side; Envoy's send_fully_qualified_url). */
  readonly sendFullyQualifiedUrl: boolean;
  /** Accept methods beyond the registered ones that Envoy knows. Default false: they are malformed requests. */
  readonly allowCustomMethods?: boolean;
  /** Limit on the number of header fields; more is 431 (request) or a protocol error (response). */
  readonly maxHeadersCount: number;
  /** Limit on the bytes of the header section. */
  readonly maxHeadersBytes: number;
}

export const defaultHttp1Settings: Http1Settings = {
  acceptHttp10: false,
  defaultHostForHttp10: '',
  allowAbsoluteUrl: true,
  enableTrailers: false,
  allowChunkedLength: false,
  headerCase: 'lower',
  forwardReasonPhrase: false,
  overrideStreamErrorOnInvalidHttpMessage: false,
  sendFullyQualifiedUrl: false,
  maxHeadersCount: 100,
  maxHeadersBytes: 60 * 1024,
};

/**
 * A downstream connection asks this for the owner of each new stream.
 */
export interface ServerStreamFactory {
  /** A request begins on `stream` (its first byte arrived); its events go to what is returned. */
  newStream(stream: ServerStream): ServerStreamEvents;
}

/** Events of a server-side stream. */
export interface ServerStreamEvents extends StreamEvents {
  /**
   * The request is malformed, before or after its headers. The owner answers with `error.status` through the handle if
   * no response has begun; the codec closes the connection after that response. No other event follows.
   */
  onProtocolError(error: CodecError): void;
}

/** A stream as the server side of a connection offers it. */
export interface ServerStream extends StreamHandle {
  readonly protocol: HttpProtocol;
  /** HTTP/1.0, or a client that sent `connection: close`: the response must close the connection. */
  readonly closesConnection: boolean;
  /**
   * The owner decides to close: the response carries `connection: close` and the connection ends after it. Before
   * sendHeaders. `linger`: the peer may still be sending, so it is given time to read the response first.
   */
  closeAfterResponse(linger: boolean): void;
  /** Bytes of the request header section and of the body so far, as they were on the wire. */
  readonly wireBytesReceived: number;
  readonly wireBytesSent: number;
}

/**
 * A malformed message, as the parsers report it. `detail` is Envoy's response_code_details (`http1.codec_error`, ...);
 * `status` what a server answers (400, 426, 431, 501, ...).
 */
export interface CodecError {
  readonly status: number;
  readonly detail: string;
}
