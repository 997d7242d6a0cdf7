import { execFileSync } from 'node:child_process';
import { cpus, release } from 'node:os';
import type { BenchCase } from './cases.ts';
import { installed } from './installed.ts';

/** One peer's figures of one case; CPU in microseconds per request, or per MiB. */
export interface Row {
  readonly peer: string;
  readonly cpu: number;
  readonly user: number;
  readonly rssMiB: number;
  readonly p50us: number;
  readonly p99us: number;
  readonly perSecond: number;
  readonly errors: number;
}

export interface CaseReport {
  readonly name: string;
  readonly unit: BenchCase['unit'];
  readonly rows: readonly Row[];
}

const version = (name: string, args: readonly string[], pattern: RegExp): string => {
  const binary = installed(name);
  if (binary === undefined) return `${name} not installed`;
  try {
    const out = execFileSync('sh', ['-c', '"$0" "$@" 2>&1', binary, ...args], { encoding: 'utf8' });
    return `${name} ${pattern.exec(out)?.[1] ?? '?'}`;
  } catch (error) {
    return `${name} ${pattern.exec(String((error as { stdout?: string }).stdout))?.[1] ?? '?'}`;
  }
};

const micros = (value: number): string => (value >= 0 ? value.toFixed(0) : '-');

/** The whole report as Markdown. */
export function renderReport(cases: readonly CaseReport[], rounds: number, seconds: number): string {
  const versions = [
    `Node.js ${process.versions.node}`,
    version('envoy', ['--version'], /\/(\d+\.\d+\.\d+)/),
    version('nginx', ['-v'], /nginx\/([\d.]+)/),
    version('haproxy', ['-v'], /version ([\d.]+)/),
    version('h2load', ['--version'], /nghttp2\/([\d.]+)/),
    version('wrk', ['-v'], /wrk ([\w.\-/]+)/),
  ];
  const lines = [
    '# Benchmarks',
    '',
    'Written by `npm run bench`. Each proxy runs alone on one core; load generator and upstream share another. The proxies take',
    `turns, ${seconds} s each, ${rounds} rounds. CPU is user + system time of the whole proxy process: the lower quartile of the`,
    'rounds, since whatever else the machine does only adds; what is not CPU are medians.',
    'Compare ratios, not absolute figures: they change with the machine. Outrigger and Envoy run the same YAML file.',
    '',
    `- Machine: ${cpus()[0]?.model ?? '?'}, ${cpus().length} cores, Linux ${release()}`,
    `- Versions: ${versions.join(', ')}`,
    `- Date: ${new Date().toISOString().slice(0, 10)}`,
    '',
  ];
  for (const { name, unit, rows } of cases) {
    const ours = rows.find(({ peer }) => peer === 'outrigger');
    lines.push(
      `## ${name}`,
      '',
      `| proxy | CPU us/${unit} | user us | outrigger / this | RSS MiB | p50 us | p99 us | ${unit === 'MiB' ? 'MiB' : `${unit}s`}/s |`,
      '|---|--:|--:|--:|--:|--:|--:|--:|',
    );
    for (const row of rows) {
      const ratio = ours === undefined || row.peer === 'outrigger' ? '' : (ours.cpu / row.cpu).toFixed(2);
      lines.push(
        `| ${row.peer} | ${row.cpu.toFixed(1)} | ${row.user.toFixed(1)} | ${ratio} | ${row.rssMiB.toFixed(0)} | ${micros(row.p50us)} | ${micros(row.p99us)} | ${row.perSecond.toFixed(0)} |` +
          (row.errors > 0 ? ` ${row.errors} errors` : ''),
      );
    }
    lines.push('');
  }
  return `${lines.join('\n')}\n`;
}
