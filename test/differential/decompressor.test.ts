import { once } from 'node:events';
import { createServer, request, type IncomingHttpHeaders, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import zlib from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OUTRIGGER, ProxyProcess } from '../support/proxy-process.ts';
import { listener, proxyConfig } from '../support/proxy-config.ts';
import { findTool } from '../support/tools.ts';

/** The decompressor beside a real Envoy's: whose body is decompressed, with which headers, and what is counted. */
const envoy = findTool('envoy');

const decompressor = (library: string, fields: object = {}, libraryFields: object = {}) => ({
  name: `envoy.filters.http.decompressor.${library}`,
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.filters.http.decompressor.v3.Decompressor',
    decompressor_library: {
      // Envoy names its trailers by the first filter of the process, so there is one name for all.
      name: 'Lib',
      typed_config: {
        '@type': `type.googleapis.com/envoy.extensions.compression.${library.toLowerCase()}.decompressor.v3.${library}`,
        ...libraryFields,
      },
    },
    ...fields,
  },
});
const off = { enabled: { default_value: false, runtime_key: 'k' } };
const hcm = { http_protocol_options: { enable_trailers: true } };
const LISTENERS: Readonly<Record<string, object>> = {
  all: { hcm, httpFilters: [decompressor('Brotli'), decompressor('Zstd'), decompressor('Gzip')] },
  gzip: { hcm, httpFilters: [decompressor('Gzip')] },
  ignoring: {
    hcm,
    httpFilters: [
      decompressor('Gzip', {
        request_direction_config: { common_config: { ignore_no_transform_header: true } },
        response_direction_config: { common_config: { ignore_no_transform_header: true } },
      }),
    ],
  },
  requests: { hcm, httpFilters: [decompressor('Gzip', { response_direction_config: { common_config: off } })] },
  responses: { hcm, httpFilters: [decompressor('Gzip', { request_direction_config: { common_config: off } })] },
  silent: {
    hcm,
    httpFilters: [decompressor('Gzip', { request_direction_config: { advertise_accept_encoding: false } })],
  },
  tight: { hcm, httpFilters: [decompressor('Gzip', {}, { max_inflate_ratio: 2, window_bits: 9 })] },
};

const TEXT = Buffer.from('to be decompressed, '.repeat(30));
const ENCODERS: Readonly<Record<string, (body: Buffer) => Buffer>> = {
  gzip: (body) => zlib.gzipSync(body),
  br: (body) => zlib.brotliCompressSync(body),
  zstd: (body) => zlib.zstdCompressSync(body),
  deflate: (body) => zlib.deflateSync(body),
  both: (body) => zlib.brotliCompressSync(zlib.gzipSync(body)),
};
const NOISE = Buffer.from('this is not compressed at all, but says so');
const ZEROS = Buffer.alloc(1_000_000);
/** Bodies by name. */
const BODIES: Readonly<Record<string, () => Buffer>> = {
  plain: () => TEXT,
  empty: () => Buffer.alloc(0),
  noise: () => NOISE,
  ...Object.fromEntries(Object.entries(ENCODERS).map(([name, encode]) => [name, () => encode(TEXT)])),
  ...Object.fromEntries(
    Object.entries(ENCODERS).map(([name, encode]) => [`cut ${name}`, () => encode(TEXT).subarray(0, 40)]),
  ),
  ...Object.fromEntries(
    Object.entries(ENCODERS).map(([name, encode]) => [`long ${name}`, () => Buffer.concat([encode(TEXT), NOISE])]),
  ),
  ...Object.fromEntries(
    Object.entries(ENCODERS).map(([name, encode]) => [
      `broken ${name}`,
      () => {
        const body = encode(TEXT);
        body.fill(0xff, 20, 30);
        return body;
      },
    ]),
  ),
  ...Object.fromEntries(Object.entries(ENCODERS).map(([name, encode]) => [`bomb ${name}`, () => encode(ZEROS)])),
};

interface Case {
  readonly listener: string;
  readonly accept?: string;
  readonly request?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly response?: Readonly<Record<string, string>>;
  readonly responseBody?: string;
  readonly chunked?: boolean;
  readonly trailers?: boolean;
  readonly status?: number;
  /** How much of a bomb, or of a body that is malformed, is let through goes by how reads are cut. */
  readonly ignoresLength?: boolean;
}

