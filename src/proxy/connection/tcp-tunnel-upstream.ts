import type { StreamInfo } from '../../filters/stream-info.ts';
import type { StreamResetReason } from '../codec/codec.ts';
import type { HeaderMap } from '../http/headers.ts';
import type { UpstreamTransportOptions } from '../transport-socket/transport-socket.ts';
import type { Cluster, Host, Pool, PoolFailureReason, PoolRequest, UpstreamStream } from '../upstream/upstream.ts';
import type { TunnelConfig } from './tcp-tunnel-config.ts';
import type { TcpUpstream, TcpUpstreamOwner } from './tcp-upstream.ts';

const EMPTY = Buffer.alloc(0);
/** Filter state that what the upstream answered is left in. */
const RESPONSE_HEADERS = 'envoy.tcp_proxy.propagate_response_headers';
const RESPONSE_TRAILERS = 'envoy.tcp_proxy.propagate_response_trailers';

/** The bytes go through an HTTP stream, opened with CONNECT or POST. */
export class TcpTunnelUpstream implements TcpUpstream, PoolRequest {
  owner: TcpUpstreamOwner;
  readonly #config: TunnelConfig;
  readonly #info: StreamInfo;
  #pool: Pool | undefined = undefined;
  #stream: UpstreamStream | undefined = undefined;
  #open = false;
  #readEnded = false;
  #writeEnded = false;

  constructor(owner: TcpUpstreamOwner, config: TunnelConfig, info: StreamInfo) {
    this.owner = owner;
    this.#config = config;
    this.#info = info;
  }

  connect(cluster: Cluster, host: Host, transport: UpstreamTransportOptions | undefined): void {
    const pool = cluster.pool(host, 'default', transport);
    this.#pool = pool;
    const stream = pool.newStream(this);
    if (stream !== undefined) this.onPoolReady(stream);
  }

  cancel(): void {
    this.#pool?.cancel(this);
    this.#pool = undefined;
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.reset('local reset');
  }

  onPoolReady(stream: UpstreamStream): void {
    this.#pool = undefined;
    this.#stream = stream;
    const scheme = stream.connection.tls === undefined ? 'http' : 'https';
    stream.sendHeaders(this.#config.request(this.#info, scheme), false);
  }

  onPoolFailure(reason: PoolFailureReason, transportFailure: string, host?: Host): void {
    this.#pool = undefined;
    this.owner.onUpstreamFailure(reason, transportFailure, host);
  }

  // ---- to the upstream --------------------------------------------------------------------------------------------

  /** A codec that closes its connection writes out what it has itself. */
  get bufferedBytes(): number {
    return 0;
  }

  write(chunk: Buffer): boolean {
    return this.#stream?.sendData(chunk, false) ?? true;
  }

  endWrite(): void {
    if (this.#writeEnded) return;
    this.#writeEnded = true;
    this.#stream?.sendData(EMPTY, true);
    this.#endIfDone();
  }

  pauseRead(): void {
    this.#stream?.pause();
  }

  resumeRead(): void {
    this.#stream?.resume();
  }

  close(how: 'flush' | 'abort' | 'reset'): void {
    const stream = this.#stream;
    if (stream === undefined) return;
    if (how === 'flush') {
      this.endWrite();
      if (this.#stream === undefined) return;
    }
    this.#stream = undefined;
    stream.reset('local reset');
  }

  // ---- from the upstream ------------------------------------------------------------------------------------------

  onHeaders(headers: HeaderMap, endStream: boolean): void {
    const stream = this.#stream;
    if (stream === undefined) return;
    const { model } = this.#config;
    if (model.propagateResponseHeaders) this.#info.filterState.set(RESPONSE_HEADERS, listed(headers));
    if (!this.#config.accepts(headers.status) || endStream) {
      this.#stream = undefined;
      if (!endStream || !this.#writeEnded) stream.reset('local reset');
      this.owner.onUpstreamFailure('remote connection failure', `tunnel_response:${headers.status}`, stream.host);
      return;
    }
    this.#open = true;
    this.owner.onUpstreamReady(stream.host, stream.connection);
  }

  onData(chunk: Buffer, endStream: boolean): void {
    if (chunk.length > 0) this.owner.onUpstreamData(chunk);
    if (endStream) this.#onEnd();
  }

  onTrailers(trailers: HeaderMap): void {
    if (this.#config.model.propagateResponseTrailers) this.#info.filterState.set(RESPONSE_TRAILERS, listed(trailers));
    this.#onEnd();
  }

  onReset(reason: StreamResetReason): void {
    const stream = this.#stream;
    if (stream === undefined) return;
    this.#stream = undefined;
    if (this.#open) this.owner.onUpstreamClose(false);
    else this.owner.onUpstreamFailure(failureOf(reason), '', stream.host);
  }

  onWritable(): void {
    this.owner.onUpstreamDrain();
  }

  #onEnd(): void {
    this.#readEnded = true;
    this.owner.onUpstreamEnd();
    this.#endIfDone();
  }

  #endIfDone(): void {
    if (!this.#readEnded || !this.#writeEnded) return;
    this.#stream = undefined;
  }
}

function failureOf(reason: StreamResetReason): PoolFailureReason {
  switch (reason) {
    case 'local connection failure':
    case 'connection timeout':
    case 'overflow':
      return reason;
    default:
      return 'remote connection failure';
  }
}

/** As Envoy's core.v3.HeaderMap prints. */
function listed(headers: HeaderMap): unknown {
  const list = headers.names.map((key, i) => ({ key, value: headers.values[i]! }));
  if (headers.status !== 0) list.unshift({ key: ':status', value: String(headers.status) });
  return { headers: list };
}
