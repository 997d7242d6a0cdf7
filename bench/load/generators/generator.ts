import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { BenchCase } from '../cases.ts';
import { h2load } from './h2load.ts';
import type { LoadResult, LoadTarget } from './load-result.ts';
import { wrk } from './wrk.ts';

const run = promisify(execFile);

/** Loads a proxy with the traffic of a case. Undefined: no generator that can do that is installed. */
export async function load(test: BenchCase, target: LoadTarget): Promise<LoadResult | undefined> {
  if (test.downstream.startsWith('http2') && test.load !== 'grpc-stream') return h2load(test, target);
  if (test.load === 'request' && test.downstream !== 'http1-mtls') return wrk(test, target);
  const script = join(import.meta.dirname, 'ping-pong.ts');
  const { stdout } = await run('taskset', [
    '-c',
    String(target.cpu),
    process.execPath,
    script,
    JSON.stringify({ test, target }),
  ]);
  return JSON.parse(stdout) as LoadResult;
}
