import type { ClusterModel } from '../../../config/cluster-model.ts';
import type { ConnectionInfo } from '../../../filters/stream-info.ts';
import type { Http2Settings } from '../../codec/server-codec.ts';
import type { UpstreamCluster } from '../cluster.ts';
import { CLUSTER_STATS } from '../cluster-stats.ts';
import type { PoolRequest, UpstreamStream } from '../upstream.ts';
import type { PooledConnection, PoolProtocol } from './connection.ts';
import type { UpstreamSocket } from './connector.ts';
import { Http1Client } from './h1-client.ts';
import { Http2Client } from './h2-client.ts';
import type { Http1CodecFactory } from './http1-codec.ts';
import type { Http2CodecFactory } from './http2-codec.ts';

/** `auto`: what ALPN settles on; HTTP/1.1 where it settles on nothing. */
export type PooledHttpVersion = 'http1' | 'http2' | 'auto';

export interface HttpCodecs {
  readonly http1: Http1CodecFactory;
  readonly http2: Http2CodecFactory;
}

type Connection = PooledConnection<PoolRequest, UpstreamStream>;

const ALPN: Readonly<Record<PooledHttpVersion, readonly string[]>> = {
  http1: ['http/1.1'],
  http2: ['h2'],
  auto: ['h2', 'http/1.1'],
};

/** How the HTTP connections of one cluster are spoken on. */
export class HttpProtocolChoice implements PoolProtocol<PoolRequest, UpstreamStream> {
  readonly assumedStreams: number;
  readonly alpnFallback: readonly string[];
  readonly idleTimeoutMs: number;
  readonly #cluster: UpstreamCluster;
  readonly #version: PooledHttpVersion;
  readonly #codecs: HttpCodecs;

  constructor(cluster: UpstreamCluster, version: PooledHttpVersion, codecs: HttpCodecs) {
    this.#cluster = cluster;
    this.#version = version;
    this.#codecs = codecs;
    // Of a connection that may turn out to be HTTP/1, Envoy expects no more than of one that is.
    this.assumedStreams = version === 'http2' ? cluster.model.http2.maxConcurrentStreams : 1;
    this.alpnFallback = ALPN[version];
    this.idleTimeoutMs = cluster.model.idleTimeoutMs;
  }

  onBegin(): void {
    if (this.#version !== 'auto') this.#count(this.#version);
  }

  createClient(connection: Connection, socket: UpstreamSocket, info: ConnectionInfo): Http1Client | Http2Client {
    let version = this.#version;
    if (version === 'auto') {
      version = info.tls?.alpn === 'h2' ? 'http2' : 'http1';
      this.#count(version);
    }
    if (version === 'http1') return new Http1Client(connection, socket, this.#codecs.http1);
    return new Http2Client(connection, socket, http2Settings(this.#cluster.model), this.#codecs.http2);
  }

  #count(version: 'http1' | 'http2'): void {
    const { at } = CLUSTER_STATS;
    this.#cluster.stats.inc(version === 'http1' ? at.upstream_cx_http1_total : at.upstream_cx_http2_total);
    // The codec's own stats are there from now on.
    if (version === 'http1') void this.#cluster.http1Stats;
    else void this.#cluster.http2Stats;
  }
}

function http2Settings({ http1, http2, perConnectionBufferLimitBytes }: ClusterModel): Http2Settings {
  return {
    ...http2,
    // The limits of response headers are common to both versions.
    maxHeadersCount: http1.maxHeadersCount,
    maxHeadersBytes: http1.maxHeadersBytes,
    bufferLimitBytes: perConnectionBufferLimitBytes,
  };
}
