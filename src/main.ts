import { writeFileSync } from 'node:fs';
import { enableCompileCache } from 'node:module';

// Keeps the compiled modules on disk, where that is possible.
enableCompileCache();
const { run } = await import('./cli/run.ts');
const status = await run(
  process.argv.slice(2),
  async () => ({
    ...(await import('./server/start-server.ts')),
    ...(await import('./server/validate-config.ts')),
  }),
  {
    out: (text) => writeFileSync(1, text),
    error: (text) => writeFileSync(2, text),
  },
);
if (status !== undefined) process.exitCode = status;
