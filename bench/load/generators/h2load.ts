import { execFile } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { BenchCase } from '../cases.ts';
import { installed } from '../installed.ts';
import type { LoadResult, LoadTarget } from './load-result.ts';

const run = promisify(execFile);

/** HTTP/2 requests, `streams` at once on each connection, with h2load. Undefined: it isn't installed. */
export async function h2load(
  test: BenchCase,
  { port, seconds, cpu, dir }: LoadTarget,
): Promise<LoadResult | undefined> {
  const binary = installed('h2load');
  if (binary === undefined) return undefined;
  const log = join(dir, 'h2load.log');
  const args = ['-D', String(seconds), '-c', String(test.connections), '-m', String(test.streams), `--log-file=${log}`];
  if (test.load === 'grpc') {
    const body = join(dir, 'grpc.body');
    writeFileSync(body, grpcMessage(test.requestBytes));
    args.push('-d', body, '-H', 'content-type: application/grpc', '-H', 'te: trailers');
  }
  const scheme = test.downstream === 'http2-tls' ? 'https' : 'http';
  args.push(`${scheme}://127.0.0.1:${port}${test.path}`);
  rmSync(log, { force: true });
  const { stdout } = await run('taskset', ['-c', String(cpu), binary, ...args], { maxBuffer: 1 << 24 });
  const [, succeeded, failed, errored] = /(\d+) succeeded, (\d+) failed, (\d+) errored/.exec(stdout)?.map(Number) ?? [];
  const times = requestTimes(log);
  return {
    requests: succeeded ?? 0,
    errors: (failed ?? 0) + (errored ?? 0),
    p50us: times[Math.floor(times.length * 0.5)] ?? NaN,
    p99us: times[Math.floor(times.length * 0.99)] ?? NaN,
  };
}

/** How long each request of a log of h2load's took, in us, rising. */
export function requestTimes(log: string): number[] {
  // A line a request: start, status, microseconds.
  return readFileSync(log, 'latin1')
    .split('\n')
    .map((line) => Number(line.split('\t')[2]))
    .filter((time) => time >= 0)
    .sort((a, b) => a - b);
}

/** A gRPC message of `bytes` in all, its prefix included. */
export function grpcMessage(bytes: number): Buffer {
  const message = Buffer.alloc(bytes, 'y');
  message.writeUInt8(0, 0);
  message.writeUInt32BE(bytes - 5, 1);
  return message;
}
