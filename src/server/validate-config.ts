import type { LoadedBootstrap } from '../config/bootstrap.ts';
import type { Problem } from '../config/problem.ts';
import { buildStaticResources } from '../config/static-resources.ts';
import { builtinFilterRegistries } from '../filters/filter-registries.ts';

/** Builds every resource of a bootstrap and returns what the builders refuse or don't support. */
export async function validateConfig(loaded: LoadedBootstrap): Promise<readonly Problem[]> {
  return (await buildStaticResources(loaded, builtinFilterRegistries())).problems;
}
