import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import autocannon from 'autocannon';
import type { BenchCase } from './cases.ts';
import { installed } from './peers/peers.ts';

/** What a slice of load came to. */
export interface LoadResult {
  readonly requests: number;
  readonly errors: number;
  readonly p50us: number;
  readonly p99us: number;
}

const run = promisify(execFile);

/** `2.34ms` -> microseconds. */
const micros = (text: string | undefined): number => {
  const [, number, unit] = /^([\d.]+)(us|ms|s|m)$/.exec(text ?? '') ?? [];
  return Number(number ?? NaN) * { us: 1, ms: 1e3, s: 1e6, m: 6e7 }[unit ?? 'us']!;
};

/** Loads `port` for `seconds` from core `cpu`, with wrk where it is installed, else with autocannon. */
export async function load(
  test: BenchCase,
  port: number,
  seconds: number,
  cpu: number,
  dir: string,
): Promise<LoadResult> {
  const url = `http://127.0.0.1:${port}${test.path}`;
  const wrk = installed('wrk');
  if (wrk === undefined) {
    const body = test.requestBytes > 0 ? 'y'.repeat(test.requestBytes) : undefined;
    const result = await autocannon({
      url,
      method: test.method,
      body,
      connections: test.connections,
      duration: seconds,
    });
    const errors = result.errors + result.non2xx;
    return { requests: result['2xx'], errors, p50us: result.latency.p50 * 1e3, p99us: result.latency.p99 * 1e3 };
  }
  const script = join(dir, 'wrk.lua');
  writeFileSync(
    script,
    `wrk.method = "${test.method}"\nwrk.body = ${test.requestBytes > 0 ? `string.rep("y", ${test.requestBytes})` : 'nil'}\n`,
  );
  const options = `-t 1 -c ${test.connections} -d ${seconds}s --timeout 30s --latency -s`.split(' ');
  const { stdout } = await run('taskset', ['-c', String(cpu), wrk, ...options, script, url]);
  const errors = Number(/Non-2xx or 3xx responses: (\d+)/.exec(stdout)?.[1] ?? 0);
  const sockets =
    /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(stdout)?.slice(1).map(Number) ?? [];
  return {
    requests: Number(/(\d+) requests in/.exec(stdout)?.[1] ?? 0) - errors,
    errors: errors + sockets.reduce((a, b) => a + b, 0),
    p50us: micros(/50%\s+(\S+)/.exec(stdout)?.[1]),
    p99us: micros(/99%\s+(\S+)/.exec(stdout)?.[1]),
  };
}
