import { defineConfig } from 'vitest/config';

export default defineConfig({
  // `import ... from 'outrigger'` (examples, users' filters) means the sources here.
  ssr: { resolve: { conditions: ['outrigger-source', 'node', 'import', 'default'] } },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/differential/**', 'test/interop/**', 'test/conformance/tools/**'],
    pool: 'threads',
    maxWorkers: '100%',
    // Modules keep no state, so the files of a thread can share them: a third of the time.
    isolate: false,
    testTimeout: 10_000,
  },
});
