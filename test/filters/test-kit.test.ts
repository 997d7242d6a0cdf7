import { describe, expect, test } from 'vitest';
import {
  CollectBody,
  Continue,
  defineHttpFilter,
  Detach,
  jsonConfig,
  testFilter,
  type HttpFilter,
} from '../../src/index.ts';

/** A filter of these hooks. */
const hooks = (filter: HttpFilter) =>
  defineHttpFilter({ name: 'hooks', config: jsonConfig<object>({ type: 'object' }), create: () => () => filter });
const message = { headers: { ':path': '/' }, body: ['ab', 'cd'], trailers: { t: '1' } };

describe('the test kit', () => {
  test('a filter without hooks passes everything', async () => {
    const t = await testFilter(hooks({}));
    const { headers, body, chunks, trailers, reply } = await t.request(message);
    expect([headers?.toList(), body, chunks.length, trailers?.toList(), reply]).toEqual([
      [[':path', '/']],
      'abcd',
      2,
      [['t', '1']],
      undefined,
    ]);
  });

  test('tells the end of the stream to the last event', async () => {
    const seen: unknown[] = [];
    const t = await testFilter(
      hooks({
        onRequestHeaders: (_, endStream) => (seen.push(['headers', endStream]), Continue),
        onRequestData: (chunk, endStream) => (seen.push([chunk.toString(), endStream]), Continue),
      }),
    );
    await t.request({ headers: {} });
    await t.request({ headers: {}, body: ['a', 'b'] });
    await t.request({ headers: {}, body: 'c', trailers: {} });
    expect(seen).toEqual([
      ['headers', true],
      ['headers', false],
      ['a', false],
      ['b', true],
      ['headers', false],
      ['c', false],
    ]);
  });

  test('collects, replaces, swallows', async () => {
    const t = await testFilter(
      hooks({
        onRequestHeaders: () => CollectBody,
        onRequestData: (body) => Buffer.from(body.toString().toUpperCase()),
        onResponseData: (chunk) => (chunk.toString() === 'ab' ? Buffer.alloc(0) : Continue),
      }),
    );
    expect((await t.request(message)).chunks.map(String)).toEqual(['ABCD']);
    expect((await t.response(message)).chunks.map(String)).toEqual(['cd']);
  });

  test('detached hooks see nothing more', async () => {
    let calls = 0;
    const t = await testFilter(
      hooks({
        onRequestData: () => (calls++, Detach),
        onRequestTrailers: () => (calls++, Continue),
        onResponseHeaders: () => Detach,
        onResponseData: () => (calls++, Continue),
      }),
    );
    expect((await t.request(message)).body).toBe('abcd');
    expect((await t.response(message)).body).toBe('abcd');
    expect(calls).toBe(1);
  });

  test.each(['onRequestHeaders', 'onRequestData', 'onRequestTrailers'] as const)('%s may answer', async (hook) => {
    const t = await testFilter(hooks({ [hook]: () => ({ status: 403, details: 'no' }) }));
    const { headers, body, reply } = await t.request(message);
    expect([headers, body, reply]).toEqual([undefined, '', { status: 403, details: 'no' }]);
  });

  test('a hook that throws fails the test', async () => {
    const t = await testFilter(
      hooks({
        onRequestHeaders() {
          throw new Error('oops');
        },
      }),
    );
    await expect(t.request(message)).rejects.toThrow('oops');
  });

  test('ends once', async () => {
    let destroyed = 0;
    const t = await testFilter(hooks({ onDestroy: () => void destroyed++ }));
    t.end();
    t.end();
    expect(destroyed).toBe(1);
  });
});
