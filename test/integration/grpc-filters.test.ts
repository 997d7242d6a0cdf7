import { once } from 'node:events';
import { createServer, connect as connectHttp2, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { grpcFrame } from '../../src/filters/grpc-frames.ts';
import { createProxy } from '../../src/index.ts';
import { bookstoreDescriptors } from '../support/bookstore.ts';
import { cluster, proxyConfig } from '../support/proxy-config.ts';

/** The gRPC filters between clients of HTTP/1.1 or HTTP/2 and a server of HTTP/2, whose trailers are real ones. */
const TYPE = 'type.googleapis.com/envoy.extensions.filters.http';
const filter = (name: string, type: string, config: object = {}) => ({
  name: `envoy.filters.http.${name}`,
  typed_config: { '@type': `${TYPE}.${type}`, ...config },
});
const h2Options = {
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
    '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
    explicit_http_config: { http2_protocol_options: {} },
  },
};

/** Echoes the request's body with its frames. `/fail` ends with status 5. */
let upstream: Http2Server;

beforeEach(async () => {
  upstream = createServer();
  upstream.on('stream', (stream: ServerHttp2Stream, headers) => {
    const failed = headers[':path']?.endsWith('Fail') === true;
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': failed ? '5' : '0', 'grpc-message': 'm' }));
    stream.pipe(stream);
  });
  upstream.listen(0, '127.0.0.1');
  await once(upstream, 'listening');
});

afterEach(() => {
  upstream.close();
});

const start = (...filters: object[]) =>
  createProxy({
    config: proxyConfig({
      httpFilters: filters as never,
      clusters: [
        cluster('backend', (upstream.address() as AddressInfo).port, { typed_extension_protocol_options: h2Options }),
      ],
    }),
  });
const hello = grpcFrame(Buffer.from('hello'));
const post = (port: number, path: string, type: string, body: Buffer | string, accept = '*/*'): Promise<Response> =>
  fetch(`http://127.0.0.1:${port}${path}`, {
    method: 'POST',
    headers: { 'content-type': type, accept },
    body: typeof body === 'string' ? body : new Uint8Array(body),
  });

test('grpc_web: trailers come as the last frame', async () => {
  await using proxy = await start(
    filter('grpc_stats', 'grpc_stats.v3.FilterConfig'),
    filter('grpc_web', 'grpc_web.v3.GrpcWeb'),
  );
  const binary = await post(proxy.port('ingress'), '/pkg.Svc/Call', 'application/grpc-web+proto', hello);
  const trailers = grpcFrame(Buffer.from('grpc-status:0\r\ngrpc-message:m\r\n'), 0x80);
  expect(Buffer.from(await binary.arrayBuffer())).toEqual(Buffer.concat([hello, trailers]));
  const TEXT = 'application/grpc-web-text';
  const text = await post(proxy.port('ingress'), '/pkg.Svc/Call', TEXT, hello.toString('base64'), TEXT);
  expect(await text.text()).toBe(hello.toString('base64') + trailers.toString('base64'));
  expect(proxy.stat('cluster.backend.grpc-web.pkg.Svc.Call.success')).toBe(2);
});

test('grpc_http1_bridge: the outcome is in the headers', async () => {
  await using proxy = await start(
    filter('grpc_http1_bridge', 'grpc_http1_bridge.v3.Config', { upgrade_protobuf_to_grpc: true }),
  );
  const good = await post(proxy.port('ingress'), '/pkg.Svc/Call', 'application/x-protobuf', 'hello');
  expect([good.status, good.headers.get('grpc-status'), await good.text()]).toEqual([200, '0', 'hello']);
  const bad = await post(proxy.port('ingress'), '/pkg.Svc/Fail', 'application/grpc', hello);
  expect([bad.status, bad.headers.get('grpc-status'), bad.headers.get('grpc-message')]).toEqual([503, '5', 'm']);
});

test('grpc_json_transcoder: JSON to gRPC and back, streams too', async () => {
  await using proxy = await start(
    filter('grpc_json_transcoder', 'grpc_json_transcoder.v3.GrpcJsonTranscoder', {
      proto_descriptor_bin: bookstoreDescriptors().toString('base64'),
      services: ['test.Bookstore'],
    }),
  );
  const url = `http://127.0.0.1:${proxy.port('ingress')}`;
  const one = await fetch(`${url}/shelves/7/books/A%20B?genre=DRAMA`);
  expect([one.status, await one.json()]).toEqual([200, { id: '7', title: 'A B', genre: 'DRAMA' }]);
  const many = await fetch(`${url}/echo`, { method: 'POST', body: '[{"id":1},{"id":2}]' });
  expect(await many.text()).toBe('[{"id":"1"},{"id":"2"}]');
  const none = await fetch(`${url}/books`);
  expect(await none.json()).toEqual([{}]);
});

test('grpc_stats: calls over HTTP/2', async () => {
  await using proxy = await start(filter('grpc_stats', 'grpc_stats.v3.FilterConfig', { stats_for_all_methods: true }));
  const client = connectHttp2(`http://127.0.0.1:${proxy.port('ingress')}`);
  const stream = client.request({
    ':method': 'POST',
    ':path': '/pkg.Svc/Fail',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  const trailers = once(stream, 'trailers');
  stream.resume();
  stream.end(Buffer.concat([hello, hello]));
  expect((await trailers)[0]).toMatchObject({ 'grpc-status': '5' });
  client.close();
  const stat = (name: string): ReturnType<typeof proxy.stat> => proxy.stat(`cluster.backend.grpc.pkg.Svc.Fail.${name}`);
  expect(['request_message_count', 'response_message_count', '5', 'failure'].map(stat)).toEqual([2, 2, 1, 1]);
});
