import { once } from 'node:events';
import { createServer, request, type IncomingHttpHeaders, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import zlib from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OUTRIGGER, ProxyProcess } from '../support/proxy-process.ts';
import { listener, proxyConfig } from '../support/proxy-config.ts';
import { findTool } from '../support/tools.ts';

/** The compressor beside a real Envoy's: whose body is compressed, with which headers, and what is counted. */
const envoy = findTool('envoy');

const COMPRESSOR = 'type.googleapis.com/envoy.extensions.filters.http.compressor.v3';
const compressor = (library: string, fields: object = { response_direction_config: {} }) => ({
  name: `envoy.filters.http.compressor.${library}`,
  typed_config: {
    '@type': `${COMPRESSOR}.Compressor`,
    compressor_library: {
      name: 'lib',
      typed_config: {
        '@type': `type.googleapis.com/envoy.extensions.compression.${library.toLowerCase()}.compressor.v3.${library}`,
      },
    },
    ...fields,
  },
});
const route = { cluster: 'backend' };
const perRoute = (config: object) => ({
  typed_per_filter_config: {
    'envoy.filters.http.compressor.Gzip': { '@type': `${COMPRESSOR}.CompressorPerRoute`, ...config },
  },
});
const LISTENERS: Readonly<Record<string, object>> = {
  // As in Istio's bootstrap.
  all: { httpFilters: [compressor('Brotli'), compressor('Zstd'), compressor('Gzip')] },
  first: {
    httpFilters: [compressor('Gzip'), compressor('Brotli', { response_direction_config: {}, choose_first: true })],
  },
  types: {
    httpFilters: [
      compressor('Gzip', { response_direction_config: { common_config: { content_type: ['text/html'] } } }),
      compressor('Brotli', {
        response_direction_config: { common_config: { content_type: ['application/json'], min_content_length: 500 } },
      }),
    ],
  },
  strict: {
    httpFilters: [
      compressor('Gzip', {
        response_direction_config: { disable_on_etag_header: true, remove_accept_encoding_header: true },
        request_direction_config: { common_config: { min_content_length: 10 } },
      }),
    ],
  },
  routes: {
    httpFilters: [
      compressor('Gzip', {
        response_direction_config: { common_config: { enabled: { default_value: false, runtime_key: 'k' } } },
      }),
    ],
    routes: [
      { match: { prefix: '/off' }, route, ...perRoute({ disabled: true }) },
      { match: { prefix: '/on' }, route, ...perRoute({ overrides: { response_direction_config: {} } }) },
      {
        match: { prefix: '/remove' },
        route,
        ...perRoute({ overrides: { response_direction_config: { remove_accept_encoding_header: true } } }),
      },
      { match: { prefix: '/' }, route },
    ],
  },
  deprecated: { httpFilters: [compressor('Gzip', { content_length: 100, content_type: ['text/plain'] })] },
};

interface Case {
  readonly listener: string;
  readonly path?: string;
  readonly method?: string;
  readonly accept?: string;
  readonly request?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Of the response; its body is 600 bytes unless there is a content-length. */
  readonly response?: Readonly<Record<string, string>>;
  readonly chunked?: boolean;
  readonly status?: number;
}

const ACCEPT = [
  'gzip',
  'br',
  'zstd',
  'gzip, br',
  'gzip, br;q=0.5',
  'gzip;q=0.5, br;q=0.5',
  'gzip;q=0.1, zstd;q=0.2, br;q=0.15',
  'gzip ; q = 0.3 , br ;Q=0.4',
  'gzip;q=0',
  'gzip;q=0, *',
  '*',
  '*;q=0',
  'br;q=0, *;q=0.1',
  'identity',
  'identity;q=0.5, gzip;q=0.5',
  'gzip;q=0.5, identity;q=0.5',
  'GZIP',
  'deflate',
  'deflate, gzip;q=0.1',
  'x-gzip',
  '',
  ',',
  'gzip;q=abc',
  'gzip;q=',
  'gzip;q=1e-1, br;q=.05',
  'gzip;level=1',
  'gzip;q=2, br',
  'gzip;q=-1, br;q=0.1',
];
const RESPONSES: readonly Readonly<Record<string, string>>[] = [
  {},
  { 'content-type': 'text/html; charset=utf-8' },
  { 'content-type': 'TEXT/HTML' },
  { 'content-type': 'application/json' },
  { 'content-type': 'image/png' },
  { 'content-type': '' },
  { 'content-encoding': 'br' },
  { 'cache-control': 'no-transform' },
  { 'cache-control': 'public, No-Transform, max-age=1' },
  { 'cache-control': 'no-transformation' },
  { etag: '"abc"' },
  { etag: 'W/"abc"' },
  { etag: 'w/"abc"' },
  { etag: '""' },
  { etag: 'x' },
  { etag: 'W/' },
  { etag: '' },
  { vary: 'Origin' },
  { vary: 'accept-encoding' },
  { vary: 'Accept-Encoding' },
  { vary: 'Origin,Accept-Encoding' },
  { vary: '*' },
  { 'content-length': '29' },
  { 'content-length': '30' },
  { 'content-length': '499', 'content-type': 'application/json' },
  { 'content-length': '500', 'content-type': 'application/json' },
];
const CASES: readonly Case[] = [
  ...ACCEPT.flatMap((accept) => ['all', 'first'].map((name) => ({ listener: name, accept }))),
  ...RESPONSES.flatMap((response) =>
    ['all', 'types', 'strict', 'deprecated'].map((name) => ({ listener: name, accept: 'gzip, br;q=0.9', response })),
  ),
  ...['/off', '/on', '/remove', '/'].map((path) => ({ listener: 'routes', path, accept: 'gzip' })),
  { listener: 'all' },
  { listener: 'all', response: { etag: '"abc"' } },
  { listener: 'all', accept: 'gzip', chunked: true },
  { listener: 'all', accept: 'br', chunked: true },
  { listener: 'all', accept: 'zstd', chunked: true },
  { listener: 'all', accept: 'gzip', method: 'HEAD' },
  { listener: 'all', accept: 'gzip', status: 204 },
  { listener: 'all', accept: 'gzip', status: 304 },
  { listener: 'all', accept: 'gzip', status: 404 },
  { listener: 'all', accept: 'gzip', status: 206 },
  { listener: 'strict', method: 'POST', body: 'x'.repeat(100), request: { 'content-type': 'text/plain' } },
  { listener: 'strict', method: 'POST', body: 'x'.repeat(9), request: { 'content-type': 'text/plain' } },
  { listener: 'strict', method: 'POST', body: 'x'.repeat(100), request: { 'content-type': 'image/png' } },
  { listener: 'strict', method: 'POST', body: 'x'.repeat(100), request: { 'content-encoding': 'br' } },
  { listener: 'all', method: 'POST', body: 'x'.repeat(100), request: { 'content-type': 'text/plain' } },
];

