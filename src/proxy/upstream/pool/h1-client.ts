import type { ConnectionInfo } from '../../../filters/stream-info.ts';
import type { HttpProtocol, StreamResetReason } from '../../codec/codec.ts';
import type { HeaderMap } from '../../http/headers.ts';
import { CLUSTER_STATS } from '../cluster-stats.ts';
import type { UpstreamHost } from '../host.ts';
import type { PoolRequest, UpstreamStream } from '../upstream.ts';
import type { PooledConnection, ProtocolClient } from './connection.ts';
import type { UpstreamSocket } from './connector.ts';
import type { ExchangeEnd, Http1Codec, Http1CodecFactory, Http1CodecOwner, Http1CodecStream } from './http1-codec.ts';

/** The HTTP/1 side of a pooled connection: a codec, and at most one stream. */
export class Http1Client implements ProtocolClient<PoolRequest, UpstreamStream>, Http1CodecOwner {
  readonly #connection: PooledConnection<PoolRequest, UpstreamStream>;
  readonly #codec: Http1Codec;
  #stream: Http1PoolStream | undefined = undefined;
  #reading = false;
  #endedWhileReading = false;

  constructor(
    connection: PooledConnection<PoolRequest, UpstreamStream>,
    socket: UpstreamSocket,
    createCodec: Http1CodecFactory,
  ) {
    this.#connection = connection;
    this.#codec = createCodec(socket, connection.dispatcher, connection.cluster.model.http1, this);
  }

  attach(request: PoolRequest): UpstreamStream {
    const connection = this.#connection;
    connection.cutOff = false;
    return (this.#stream = new Http1PoolStream(connection.host, connection.info, this.#codec.newStream(request)));
  }

  onData(chunk: Buffer): void {
    if (this.#stream === undefined) return this.#onUnsolicited(chunk);
    this.#reading = true;
    this.#codec.onData(chunk);
    this.#reading = false;
    if (!this.#endedWhileReading) return;
    // Only now, when the codec is through with the chunk, may another request use the connection: what came after the
    // response's end must not become the next request's response.
    this.#endedWhileReading = false;
    this.#connection.streamEnded();
  }

  onEnd(): void {
    this.#codec.onEnd();
    // The socket is about to close; nothing may start on it meanwhile.
    this.#connection.closing = true;
  }

  onDrain(): void {
    this.#codec.onDrain();
  }

  onClose(): void {
    const open = this.#stream !== undefined;
    if (open) this.#connection.cutOff = true;
    this.#codec.onClose();
    // A codec that was told of the end has ended its stream by now; this is for one that hasn't.
    if (this.#stream !== undefined) this.onExchangeEnd('reset');
  }

  flush(): void {
    this.#codec.flush();
  }

  onExchangeEnd(end: ExchangeEnd): void {
    const stream = this.#stream;
    if (stream === undefined) return;
    const connection = this.#connection;
    this.#stream = undefined;
    stream.end();
    if (end === 'reset') connection.cutOff = true;
    if (end === 'close-notify') connection.cluster.stats.inc(CLUSTER_STATS.at.upstream_cx_close_notify);
    // The codec closes the socket itself, at the end of the turn: what it has written may still have to leave.
    if (end !== 'reusable') connection.closing = true;
    if (this.#reading) this.#endedWhileReading = true;
    else connection.streamEnded();
  }

  onProtocolError(): void {
    this.#connection.cluster.stats.inc(CLUSTER_STATS.at.upstream_cx_protocol_error);
  }

  /** Bytes that no request asked for: the connection can't be trusted any more. */
  #onUnsolicited(chunk: Buffer): void {
    if (this.#connection.closing) return;
    // A 408 is how some servers announce that they close an idle connection.
    if (!/^HTTP\/1\.[01] 408/.test(chunk.toString('latin1', 0, 12))) this.onProtocolError();
    this.#connection.close();
  }
}

/** One stream on an HTTP/1 connection. A handle that is used after the end does nothing. */
class Http1PoolStream implements UpstreamStream {
  readonly host: UpstreamHost;
  readonly connection: ConnectionInfo;
  readonly protocol: HttpProtocol = 'HTTP/1.1';
  /** Of the request line and the fields, as they were on the wire. */
  headerBytesSent = 0;
  readonly #stream: Http1CodecStream;
  #ended = false;

  constructor(host: UpstreamHost, connection: ConnectionInfo, stream: Http1CodecStream) {
    this.host = host;
    this.connection = connection;
    this.#stream = stream;
  }

  get wireBytesSent(): number {
    return this.#stream.wireBytesSent;
  }

  get wireBytesReceived(): number {
    return this.#stream.wireBytesReceived;
  }

  get headerBytesReceived(): number {
    return this.#stream.headerBytesReceived;
  }

  end(): void {
    this.#ended = true;
  }

  sendInformational(headers: HeaderMap): void {
    if (!this.#ended) this.#stream.sendInformational(headers);
  }

  sendHeaders(headers: HeaderMap, endStream: boolean): void {
    if (this.#ended) return;
    this.#stream.sendHeaders(headers, endStream);
    this.headerBytesSent = this.#stream.wireBytesSent;
  }

  sendData(chunk: Buffer, endStream: boolean): boolean {
    return this.#ended || this.#stream.sendData(chunk, endStream);
  }

  sendTrailers(trailers: HeaderMap): void {
    if (!this.#ended) this.#stream.sendTrailers(trailers);
  }

  reset(reason: StreamResetReason): void {
    if (!this.#ended) this.#stream.reset(reason);
  }

  pause(): void {
    if (!this.#ended) this.#stream.pause();
  }

  resume(): void {
    if (!this.#ended) this.#stream.resume();
  }
}
