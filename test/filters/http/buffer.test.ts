import { describe, expect, test } from 'vitest';
import { buffer } from '../../../src/filters/http/buffer.ts';
import { testFilter, type FilterTestOptions } from '../../../src/filters/test-kit.ts';

const post = (body: string | string[], headers: Record<string, string> = {}) => ({
  headers: { ':method': 'POST', ':path': '/', ...headers },
  body,
});
const bufferTest = (options: FilterTestOptions = {}) =>
  testFilter(buffer, { config: { maxRequestBytes: 10 }, ...options });

describe('buffer', () => {
  test('gathers a body and tells its length', async () => {
    using t = await bufferTest();
    const { headers, chunks, body } = await t.request(post(['123', '456', '7890'], { 'transfer-encoding': 'chunked' }));
    expect(headers?.toList()).toEqual([
      [':method', 'POST'],
      [':path', '/'],
      ['content-length', '10'],
    ]);
    expect(chunks).toHaveLength(1);
    expect(body).toBe('1234567890');
  });

  test('a length that is there stays', async () => {
    using t = await bufferTest();
    expect((await t.request(post('12', { 'content-length': '2' }))).headers?.getAll('content-length')).toEqual(['2']);
  });

  test('refuses what is too large', async () => {
    using t = await bufferTest();
    expect((await t.request(post(['123456', '78901']))).reply).toMatchObject({
      status: 413,
      details: 'request_payload_too_large',
    });
  });

  test('a request without a body passes', async () => {
    using t = await bufferTest();
    expect((await t.request({ headers: { ':method': 'GET' } })).headers?.size).toBe(0);
  });

  test('per route: another limit, or none', async () => {
    using t = await bufferTest({ routeConfig: { buffer: { maxRequestBytes: 3 } } });
    expect((await t.request(post('1234'))).reply?.status).toBe(413);
    using off = await bufferTest({ routeConfig: { disabled: true } });
    expect(off.filter).toBeUndefined();
  });
});
