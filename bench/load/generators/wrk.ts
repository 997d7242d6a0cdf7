import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import autocannon from 'autocannon';
import type { BenchCase } from '../cases.ts';
import { installed } from '../installed.ts';
import type { LoadResult, LoadTarget } from './load-result.ts';

const run = promisify(execFile);

/** `2.34ms` -> microseconds. */
const micros = (text: string | undefined): number => {
  const [, number, unit] = /^([\d.]+)(us|ms|s|m)$/.exec(text ?? '') ?? [];
  return Number(number ?? NaN) * { us: 1, ms: 1e3, s: 1e6, m: 6e7 }[unit ?? 'us']!;
};

/** HTTP/1.1 requests, one after the other on each connection: with wrk where it is installed, else with autocannon. */
export async function wrk(test: BenchCase, { port, seconds, cpu, dir }: LoadTarget): Promise<LoadResult> {
  const url = `${test.downstream === 'http1-tls' ? 'https' : 'http'}://127.0.0.1:${port}${test.path}`;
  const binary = installed('wrk');
  if (binary === undefined) {
    const body = test.requestBytes > 0 ? 'y'.repeat(test.requestBytes) : undefined;
    const { method, connections } = test;
    const result = await autocannon({ url, method, body, connections, duration: seconds });
    const errors = result.errors + result.non2xx;
    return { requests: result['2xx'], errors, p50us: result.latency.p50 * 1e3, p99us: result.latency.p99 * 1e3 };
  }
  const script = join(dir, 'wrk.lua');
  const body = test.requestBytes > 0 ? `string.rep("y", ${test.requestBytes})` : 'nil';
  writeFileSync(script, `wrk.method = "${test.method}"\nwrk.body = ${body}\n`);
  const options = `-t 1 -c ${test.connections} -d ${seconds}s --timeout 30s --latency -s`.split(' ');
  const { stdout } = await run('taskset', ['-c', String(cpu), binary, ...options, script, url]);
  const errors = Number(/Non-2xx or 3xx responses: (\d+)/.exec(stdout)?.[1] ?? 0);
  const sockets =
    /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(stdout)?.slice(1).map(Number) ?? [];
  return {
    requests: Number(/(\d+) requests in/.exec(stdout)?.[1] ?? 0) - errors,
    errors: errors + sockets.reduce((a, b) => a + b, 0),
    p50us: micros(/^\s+50%\s+(\S+)/m.exec(stdout)?.[1]),
    p99us: micros(/^\s+99%\s+(\S+)/m.exec(stdout)?.[1]),
  };
}
