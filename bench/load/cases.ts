/** What the load generator speaks to the proxy. */
export type Downstream = 'http1' | 'http1-tls' | 'http1-mtls' | 'http2' | 'http2-tls' | 'websocket' | 'tcp';
/** What the proxy speaks to the upstream. */
export type Upstream = 'http1' | 'http2' | 'http2-tls' | 'tcp';

/** One kind of traffic. */
export interface BenchCase {
  readonly name: string;
  readonly downstream: Downstream;
  readonly upstream: Upstream;
  readonly path: string;
  readonly method: 'GET' | 'POST';
  /** Bytes of the request's body, or of a message. */
  readonly requestBytes: number;
  /** Bytes of the response's body. */
  readonly responseBytes: number;
  readonly connections: number;
  /** Streams that each HTTP/2 connection has open at once. */
  readonly streams: number;
  /** `request`: one after the other on connections that stay. */
  readonly load: 'request' | 'full-handshake' | 'resumed-handshake' | 'message' | 'grpc' | 'grpc-stream';
  /** Which config the proxies run: `plain`; `routes` has 1,000 of them; `armed` has log, timeouts, retries and filters. */
  readonly config: 'plain' | 'routes' | 'armed';
  readonly unit: 'request' | 'MiB' | 'handshake' | 'message';
}

const get = (name: string, responseBytes: number, more: Partial<BenchCase> = {}): BenchCase => ({
  name,
  downstream: 'http1',
  upstream: 'http1',
  path: `/${responseBytes}`,
  method: 'GET',
  requestBytes: 0,
  responseBytes,
  connections: 64,
  streams: 10,
  load: 'request',
  config: 'plain',
  unit: 'request',
  ...more,
});

const MiB = 1024 * 1024;

export const CASES: readonly BenchCase[] = [
  get('GET 128 B', 128),
  get('POST 1 KiB', 128, { method: 'POST', requestBytes: 1024 }),
  get('GET 16 KiB', 16 * 1024),
  get('GET 1 MiB', MiB, { connections: 8, unit: 'MiB' }),
  get('GET 100 MiB', 100 * MiB, { connections: 2, unit: 'MiB' }),
  get('1,000 routes', 128, { config: 'routes', path: '/service-999/128' }),
  get('everything armed', 128, { config: 'armed' }),
  get('TLS GET 128 B', 128, { downstream: 'http1-tls' }),
  get('mTLS GET 128 B', 128, { downstream: 'http1-mtls' }),
  get('TLS GET 1 MiB', MiB, { downstream: 'http1-tls', connections: 8, unit: 'MiB' }),
  get('full TLS handshakes', 128, {
    downstream: 'http1-tls',
    load: 'full-handshake',
    connections: 16,
    unit: 'handshake',
  }),
  get('resumed TLS handshakes', 128, {
    downstream: 'http1-tls',
    load: 'resumed-handshake',
    connections: 16,
    unit: 'handshake',
  }),
  get('h2c to HTTP/1.1, 128 B', 128, { downstream: 'http2', connections: 16 }),
  get('h2c to h2c, 128 B', 128, { downstream: 'http2', upstream: 'http2', connections: 16 }),
  get('h2 to h2 over TLS, 128 B', 128, { downstream: 'http2-tls', upstream: 'http2-tls', connections: 16 }),
  get('gRPC unary, 128 B', 128, {
    downstream: 'http2',
    upstream: 'http2',
    connections: 16,
    method: 'POST',
    load: 'grpc',
    requestBytes: 133,
    path: '/bench.Echo/Unary',
  }),
  get('gRPC streaming, 128 B', 128, {
    downstream: 'http2',
    upstream: 'http2',
    connections: 4,
    streams: 8,
    method: 'POST',
    load: 'grpc-stream',
    requestBytes: 133,
    path: '/bench.Echo/Stream',
    unit: 'message',
  }),
  get('WebSocket messages, 128 B', 128, {
    downstream: 'websocket',
    load: 'message',
    requestBytes: 134,
    unit: 'message',
  }),
  get('TCP GET 128 B', 128, { downstream: 'tcp', upstream: 'tcp' }),
  get('TCP GET 1 MiB', MiB, { downstream: 'tcp', upstream: 'tcp', connections: 8, unit: 'MiB' }),
];
