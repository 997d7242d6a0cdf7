// Builds dist/, what the published package and the image run: src/ compiled by tsc, and the generated API beside it.
import { execFileSync } from 'node:child_process';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
rmSync(join(root, 'dist'), { recursive: true, force: true });
execFileSync(process.execPath, [join(root, 'tools/generate-api.mjs')], { stdio: 'inherit' });
execFileSync(join(root, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' });
cpSync(join(root, 'src/api/generated'), join(root, 'dist/api/generated'), { recursive: true });