const ENCODINGS: readonly (readonly [string, string])[] = [
  ['gzip', 'gzip'],
  ['GZip', 'gzip'],
  [' gzip ', 'gzip'],
  ['br', 'br'],
  ['zstd', 'zstd'],
  ['deflate', 'deflate'],
  ['identity', 'plain'],
  ['', 'plain'],
  ['gzip', 'noise'],
  ['br', 'noise'],
  ['zstd', 'noise'],
  ['gzip', 'empty'],
  ['br, gzip', 'both'],
  ['gzip, br', 'gzip'],
  ['gzip ,, br', 'gzip'],
  ['gzip,', 'gzip'],
  ['x-gzip', 'gzip'],
  ['gzip', 'cut gzip'],
  ['br', 'cut br'],
  ['zstd', 'cut zstd'],
  ['br', 'long br'],
];
const CASES: readonly Case[] = [
  ...[
    undefined,
    '',
    'gzip',
    'gzip;q=0.3',
    'br',
    'br , gzip;q=0, *',
    'x-gzip',
    'GZIP',
    'identity,,gzip',
    'a;q=1, b',
  ].flatMap((accept): Case[] =>
    ['all', 'gzip', 'requests', 'responses', 'silent'].map((name) => ({
      listener: name,
      ...(accept !== undefined && { accept }),
    })),
  ),
  ...ENCODINGS.flatMap(([encoding, body]): Case[] => [
    { listener: 'all', response: { 'content-encoding': encoding }, responseBody: body },
    { listener: 'all', request: { 'content-encoding': encoding }, body },
    { listener: 'requests', response: { 'content-encoding': encoding }, responseBody: body },
    { listener: 'responses', request: { 'content-encoding': encoding }, body },
  ]),
  ...['gzip', 'br', 'zstd'].flatMap((encoding): Case[] => [
    { listener: 'all', response: { 'content-encoding': encoding }, responseBody: encoding, chunked: true },
    {
      listener: 'all',
      response: { 'content-encoding': encoding },
      responseBody: encoding,
      chunked: true,
      trailers: true,
    },
    {
      listener: 'all',
      response: { 'content-encoding': encoding },
      responseBody: `bomb ${encoding}`,
      ignoresLength: true,
    },
  ]),
  ...['no-transform', 'public, No-Transform', 'no-transformation'].flatMap((control): Case[] =>
    ['gzip', 'ignoring'].flatMap((name): Case[] => [
      {
        listener: name,
        response: { 'content-encoding': 'gzip', 'cache-control': control },
        responseBody: 'gzip',
      },
      { listener: name, request: { 'content-encoding': 'gzip', 'cache-control': control }, body: 'gzip' },
    ]),
  ),
  { listener: 'gzip', status: 204, response: { 'content-encoding': 'gzip' }, responseBody: 'empty' },
  ...['broken gzip', 'long gzip'].map((responseBody): Case => ({
    listener: 'all',
    response: { 'content-encoding': 'gzip' },
    responseBody,
    ignoresLength: true,
  })),
  { listener: 'tight', response: { 'content-encoding': 'gzip' }, responseBody: 'gzip', ignoresLength: true },
];

const UNCOMPARED = ['date', 'x-envoy-upstream-service-time', 'server'];
const text = (body: Buffer): string => body.toString('latin1');

describe.skipIf(envoy === undefined)('the decompressor beside Envoy', () => {
  let upstream: Server;
  /** What the upstream saw of the last request. */
  let seen: { headers: IncomingHttpHeaders; body: string; trailers: object } | undefined;
  const proxies: ProxyProcess[] = [];

  beforeAll(async () => {
    upstream = createServer((incoming, outgoing) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('end', () => {
        const { headers } = incoming;
        seen = { headers, body: text(Buffer.concat(chunks)), trailers: incoming.trailers };
        const wanted = JSON.parse(String(headers['x-case'])) as Case;
        const body = BODIES[wanted.responseBody ?? 'plain']!();
        const given: Record<string, string> = { 'content-type': 'text/plain', ...wanted.response };
        if (given['content-encoding'] === '') delete given['content-encoding'];
        if (wanted.chunked !== true && wanted.status !== 204) given['content-length'] = String(body.length);
        if (wanted.trailers === true) given['trailer'] = 'x-end';
        outgoing.writeHead(wanted.status ?? 200, given);
        if (wanted.trailers === true) outgoing.addTrailers({ 'x-end': '1' });
        if (wanted.chunked === true) {
          outgoing.write(body.subarray(0, 20));
          outgoing.end(body.subarray(20));
        } else outgoing.end(body);
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
    const body = wanted.body === undefined ? undefined : BODIES[wanted.body]!();
    const sent = request({
      host: '127.0.0.1',
      port: proxy.ports.get(wanted.listener)!,
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        'x-case': JSON.stringify(wanted),
        ...(body !== undefined && { 'content-length': String(body.length) }),
        ...(wanted.accept !== undefined && { 'accept-encoding': wanted.accept }),
        ...wanted.request,
      },
      agent: false,
    });
    sent.end(body);
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const received = text(Buffer.concat(chunks));
    const { 'accept-encoding': accept, 'content-encoding': encoding, 'content-length': length } = seen!.headers;
    return {
      status: response.statusCode,
      headers: Object.entries(response.headers)
        .filter(([name]) => !UNCOMPARED.includes(name))
        .toSorted(),
      ...(wanted.ignoresLength === true
        ? { isCut: received.length < ZEROS.length / 2 }
        : { body: received, trailers: response.trailers }),
      upstream: { accept, encoding, length, body: seen!.body, trailers: seen!.trailers },
    };
  }

  test.each(CASES.map((each) => [JSON.stringify(each), each] as const))('%s', async (_, wanted) => {
    const [theirs, ours] = [await exchange(proxies[0]!, wanted), await exchange(proxies[1]!, wanted)];
    expect(ours).toEqual(theirs);
  });

  test('counts alike', async () => {
    // What the libraries count of errors is theirs; that they count is not.
    const counters = async (proxy: ProxyProcess): Promise<readonly (readonly [string, number])[]> =>
      [...(await proxy.counters())]
        .filter(([name]) => /\.decompressor\..*(?<!_bytes)$/.test(name) && !name.includes('.decompressor_library.'))
        .toSorted();
    const theirs = await counters(proxies[0]!);
    expect(theirs.length).toBeGreaterThan(20);
    expect(await counters(proxies[1]!)).toEqual(theirs);
  });
});
