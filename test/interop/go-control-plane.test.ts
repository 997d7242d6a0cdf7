import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { hasLoopbackNamespaces, TOOL_SCRIPTS } from '../support/loopback.ts';
import { OUTRIGGER } from '../support/proxy-process.ts';
import { runTool } from '../support/run-tool.ts';
import { subjectName } from '../support/subject.ts';
import { findTool } from '../support/tools.ts';

/**
 * go-control-plane's own integration test, with our proxy (or OUTRIGGER_SUBJECT=envoy) in Envoy's place: it pushes three
 * snapshots, each with new names for all, and wants a batch of requests through every listener without one failure.
 */
const binary = subjectName === 'envoy' ? findTool('envoy') : OUTRIGGER;
const canRun = findTool('gcp-test', 'go-control-plane') !== undefined && binary !== undefined;

/** What the proxies pass; the server itself fails with -mux in modes rest (no Fetch), delta and delta-ads (it panics). */
const modes: readonly (readonly [mode: string, ...flags: string[]])[] = [
  ['ads'],
  ['ads', '-tls'],
  ['ads', '-mux'],
  ['ads', '-tls', '-mux'],
  ['xds'],
  ['xds', '-tls'],
  ['xds', '-mux'],
  ['rest', '-r', '12'],
  // Polls follow one another at half a second each.
  ['rest', '-tls', '-r', '12'],
  ['delta'],
  ['delta', '-tls'],
  ['delta-ads'],
  ['delta-ads', '-tls'],
];

const results: string[] = [];

// Its clients wait for no more than 100 ms: a busy machine fails them.
describe.skipIf(!canRun || !hasLoopbackNamespaces())(`go-control-plane and ${subjectName}`, { retry: 2 }, () => {
  afterAll(() => console.log(results.join('\n')));

  test.each(modes.map((mode) => [mode.join(' '), mode] as const))('%s', async (name, mode) => {
    const out = mkdtempSync(join(tmpdir(), 'go-control-plane-'));
    try {
      const rounds = mode.includes('-r') ? [] : ['-r', '5'];
      const { code, output } = await runTool(
        join(TOOL_SCRIPTS, 'go-control-plane.sh'),
        ['test', ...mode, '-u', '3', ...rounds],
        55_000,
        { env: { ENVOY: binary!, OUT: out, LOG_LEVEL: 'warning' } },
      );
      const batches = [...output.matchAll(/request batch (\d+), ok (\d+), failed (\d+)/g)];
      const good = batches.filter(([, , ok, failed]) => failed === '0' && ok !== '0').length;
      results.push(
        `${subjectName}: ${name}: ${code === 0 ? 'passed' : 'failed'}, ${good} of ${batches.length} batches`,
      );
      expect(code, `${output}\n${tail(join(out, 'proxy.log'))}`).toBe(0);
      expect(output).toContain(`Test for ${mode[0]} passed!`);
    } finally {
      rmSync(out, { recursive: true, force: true });
    }
  });
});

function tail(file: string): string {
  return readFileSync(file, 'utf8').split('\n').slice(-30).join('\n');
}
