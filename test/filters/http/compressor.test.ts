import zlib from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { BrotliSchema } from '../../../src/api/generated/envoy/extensions/compression/brotli/compressor/v3/brotli_pb.js';
import { GzipSchema } from '../../../src/api/generated/envoy/extensions/compression/gzip/compressor/v3/gzip_pb.js';
import { ZstdSchema } from '../../../src/api/generated/envoy/extensions/compression/zstd/compressor/v3/zstd_pb.js';
import { compressor } from '../../../src/filters/http/compressor.ts';
import { testFilter, type FilterTestOptions } from '../../../src/filters/test-kit.ts';

const library = (name: string, fields: object = {}) => ({
  name: 'lib',
  typedConfig: {
    '@type': `type.googleapis.com/envoy.extensions.compression.${name.toLowerCase()}.compressor.v3.${name}`,
    ...fields,
  },
});
const start = (options: FilterTestOptions & { config?: object } = {}) =>
  testFilter(compressor, {
    ...options,
    types: [GzipSchema, BrotliSchema, ZstdSchema],
    config: { compressorLibrary: library('Gzip'), responseDirectionConfig: {}, ...options.config },
  });
const TEXT = 'to be compressed, '.repeat(100);
const ok = (headers: Record<string, string> = {}, body: string | string[] = TEXT) => ({
  headers: { ':status': '200', 'content-type': 'text/plain', ...headers },
  body,
});
const get = (accept?: string) => ({
  headers: { ':method': 'GET', ':path': '/', ...(accept !== undefined && { 'accept-encoding': accept }) },
});
const all = (chunks: readonly Buffer[]): Buffer => Buffer.concat(chunks);

describe('compressor', () => {
  test.each([
    ['Gzip', 'gzip', zlib.gunzipSync],
    ['Brotli', 'br', zlib.brotliDecompressSync],
    ['Zstd', 'zstd', zlib.zstdDecompressSync],
  ] as const)('%s: a whole body, chunks, and chunks with trailers', async (name, encoding, decode) => {
    const config = { compressorLibrary: library(name) };
    for (const body of [[TEXT], [TEXT, 'and more, '.repeat(50), ''], ['x'.repeat(40_000)]]) {
      for (const trailers of [undefined, { 'x-a': '1' }]) {
        using t = await start({ config });
        await t.request(get(encoding));
        const response = await t.response({ ...ok({ 'content-length': '1800' }, body), ...(trailers && { trailers }) });
        expect(response.headers?.toList()).toEqual([
          [':status', '200'],
          ['content-type', 'text/plain'],
          ['content-encoding', encoding],
          ['vary', 'Accept-Encoding'],
        ]);
        expect(decode(all(response.chunks)).toString()).toBe(body.join(''));
      }
    }
  });

  test('what was received can be read before more comes', async () => {
    using t = await start();
    await t.request(get('gzip'));
    const { chunks } = await t.response(ok({}, ['first', 'second', 'third']));
    expect(zlib.gunzipSync(chunks[0]!, { finishFlush: zlib.constants.Z_SYNC_FLUSH }).toString()).toBe('first');
  });

  test.each<[string, Record<string, string>, boolean]>([
    ['too short', { 'content-length': '29' }, false],
    ['just long enough', { 'content-length': '30' }, true],
    ['another type', { 'content-type': 'image/png' }, false],
    ['a type with parameters', { 'content-type': 'Text/HTML; charset=utf-8' }, true],
    ['compressed already', { 'content-encoding': 'br' }, false],
    ['no-transform', { 'cache-control': 'public, No-Transform' }, false],
    ['compressed by the transfer', { 'transfer-encoding': 'gzip, chunked' }, false],
    ['a strong etag', { etag: '"abc"' }, true],
  ])('%s: compressed = %s', async (_, headers, compressed) => {
    using t = await start();
    await t.request(get('gzip'));
    const response = await t.response(ok(headers));
    expect(response.headers?.get('content-encoding') === 'gzip').toBe(compressed);
    expect(response.body === TEXT).toBe(!compressed);
  });

  test('etags: a strong one goes, a weak one stays, and both may forbid it', async () => {
    for (const [etag, left] of [
      ['"abc"', undefined],
      ['W/"abc"', 'W/"abc"'],
    ] as const) {
      using t = await start();
      await t.request(get('gzip'));
      expect((await t.response(ok({ etag }))).headers?.get('etag')).toBe(left);
    }
    using off = await start({ config: { responseDirectionConfig: { disableOnEtagHeader: true } } });
    await off.request(get('gzip'));
    expect((await off.response(ok({ etag: '"a"' }))).headers?.get('content-encoding')).toBeUndefined();
    expect(off.stat('http.test.compressor.lib.gzip.not_compressed_etag')).toBe(1);
  });

  test('vary: added once, also for those who do not accept', async () => {
    using t = await start();
    await t.request(get());
    expect((await t.response(ok({ vary: 'Origin' }))).headers?.get('vary')).toBe('Origin, Accept-Encoding');
    using again = await start();
    await again.request(get('gzip'));
    expect((await again.response(ok({ vary: 'Accept-Encoding' }))).headers?.get('vary')).toBe('Accept-Encoding');
  });

  test('per route: off, on, and the header taken from the request', async () => {
    using off = await start({ routeConfig: { disabled: true } });
    await off.request(get('gzip'));
    expect((await off.response(ok())).body).toBe(TEXT);
    using on = await start({
      config: { responseDirectionConfig: { commonConfig: { enabled: { defaultValue: false, runtimeKey: 'k' } } } },
      routeConfig: { overrides: { responseDirectionConfig: { removeAcceptEncodingHeader: true } } },
    });
    expect((await on.request(get('gzip'))).headers?.has('accept-encoding')).toBe(false);
    expect((await on.response(ok())).headers?.get('content-encoding')).toBe('gzip');
  });

  test('requests, where they are configured', async () => {
    const post = { headers: { ':method': 'POST', 'content-type': 'text/plain', 'content-length': '1800' }, body: TEXT };
    using t = await start({ config: { requestDirectionConfig: {} } });
    const request = await t.request(post);
    expect(request.headers?.get('content-encoding')).toBe('gzip');
    expect(request.headers?.has('content-length')).toBe(false);
    expect(zlib.gunzipSync(all(request.chunks)).toString()).toBe(TEXT);
    using off = await start();
    expect((await off.request(post)).body).toBe(TEXT);
  });

  test('an unknown library is refused', async () => {
    await expect(start({ config: { compressorLibrary: { name: 'x' } } })).rejects.toThrow(/registered implementation/);
  });
});
