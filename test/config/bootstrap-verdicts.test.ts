import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TypeRegistry } from '../../src/api/type-registry.ts';
import { loadBootstrap } from '../../src/config/bootstrap.ts';
import { formatProblem } from '../../src/config/format-problem.ts';
import { ACCEPTED, DIFFERENT, REFUSED } from '../support/bootstrap-verdicts.ts';

const registry = new TypeRegistry();
let dir = '';
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'verdicts-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

async function errorsOf(text: string): Promise<string[]> {
  const file = join(dir, text.trimStart().startsWith('{') ? 'bootstrap.json' : 'bootstrap.yaml');
  writeFileSync(file, text);
  const { problems } = await loadBootstrap({ configPath: file, registry });
  return problems.filter((problem) => problem.severity === 'error').map(formatProblem);
}

describe('a bootstrap is accepted or refused as by Envoy', () => {
  test.each(ACCEPTED)('accepts %s', async (text) => {
    expect(await errorsOf(text)).toEqual([]);
  });

  test.each(REFUSED)('refuses %s', async (text) => {
    expect(await errorsOf(text)).not.toEqual([]);
  });

  test.each(DIFFERENT)('means to differ: $text', async ({ text, envoy }) => {
    expect((await errorsOf(text)).length > 0 ? 'refuses' : 'accepts').not.toBe(envoy);
  });
});
