// npm run bench:micro [-- NAME]: runs the micro-benchmarks beside this file, one after the other.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

const wanted = process.argv[2] ?? '';
for (const file of readdirSync(import.meta.dirname).sort()) {
  if (!file.endsWith('.ts') || file === 'run.ts' || !file.includes(wanted)) continue;
  console.log(`\n== ${file}`);
  spawnSync(process.execPath, [join(import.meta.dirname, file)], { stdio: 'inherit' });
}
