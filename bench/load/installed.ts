import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** The path of an installed program. */
export function installed(name: string): string | undefined {
  const cache = process.env['OUTRIGGER_TOOLS'] ?? join(homedir(), '.cache/outrigger-tools');
  const dirs = [join(cache, 'bin'), ...(process.env['PATH'] ?? '').split(':'), '/usr/sbin'];
  return dirs.map((dir) => join(dir, name)).find((path) => existsSync(path));
}
