// What a proxy with one worker takes to start and to be there: time until the admin server's /ready says LIVE, and
// resident memory when it has had nothing to do for three seconds. Rounds are interleaved; the least of each is told.
//
//   node bench/scale/idle.ts [--rounds 5] [--config examples/quickstart.yaml] [--proxy bin/outrigger,/other/bin/outrigger]
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { installed } from '../load/installed.ts';

const root = join(import.meta.dirname, '../..');
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    config: { type: 'string', default: join(root, 'examples/quickstart.yaml') },
    proxy: { type: 'string', default: join(root, 'bin/outrigger') },
  },
});
const IDLE_MS = 3000;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface Round {
  readonly readyMs: number;
  readonly rss: number;
  /** Of that, what is no file's: heaps, stacks. */
  readonly anonymous: number;
}

/** Resident memory of a process in MiB. */
function resident(pid: number, field: 'VmRSS' | 'RssAnon'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1]) / 1024;
}

async function isLive(addressFile: string): Promise<boolean> {
  try {
    const response = await fetch(`http://${readFileSync(addressFile, 'utf8').trim()}/ready`);
    return (await response.text()).startsWith('LIVE');
  } catch {
    return false;
  }
}

async function measure(program: string, config: string, addressFile: string): Promise<Round> {
  rmSync(addressFile, { force: true });
  const flags = ['-c', config, '--concurrency', '1', '--admin-address-path', addressFile, '-l', 'error'];
  if (program.endsWith('envoy')) flags.push('--disable-hot-restart');
  const start = performance.now();
  const child = spawn(program, flags, { stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = once(child, 'exit');
  while (!(await isLive(addressFile))) {
    if (child.exitCode !== null || performance.now() - start > 30_000) throw new Error(`${program} does not get ready`);
    await sleep(2);
  }
  const readyMs = performance.now() - start;
  await sleep(IDLE_MS);
  const round = { readyMs, rss: resident(child.pid!, 'VmRSS'), anonymous: resident(child.pid!, 'RssAnon') };
  child.kill();
  await ended;
  return round;
}

const work = mkdtempSync(join(tmpdir(), 'outrigger-idle-'));
try {
  const config = join(work, 'config.yaml');
  writeFileSync(
    config,
    readFileSync(values.config, 'utf8').replaceAll(/port_value: (?:9901|10000)\b/g, 'port_value: 0'),
  );
  const envoy = installed('envoy');
  const programs = [...values.proxy.split(','), ...(envoy === undefined ? [] : [envoy])];
  const rounds = new Map<string, Round[]>(programs.map((program) => [program, []]));
  for (let i = 0; i < Number(values.rounds); i++)
    for (const [program, list] of rounds) list.push(await measure(program, config, join(work, 'admin')));
  const least = (list: readonly Round[], field: keyof Round): string =>
    Math.min(...list.map((round) => round[field])).toFixed(0);
  for (const [program, list] of rounds)
    console.log(
      `${program}: ready after ${least(list, 'readyMs')} ms, RSS ${least(list, 'rss')} MiB (${least(list, 'anonymous')} anonymous)`,
    );
} finally {
  rmSync(work, { recursive: true, force: true });
}
