import { writeFileSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { setFlagsFromString } from 'node:v8';

// bin/outrigger starts this thread with a small young generation. The flag would go before what workers ask for.
setFlagsFromString('--max-semi-space-size=0');

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
