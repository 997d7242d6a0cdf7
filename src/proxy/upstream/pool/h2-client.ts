import type { ConnectionInfo } from '../../../filters/stream-info.ts';
import type { HttpProtocol, StreamResetReason } from '../../codec/codec.ts';
import type { Http2Settings } from '../../codec/server-codec.ts';
import type { HeaderMap } from '../../http/headers.ts';
import { CLUSTER_STATS } from '../cluster-stats.ts';
import type { UpstreamHost } from '../host.ts';
import type { PoolRequest, UpstreamStream } from '../upstream.ts';
import type { PooledConnection, ProtocolClient } from './connection.ts';
import type { UpstreamSocket } from './connector.ts';
import type { Http2Codec, Http2CodecFactory, Http2CodecOwner, Http2CodecStream } from './http2-codec.ts';

const { at } = CLUSTER_STATS;

/** The HTTP/2 side of a pooled connection: a codec, and as many streams as the peer and our own settings allow. */
export class Http2Client implements ProtocolClient<PoolRequest, UpstreamStream>, Http2CodecOwner {
  readonly #connection: PooledConnection<PoolRequest, UpstreamStream>;
  readonly #codec: Http2Codec;

  constructor(
    connection: PooledConnection<PoolRequest, UpstreamStream>,
    socket: UpstreamSocket,
    settings: Http2Settings,
    createCodec: Http2CodecFactory,
  ) {
    this.#connection = connection;
    this.#codec = createCodec(socket, connection.dispatcher, settings, this, connection.cluster.http2Stats);
    // As in Envoy: streams start at once, before the peer has told how many it takes.
    connection.setLimit(settings.maxConcurrentStreams);
  }

  attach(request: PoolRequest): UpstreamStream {
    const { host, info } = this.#connection;
    return new Http2PoolStream(host, info, this.#codec.newStream(request));
  }

  onData(chunk: Buffer): void {
    this.#codec.onData(chunk);
  }

  onEnd(): void {
    this.#codec.onEnd();
    this.#connection.closing = true;
  }

  onDrain(): void {
    this.#codec.onDrain();
  }

  onClose(): void {
    // Streams that end now retry elsewhere, not here.
    this.#connection.closing = true;
    this.#codec.onClose();
  }

  flush(): void {
    this.#codec.flush();
  }

  onStreamEnd(_stream: Http2CodecStream, reason: StreamResetReason | undefined): void {
    if (reason !== undefined) this.#countReset(reason);
    this.#connection.streamEnded();
  }

  onSettings(): void {
    this.#connection.setLimit(this.#codec.maxConcurrentStreams);
  }

  onGoAway(): void {
    this.#connection.cluster.stats.inc(at.upstream_cx_close_notify);
    this.#connection.retire();
  }

  onProtocolError(): void {
    this.#connection.cluster.stats.inc(at.upstream_cx_protocol_error);
    this.#connection.closing = true;
  }

  onKeepaliveTimeout(): void {
    this.#connection.closing = true;
  }

  /** As Envoy's MultiplexedActiveClientBase; refused streams are not counted. */
  #countReset(reason: StreamResetReason): void {
    const { stats } = this.#connection.cluster;
    switch (reason) {
      case 'connection termination':
      case 'connection timeout':
      case 'local connection failure':
      case 'remote connection failure':
        stats.inc(at.upstream_rq_pending_failure_eject);
        this.#connection.cutOff = true;
        return;
      case 'remote reset':
        stats.inc(at.upstream_rq_rx_reset);
        return;
      case 'local reset':
      case 'protocol error':
      case 'overload manager reset':
        stats.inc(at.upstream_rq_tx_reset);
    }
  }
}

/** One stream on an HTTP/2 connection. */
class Http2PoolStream implements UpstreamStream {
  readonly host: UpstreamHost;
  readonly connection: ConnectionInfo;
  readonly protocol: HttpProtocol = 'HTTP/2';
  readonly #stream: Http2CodecStream;

  constructor(host: UpstreamHost, connection: ConnectionInfo, stream: Http2CodecStream) {
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

  get headerBytesSent(): number {
    return this.#stream.headerBytesSent;
  }

  get headerBytesReceived(): number {
    return this.#stream.headerBytesReceived;
  }

  sendInformational(headers: HeaderMap): void {
    this.#stream.sendInformational(headers);
  }

  sendHeaders(headers: HeaderMap, endStream: boolean): void {
    this.#stream.sendHeaders(headers, endStream);
  }

  sendData(chunk: Buffer, endStream: boolean): boolean {
    return this.#stream.sendData(chunk, endStream);
  }

  sendTrailers(trailers: HeaderMap): void {
    this.#stream.sendTrailers(trailers);
  }

  reset(reason: StreamResetReason): void {
    this.#stream.reset(reason);
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }
}
