import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { TypeRegistry } from '../../../../src/api/type-registry.ts';
import { loadBootstrap } from '../../../../src/config/bootstrap.ts';
import { buildStaticResources } from '../../../../src/config/static-resources.ts';
import { builtinFilterRegistries } from '../../../../src/filters/filter-registries.ts';
import { tlsVerdicts } from '../../../support/tls-verdicts.ts';

const dir = mkdtempSync(join(tmpdir(), 'tls-verdicts-'));
afterAll(() => rmSync(dir, { recursive: true }));

const registry = new TypeRegistry();
const filters = builtinFilterRegistries();

async function errorsOf(yaml: string): Promise<string[]> {
  const loaded = await loadBootstrap({ configYaml: yaml, registry });
  const { problems } = await buildStaticResources(loaded, filters);
  return problems.filter(({ severity }) => severity === 'error').map(({ message }) => message);
}

describe("TLS contexts are accepted or refused as by Envoy, in Envoy's words", () => {
  test.each(tlsVerdicts(dir))('$name', async ({ yaml, error }) => {
    const errors = await errorsOf(yaml);
    if (error === '') expect(errors).toEqual([]);
    else expect(errors).toContain(error);
  });
});
