import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const cache = process.env['OUTRIGGER_TOOLS'] ?? join(homedir(), '.cache/outrigger-tools');

/**
 * The path of a real program that a suite needs (test/tools/install-tools.sh installs them), or undefined with a line
 * saying that the suite is skipped. `installedAs`: what install-tools.sh calls it. Where OUTRIGGER_REQUIRE_TOOLS is set (CI), a missing one is an error.
 */
export function findTool(name: string, installedAs = name): string | undefined {
  const candidates = [
    join(cache, 'bin', name),
    ...(process.env['PATH'] ?? '').split(':').map((dir) => join(dir, name)),
  ];
  const found = candidates.find((path) => existsSync(path));
  if (found === undefined) {
    const message = `${name} is not installed (test/tools/install-tools.sh ${installedAs})`;
    if (process.env['OUTRIGGER_REQUIRE_TOOLS'] === '1') throw new Error(message);
    console.warn(`skipped: ${message}`);
  }
  return found;
}
