import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTypescriptFilter } from '../../../src/filters/http/typescript.ts';
import { testFilter } from '../../../src/filters/test-kit.ts';

const examples = join(import.meta.dirname, '../../../examples/filters');
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'typescript-filter-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function module(name: string, source: string): string {
  const path = join(folder, name);
  writeFileSync(path, source);
  return path;
}

const problem = async (config: object): Promise<string> => {
  const error = await testFilter(createTypescriptFilter(), { config }).catch((caught: unknown) => caught);
  expect(error).toMatchObject({ name: 'ConfigError' });
  return (error as Error).message;
};

describe('filters from TypeScript files', () => {
  test("the module's filter is the stream's filter", async () => {
    using t = await testFilter(createTypescriptFilter(), {
      config: { path: join(examples, 'hello.ts'), config: { greeting: 'hi' } },
    });
    expect((await t.response({ headers: { ':status': '200' } })).headers?.get('x-hello')).toBe('hi');
    expect(t.filter?.onRequestHeaders).toBeUndefined();
  });

  test("config and route config go through the filter's schema", async () => {
    const path = join(examples, 'require-key.ts');
    using t = await testFilter(createTypescriptFilter(), {
      config: { path, config: { keys: { k: 'alice' } } },
      routeConfig: { config: { keys: { r: 'root' } } },
    });
    expect((await t.request({ headers: { 'x-api-key': 'k' } })).reply?.status).toBe(401);
    expect((await t.request({ headers: { 'x-api-key': 'r' } })).headers?.get('x-key-owner')).toBe('root');
    expect(await problem({ path, config: { kesy: {} } })).toBe(
      "must have required property 'keys'; must NOT have additional properties 'kesy'",
    );
    expect(await problem({ path, config: { keys: { a: 1 } } })).toBe('keys.a must be string');
  });

  test('the schema in the config comes on top', async () => {
    const path = join(examples, 'hello.ts');
    const schema = { type: 'object', required: ['greeting'] };
    expect(await problem({ path, schema })).toBe("must have required property 'greeting'");
    expect(await problem({ path, schema: { type: 'nothing' } })).toMatch(/^invalid JSON Schema/);
  });

  test('what can be wrong with a file names the file', async () => {
    expect(await problem({ path: join(folder, 'none.ts') })).toContain('none.ts');
    const empty = module('empty.mjs', 'export const other = 1; export const filter = {};');
    expect(await problem({ path: empty })).toBe(`${empty}: export 'filter' is not what defineHttpFilter() returns`);
    expect(await problem({ path: empty, export: 'x' })).toBe(`${empty} has no export 'x'; it has filter, other`);
    const throwing = module(
      'throwing.mjs',
      "export const filter = { name: 'x', config: { typeName: 'google.protobuf.Struct' }, create() { throw new Error('no'); } };",
    );
    expect(await problem({ path: throwing })).toBe(`${throwing}: no`);
  });
});
