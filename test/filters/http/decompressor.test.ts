import zlib from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { BrotliSchema } from '../../../src/api/generated/envoy/extensions/compression/brotli/decompressor/v3/brotli_pb.js';
import { GzipSchema } from '../../../src/api/generated/envoy/extensions/compression/gzip/decompressor/v3/gzip_pb.js';
import { ZstdSchema } from '../../../src/api/generated/envoy/extensions/compression/zstd/decompressor/v3/zstd_pb.js';
import { decompressor } from '../../../src/filters/http/decompressor.ts';
import { testFilter, type FilterTestOptions } from '../../../src/filters/test-kit.ts';

const library = (name: string, fields: object = {}) => ({
  name: 'Lib',
  typedConfig: {
    '@type': `type.googleapis.com/envoy.extensions.compression.${name.toLowerCase()}.decompressor.v3.${name}`,
    ...fields,
  },
});
const start = (config: object = {}, options: FilterTestOptions = {}) =>
  testFilter(decompressor, {
    ...options,
    types: [GzipSchema, BrotliSchema, ZstdSchema],
    config: { decompressorLibrary: library('Gzip'), ...config },
  });
const TEXT = Array.from({ length: 5000 }, (_, i) => `line ${i}`).join('\n');
const ok = (body: Buffer | Buffer[], headers: Record<string, string> = {}) => ({
  headers: { ':status': '200', ...headers },
  body,
});
/** Cut into pieces of so many bytes. */
const cut = (body: Buffer, size: number): Buffer[] =>
  Array.from({ length: Math.ceil(body.length / size) }, (_, i) => body.subarray(i * size, (i + 1) * size));

describe('decompressor', () => {
  test.each([
    ['Gzip', 'gzip', zlib.gzipSync],
    ['Brotli', 'br', zlib.brotliCompressSync],
    ['Zstd', 'zstd', zlib.zstdCompressSync],
  ] as const)('%s: a whole body, chunks, and chunks with trailers', async (name, encoding, encode) => {
    const compressed = encode(Buffer.from(TEXT));
    for (const body of [[compressed], cut(compressed, 300), cut(encode(Buffer.from('short')), 1)]) {
      for (const trailers of [undefined, { 'x-a': '1' }]) {
        using t = await start({ decompressorLibrary: library(name) });
        const headers = { 'content-length': '1234', 'content-encoding': encoding };
        const response = await t.response({ ...ok(body, headers), ...(trailers && { trailers }) });
        expect(response.headers?.toList()).toEqual([[':status', '200']]);
        expect(response.body).toBe(body[0]!.length > 1 ? TEXT : 'short');
        const told = response.trailers?.get('x-envoy-decompressor-lib-uncompressed-bytes');
        expect(told).toBe(String(Buffer.byteLength(response.body)));
        expect(t.stat(`http.test.decompressor.Lib.${name.toLowerCase()}.response.decompressed`)).toBe(1);
      }
    }
  });

  test('requests are decompressed, too, and upstreams told what responses may be', async () => {
    using t = await start();
    const request = await t.request({
      headers: { ':method': 'POST', ':path': '/', 'accept-encoding': 'br, gzip;q=0.1', 'content-encoding': 'gzip, br' },
      body: zlib.gzipSync('text'),
    });
    expect(request.body).toBe('text');
    expect(request.headers!.get('accept-encoding')).toBe('br,gzip');
    expect(request.headers!.get('content-encoding')).toBe('br');
    expect(request.trailers!.get('x-envoy-decompressor-lib-compressed-bytes')).toBe(
      String(zlib.gzipSync('text').length),
    );
  });

  test.each<[string, object, Record<string, string>]>([
    ['by config', { responseDirectionConfig: { commonConfig: { enabled: { defaultValue: false } } } }, {}],
    ['by its sender', {}, { 'cache-control': 'No-Transform' }],
    ['for another encoding', {}, { 'content-encoding': 'br, gzip' }],
  ])('a body is left alone %s', async (_, config, headers) => {
    using t = await start(config);
    const body = zlib.gzipSync('text');
    const response = await t.response(ok(body, { 'content-encoding': 'gzip', ...headers }));
    expect(Buffer.concat(response.chunks)).toEqual(body);
    expect(response.trailers).toBeUndefined();
    expect(t.stat('http.test.decompressor.Lib.gzip.response.not_decompressed')).toBe(1);
  });

  test.each([
    ['a bomb', [zlib.gzipSync(Buffer.alloc(50 << 20))], 200 * 50_000],
    ['a bomb in pieces', cut(zlib.gzipSync(Buffer.alloc(50 << 20)), 5000), 101 * 5000 * 2],
    ['no gzip at all', [Buffer.from('not at all')], 0],
    [
      'one that breaks',
      [zlib.gzipSync(TEXT).subarray(0, 40), Buffer.from('more, and more'), Buffer.from('still')],
      10_000,
    ],
  ])('%s ends early, and what follows is dropped', async (_, chunks, most) => {
    using t = await start();
    const response = await t.response(ok(chunks, { 'content-encoding': 'gzip' }));
    expect(Buffer.concat(response.chunks).length).toBeLessThanOrEqual(most);
    expect(t.stat('http.test.decompressor.Lib.gzip.decompressor_library.zlib_data_error')).toBe(1);
  });

  test('a body that ends too early is let through as far as it goes', async () => {
    using t = await start();
    const text = Array.from({ length: 500 }, (_, i) => `line ${i}`).join('\n');
    const response = await t.response(ok(zlib.gzipSync(text).subarray(0, 700), { 'content-encoding': 'gzip' }));
    expect(response.body.length).toBeGreaterThan(100);
    expect(text.startsWith(response.body)).toBe(true);
  });

  test.each([
    [{ decompressorLibrary: { name: 'x' } }, /Didn't find a registered implementation for 'x'/],
    [{ decompressorLibrary: library('Zstd', { dictionaries: [{ inlineString: 'x' }] }) }, /dictionaries/],
  ])('is refused: %j', async (config, message) => {
    await expect(start(config)).rejects.toThrow(message);
  });
});
