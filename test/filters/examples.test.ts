import { describe, expect, test } from 'vitest';
import { filter as hello } from '../../examples/filters/hello.ts';
import { filter as redact } from '../../examples/filters/redact.ts';
import { filter as requireKey } from '../../examples/filters/require-key.ts';
import { testFilter } from '../../src/index.ts';

describe('examples/filters', () => {
  test('hello', async () => {
    using t = await testFilter(hello);
    expect((await t.response({ headers: { ':status': '200' } })).headers?.get('x-hello')).toBe('hello');
  });

  test('require-key', async () => {
    using t = await testFilter(requireKey, { config: { keys: { k1: 'alice' } } });
    const { headers } = await t.request({ headers: { ':path': '/', 'x-api-key': 'k1' } });
    expect(headers?.toList()).toEqual([
      [':path', '/'],
      ['x-key-owner', 'alice'],
    ]);
    expect(t.info.dynamicMetadata.get('require-key')).toEqual({ owner: 'alice' });
    expect((await t.next().request({ headers: { ':path': '/' } })).reply).toMatchObject({ status: 401 });
    expect(t.stat('http.test.require_key.denied')).toBe(1);
  });

  test('redact', async () => {
    using t = await testFilter(redact);
    const json = { ':status': '200', 'content-type': 'application/json' };
    const { headers, body } = await t.response({ headers: json, body: ['{"card":"41111111', '11111111"}'] });
    expect(body).toBe('{"card":"****"}');
    expect(headers?.get('content-length')).toBe('15');
    using other = t.next();
    const text = await other.response({ headers: { ':status': '200' }, body: '4111111111111111' });
    expect(text.body).toBe('4111111111111111');
  });
});
