import { defineConfig } from 'vitest/config';

/** The suites that need real programs (Envoy, promtool, ...). Without a tool they skip, saying so; in CI they fail. */
export default defineConfig({
  test: {
    include: ['differential', 'interop', 'conformance/tools'].map((folder) => `test/${folder}/**/*.test.ts`),
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
