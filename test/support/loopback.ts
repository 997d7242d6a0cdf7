import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

/** The scripts that run real control planes. */
export const TOOL_SCRIPTS = join(import.meta.dirname, '../tools');

/**
 * Whether this machine lets us run programs in a network namespace with only a loopback interface. Says so when it
 * doesn't; where OUTRIGGER_REQUIRE_TOOLS is set (CI), that is an error.
 */
export function hasLoopbackNamespaces(): boolean {
  const { status, stderr } = spawnSync(join(TOOL_SCRIPTS, 'loopback.sh'), ['true'], { encoding: 'utf8' });
  if (status === 0) return true;
  const message = `network namespaces cannot be made: ${stderr}`;
  if (process.env['OUTRIGGER_REQUIRE_TOOLS'] === '1') throw new Error(message);
  console.warn(`skipped: ${message}`);
  return false;
}
