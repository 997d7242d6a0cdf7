import { expect, test } from 'vitest';
import { TypeRegistry } from '../../src/api/type-registry.ts';
import { loadBootstrap } from '../../src/config/bootstrap.ts';
import { buildStaticResources } from '../../src/config/static-resources.ts';
import { builtinFilterRegistries } from '../../src/filters/filter-registries.ts';
import { bootstrapWithListener, LISTENER_VERDICTS } from '../support/listener-verdicts.ts';

const registry = new TypeRegistry();

/** A real Envoy is held to the same list by test/differential/listener-verdicts.test.ts. */
test.each(LISTENER_VERDICTS)('%s %s', async (verdict, _, fields) => {
  const loaded = await loadBootstrap({ config: bootstrapWithListener(fields), registry });
  const { problems } = await buildStaticResources(loaded, builtinFilterRegistries());
  const errors = problems.filter(({ severity }) => severity === 'error');
  if (verdict === 'accepts') expect(errors).toEqual([]);
  else expect(errors).not.toEqual([]);
});
