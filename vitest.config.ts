import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/differential/**', 'test/interop/**'],
    pool: 'threads',
    testTimeout: 10_000,
  },
});
