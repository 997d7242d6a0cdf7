import { registerHooks } from 'node:module';

/** The package's own entry: index.ts here, index.js in the published package. */
const entry = new URL(import.meta.url.endsWith('.ts') ? '../index.ts' : 'index.js', import.meta.url).href;

/**
 * Has `import ... from 'outrigger'` mean this very package wherever the importing file lies: a filter mounted into a
 * container has no node_modules beside it, and another copy of the package would be of no use to it. For this thread;
 * returns how to undo it.
 */
export function resolveOwnPackage(): () => void {
  const hooks = registerHooks({
    resolve: (specifier, context, next) =>
      specifier === 'outrigger' ? { url: entry, shortCircuit: true } : next(specifier, context),
  });
  return () => hooks.deregister();
}
