// npm run bench [-- --rounds N --seconds N --warm-up N --case TEXT,TEXT --peer a,b --base DIR --write]
// Measures CPU per request of Outrigger beside its peers, interleaved, each pinned to core 0; see docs/benchmarks.md.
// --base: another checkout of Outrigger, measured beside this one as `base`.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { CASES, type BenchCase } from './cases.ts';
import { makeCertificates } from './certificates.ts';
import { load } from './generators/generator.ts';
import type { LoadResult } from './generators/load-result.ts';
import { envoyLike } from './peers/envoy-like.ts';
import { PEERS } from './peers/peers.ts';
import { BenchProcess } from './process.ts';
import { renderReport, type CaseReport, type Row } from './report.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '8' },
    seconds: { type: 'string', default: '1' },
    'warm-up': { type: 'string', default: '6' },
    case: { type: 'string', default: '' },
    peer: { type: 'string', default: '' },
    base: { type: 'string', default: '' },
    write: { type: 'boolean', default: false },
  },
});
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
const cases = CASES.filter(({ name }) => values.case.split(',').some((text) => name.includes(text)));
const wanted = values.peer === '' ? undefined : values.peer.split(',');
const peers = PEERS.filter(({ name }) => wanted === undefined || wanted.includes(name));
if (values.base !== '') peers.splice(1, 0, envoyLike('base', join(values.base, 'bin/outrigger')));
const MiB = 1024 * 1024;
const warmUpSeconds = Number(values['warm-up']);
/** Below the range that the system takes ports for outgoing connections from. */
const upstreamPort = 21_000 + Math.floor(Math.random() * 550) * 20;
const proxyCpu = 0;
const loadCpu = cpus().length > 1 ? 1 : 0;
const dir = mkdtempSync(join(tmpdir(), 'outrigger-bench-'));
const certificates = makeCertificates(dir);
/** Which port of the upstream speaks what; see upstream.ts. */
const UPSTREAM_PORTS = { http1: 0, http2: 1, 'http2-tls': 2, tcp: 0 };

const quantile = (numbers: readonly number[], part: number): number =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length * part)] ?? NaN;

interface Slice {
  readonly cpu: number;
  readonly user: number;
  readonly p50us: number;
  readonly p99us: number;
  readonly perSecond: number;
  readonly errors: number;
}

const slice = (test: BenchCase, port: number, duration: number): Promise<LoadResult | undefined> =>
  load(test, { port, seconds: duration, cpu: loadCpu, dir, cert: certificates.cert, key: certificates.key });

async function measure(test: BenchCase, proxy: BenchProcess, port: number): Promise<Slice | undefined> {
  // Of requests over TLS the handshakes that each slice begins with should weigh little.
  const duration = test.load === 'request' && test.downstream.includes('tls') ? 3 * seconds : seconds;
  const before = proxy.cpu();
  const began = performance.now();
  const result = await slice(test, port, duration);
  if (result === undefined) return undefined;
  const elapsed = (performance.now() - began) / 1000;
  const after = proxy.cpu();
  const work = test.unit === 'MiB' ? (result.requests * test.responseBytes) / MiB : result.requests;
  const user = (after.user - before.user) / work;
  const cpu = user + (after.system - before.system) / work;
  return { cpu, user, p50us: result.p50us, p99us: result.p99us, perSecond: work / elapsed, errors: result.errors };
}

async function runCase(test: BenchCase): Promise<CaseReport> {
  await using stack = new AsyncDisposableStack();
  const running: { name: string; port: number; process: BenchProcess; slices: Slice[] }[] = [];
  let port = upstreamPort + 2;
  for (const peer of peers) {
    if (!peer.can(test)) continue;
    port += 2;
    const upstream = upstreamPort + UPSTREAM_PORTS[test.upstream];
    const argv = peer.command({ test, port, upstream, certificates, dir });
    if (argv === undefined) {
      console.log(`${peer.name} is not installed: left out`);
      continue;
    }
    const process = stack.use(await BenchProcess.start(argv, port, proxyCpu));
    running.push({ name: peer.name, port, process, slices: [] });
  }
  // The compilers of V8 share the proxy's core, and want some ten thousand requests to be through.
  for (const { port: target } of running) await slice(test, target, test.unit === 'MiB' ? 2 : warmUpSeconds);
  for (let round = 0; round < rounds; round++)
    for (const { process, port: target, slices } of running) {
      const measured = await measure(test, process, target);
      if (measured !== undefined) slices.push(measured);
    }
  const rows = running.map(({ name, process, slices }): Row => {
    const of = (pick: (slice: Slice) => number): number => quantile(slices.map(pick), 0.5);
    // Whatever else the machine does only adds to what a request costs.
    const least = (pick: (slice: Slice) => number): number => quantile(slices.map(pick), 0.25);
    return {
      peer: name,
      cpu: least((slice) => slice.cpu),
      user: least((slice) => slice.user),
      rssMiB: process.rss(),
      p50us: of((slice) => slice.p50us),
      p99us: of((slice) => slice.p99us),
      perSecond: of((slice) => slice.perSecond),
      errors: slices.reduce((sum, slice) => sum + slice.errors, 0),
    };
  });
  return { name: test.name, unit: test.unit, rows };
}

try {
  await using upstream = await BenchProcess.start(
    [
      process.execPath,
      join(import.meta.dirname, 'upstream.ts'),
      String(upstreamPort),
      certificates.cert,
      certificates.key,
    ],
    upstreamPort,
    loadCpu,
  );
  void upstream;
  const reports: CaseReport[] = [];
  for (const test of cases) {
    const report = await runCase(test);
    reports.push(report);
    console.log(renderReport([report], rounds, seconds).split('\n## ')[1]);
    // After each case, so that a run that is cut short leaves what it had.
    if (values.write)
      writeFileSync(join(import.meta.dirname, '../../docs/benchmarks.md'), renderReport(reports, rounds, seconds));
  }
} finally {
  rmSync(dir, { recursive: true, force: true });
}