const UNCOMPARED = ['date', 'x-envoy-upstream-service-time', 'server'];
const DECODERS: Readonly<Record<string, (body: Buffer) => Buffer>> = {
  gzip: zlib.gunzipSync,
  br: zlib.brotliDecompressSync,
  zstd: zlib.zstdDecompressSync,
};

describe.skipIf(envoy === undefined)('the compressor beside Envoy', () => {
  let upstream: Server;
  /** What the upstream saw of the last request. */
  let seen: { headers: IncomingHttpHeaders; body: string } | undefined;
  const proxies: ProxyProcess[] = [];

  beforeAll(async () => {
    upstream = createServer((incoming, outgoing) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('end', () => {
        const { headers } = incoming;
        const decode = DECODERS[headers['content-encoding'] === 'gzip' ? 'gzip' : ''] ?? ((body: Buffer) => body);
        seen = { headers, body: decode(Buffer.concat(chunks)).toString() };
        const wanted = JSON.parse(String(headers['x-case'])) as Case;
        const given: Record<string, string> = { 'content-type': 'text/plain', ...wanted.response };
        if (given['content-type'] === '') delete given['content-type'];
        const body = 'abcdefghij'.repeat(60).slice(0, Number(given['content-length'] ?? 600));
        if (wanted.chunked !== true && wanted.status !== 204 && wanted.status !== 304)
          given['content-length'] = String(body.length);
        outgoing.writeHead(wanted.status ?? 200, given);
        if (wanted.chunked === true) outgoing.write(body);
        outgoing.end(wanted.chunked === true ? 'the end' : body);
      });
    }).listen(0, '127.0.0.1');
    await once(upstream, 'listening');
    const { port } = upstream.address() as AddressInfo;
    const config = JSON.stringify(
      proxyConfig({
        upstream: port,
        listeners: Object.entries(LISTENERS).map(([name, parts]) => listener(name, parts)),
      }),
    );
    proxies.push(
      await ProxyProcess.start('envoy', envoy!, config),
      await ProxyProcess.start('outrigger', OUTRIGGER, config),
    );
  });
  afterAll(async () => {
    for (const proxy of proxies) await proxy[Symbol.asyncDispose]();
    upstream?.close();
  });

  /** Everything about an exchange that has to be alike. */
  async function exchange(proxy: ProxyProcess, wanted: Case): Promise<object> {
    const sent = request({
      host: '127.0.0.1',
      port: proxy.ports.get(wanted.listener)!,
      path: wanted.path ?? '/',
      method: wanted.method ?? 'GET',
      headers: {
        'x-case': JSON.stringify(wanted),
        ...(wanted.accept !== undefined && { 'accept-encoding': wanted.accept }),
        ...wanted.request,
      },
      agent: false,
    });
    sent.end(wanted.body);
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const { 'content-encoding': encoding } = response.headers;
    // The upstream may call a body encoded that isn't.
    const isOurs = encoding !== wanted.response?.['content-encoding'] && body.length > 0;
    const decoded = isOurs ? (DECODERS[encoding ?? ''] ?? ((as: Buffer) => as))(body) : body;
    const { 'accept-encoding': accept, 'content-encoding': requestEncoding, 'content-length': length } = seen!.headers;
    return {
      status: response.statusCode,
      headers: Object.entries(response.headers)
        .filter(([name]) => !UNCOMPARED.includes(name))
        .toSorted(),
      body: decoded.toString(),
      upstream: { accept, requestEncoding, length, body: seen!.body },
    };
  }

  test.each(CASES.map((each) => [JSON.stringify(each), each] as const))('%s', async (_, wanted) => {
    const [theirs, ours] = [await exchange(proxies[0]!, wanted), await exchange(proxies[1]!, wanted)];
    expect(ours).toEqual(theirs);
  });

  test('counts alike', async () => {
    const counters = async (proxy: ProxyProcess): Promise<readonly (readonly [string, number])[]> =>
      [...(await proxy.counters())].filter(([name]) => /\.compressor\..*(?<!_bytes)$/.test(name)).toSorted();
    const theirs = await counters(proxies[0]!);
    expect(theirs.length).toBeGreaterThan(100);
    expect(await counters(proxies[1]!)).toEqual(theirs);
  });
});
